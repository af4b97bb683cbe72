package plan

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestVendorDefinitionHasNoSecrets(t *testing.T) {
	d := parse(t, full(t)).Definition
	text, err := json.Marshal(d.VendorDefinition())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"password", "/usr/bin/pass", "token", "ntfy", "hc.example.org", "quiesce", "mail.example.org", "/etc/"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
	for _, want := range []string{`"filename_template":"{HOST}-{IMAGEID}"`, `"full_retention":{"enable":true,"interval":26,"period":"weeks"}`, `"failure_recipients":"me@example.org;you@example.org"`,
		`"post_backup_shutdown":{"enable":true,"force":false,"level":"hibernate"}`, `"cpu_priority":"idle"`, `"low_space_gb_threshold":20`, `"alternative_locations":["\\\\nas\\backup\\office"]`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

// TestFromVendor reads what the vendor's demo image holds.
func TestFromVendor(t *testing.T) {
	raw, err := os.ReadFile("testdata/vendor.json")
	if err != nil {
		t.Fatal(err)
	}
	d, notTaken, err := FromVendor(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := &Definition{
		Sources:      []Source{{Disk: DiskID{ID: "2D37A83C-3F86-4734-849E-FD9A833D874A"}, Partitions: []PartitionID{{Number: 1}}}},
		Destinations: []Destination{{Path: `B:\vx\new hash`}},
		Retention:    Retention{Full: Keep{13, Backups}, Differential: Keep{4, Backups}, Incremental: Keep{10, Backups}, MinFree: 5 << 30, PurgeBefore: true},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("%+v", d)
	}
	said := strings.Join(notTaken, "\n")
	for _, want := range []string{`mail about warnings to "someone@example.org"`, "rate_limit: 20000", "schedules are not kept"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said in\n%s", want, said)
		}
	}
	if d.Name = "a"; d.Check() != nil {
		t.Error(d.Check())
	}
	if _, _, err := FromVendor([]byte(`{"file_type":"file_and_folder"}`)); err == nil {
		t.Error("files and folders are taken")
	}
}

// FuzzFromVendor: an image can say anything; what is taken is sound.
func FuzzFromVendor(f *testing.F) {
	raw, err := os.ReadFile("testdata/vendor.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"alternative_locations":["a","/b","/b","\\\\s\\s"],"filename_template":"{X}","comment":"\u0000\ufffe","disks":[{"signature":"zz"},{"signature":"0a1b2c3d","partitions":[0,-1,7]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, _, err := FromVendor(raw)
		if err != nil {
			return
		}
		d.Name = "a"
		if len(d.Sources) == 0 {
			d.Sources = []Source{{Kind: SourceAll}}
		}
		if len(d.Destinations) == 0 {
			d.Destinations = []Destination{{Path: "/b"}}
		}
		if out, err := (&File{Definition: *d}).Encode(); err != nil {
			t.Fatalf("%v\n%+v\n%s", err, d, out)
		}
	})
}
