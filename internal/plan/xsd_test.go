package plan

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestSchemaFile keeps docs/format/definition.xsd what the code says. With
// INGOT_WRITE_XSD=1 it writes the file.
func TestSchemaFile(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "format", "definition.xsd")
	if os.Getenv("INGOT_WRITE_XSD") != "" {
		if err := os.WriteFile(path, Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, Schema()) {
		t.Fatalf("%s is not what the code says (%v): INGOT_WRITE_XSD=1 go test -run TestSchemaFile ./internal/plan", path, err)
	}
}

// xmllint says of each document whether it conforms to the schema.
func xmllint(t *testing.T, docs []string) []bool {
	t.Helper()
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Fatal("xmllint is missing: install libxml2-utils")
	}
	dir := t.TempDir()
	xsd := filepath.Join(dir, "definition.xsd")
	if err := os.WriteFile(xsd, Schema(), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"--noout", "--nonet", "--schema", xsd}
	for i, doc := range docs {
		path := filepath.Join(dir, fmt.Sprintf("%05d.xml", i))
		if err := os.WriteFile(path, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out, _ := exec.Command("xmllint", args...).CombinedOutput() // its exit code is that of the last one
	valid := make([]bool, len(docs))
	for _, m := range regexp.MustCompile(`(?m)([0-9]{5})\.xml validates$`).FindAllSubmatch(out, -1) {
		var i int
		_, _ = fmt.Sscanf(string(m[1]), "%d", &i)
		valid[i] = true
	}
	if !slices.Contains(valid, true) {
		t.Fatalf("xmllint takes none of %d documents:\n%.2000s", len(docs), out)
	}
	return valid
}

// TestSchemaAgainstReader has xmllint and our reader judge the same documents:
// the full one, and each change of it in the list. A list of elements that goes
// on behind those of others is not among them: libxml2 takes it against the
// schema, TestErrorsSayWhere has it.
func TestSchemaAgainstReader(t *testing.T) {
	base := string(full(t))
	type change struct {
		old, new string
		good     bool
	}
	changes := []change{
		{"", "", true},
		// Elements: missing, twice, out of order, unknown, of others.
		{"<windows/>", "", true},
		{"<windows/>", "<all/>", true},
		{"<windows/>", "<windows><partition number=\"1\"/></windows>", false},
		{"<windows/>", "<Windows/>", false},
		{"<limits ", "<limit ", false},
		{`<limits duration="6h" retries="2" retry-after="15m"/>`, "", true},
		{`<limits duration="6h"`, `<limits/><limits duration="6h"`, false},
		{`<after `, `<limits/><after `, false},
		{`<after `, `<x:y/><after `, false},
		{`<ping url="https://hc.example.org/0d3e"/>`, `<x:ping xmlns="">any <thing/></x:ping>`, true},
		{`<ping `, `<ping xmlns="" `, false},
		{`<ping `, `<ping xmlns="urn:other" `, true},
		{`<x:why>because</x:why>`, `<x:why>because</x:why>text`, false},
		{"<plan ", "<plan><!-- c --></plan><plan ", false},
		{`<startup gap="6h"/>`, "", false},
		{`<startup gap="6h"/>`, `<startup gap="6h"/><plugged/>`, false},
		{`<startup gap="6h"/>`, `<startup gap="6h" for="6h"/>`, false},
		{"<command>/usr/local/bin/quiesce</command>", "", false},
		{"<command>/usr/local/bin/quiesce</command>", "<command/>", false},
		{"<command>/usr/local/bin/quiesce</command>", "<command><b/></command>", false},
		{"<command>/usr/local/bin/quiesce</command>", "<command><!-- c -->/bin/x<?pi?></command>", true},
		{"<command>/usr/local/bin/quiesce</command>", "<command x:a='b'>/bin/x</command>", true},
		{"<command>/usr/local/bin/quiesce</command>", "<command a='b'>/bin/x</command>", false},
		{"<command>/usr/bin/pass</command>", "", true}, // a program that has no name: Check refuses it
		{"<to>log@example.org</to>", "<to/>", false},
		{"<comment>nightly</comment>", "<comment/>", true},
		{"<comment>nightly</comment>", "<comment>night<b/>ly</comment>", false},
		{"<comment>nightly</comment>", "<comment>" + strings.Repeat("ä", 1<<16) + "</comment>", true},
		{"<comment>nightly</comment>", "<comment>" + strings.Repeat("a", 1<<16+1) + "</comment>", false},
		{"<comment>nightly</comment>", "<comment><![CDATA[a < b]]></comment>", true},
		{`<password file="/etc/ingot/office.password"/>`, "<password>hunter2</password>", false},
		{`<password file="/etc/ingot/office.password"/>`, "<password> <!-- none --> </password>", true},
		{"<sources>", "<sources><!-- c -->", true},
		// The document.
		{"<!-- end -->", "<a/>", false},
		{"<!-- end -->", "text", false},
		{"<!-- end -->", "<?xml version='1.0'?>", false},
		{"</definition>", "</definitions>", false},
		{"urn:ingot:definition:1", "urn:ingot:definition:2", false},
		{`xmlns="urn:ingot:definition:1" `, "", false},
		{"<definition ", "<definition xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:nil='false' ", false},
		{"<definition ", "<definition xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='urn:a b.xsd' ", true},
		{"<definition ", "<definition xml:lang='de' ", true},
		{"<definition ", "<definition xmlns:x='urn:example:notes' ", false},
		{"x:ticket=", "y:ticket=", false},
		{"x:ticket=", "ticket=", false},
		{"x:ticket=", "xmlns:d='urn:ingot:definition:1' d:ticket=", false},
		{"nightly", "&#x6E;ightly &amp; &lt;", true},
		{"nightly", "&#0;", false},
		{"nightly", "&nightly;", false},
		{"nightly", "a & b", false},
		{"nightly", "a ]]> b", false},
	}
	value := func(old string, good, bad []string) {
		name, _, _ := strings.Cut(old, "=")
		for _, v := range good {
			changes = append(changes, change{old, name + `="` + v + `"`, true})
		}
		for _, v := range bad {
			changes = append(changes, change{old, name + `="` + v + `"`, false})
		}
	}
	value(`name="Office PC"`, []string{"a", "9.x_y-z", strings.Repeat("a", 64)}, []string{"", " a", ".a", "a/b", "ä", "a\\b", strings.Repeat("a", 65)})
	value(`gone="warn"`, []string{"fail"}, []string{"", "Warn", "warn "})
	value(`id="0A1B2C3D"`, []string{"0a1b2c3d", "2d37a83c-3f86-4734-849e-fd9a833d874a"}, []string{"", "0A1B2C3", "{0A1B2C3D}", "G0000000"})
	value(`offset="1048576"`, []string{"0", "1M", "000", "999999999999999", "999T", "999999G"}, []string{"", "-1", "1m", "1.5", "1000T", "1 M", "9999999999999999"})
	value(`number="3"`, []string{"1", "65536", " 3 "}, []string{"", "0", "65537", "3.0", "+3", "03", "x", "99999999999999999999"})
	value(`choose="rotate"`, []string{"in-order"}, []string{"any"})
	value(`path="/mnt/usb"`, []string{"relative", strings.Repeat("a", 4096)}, []string{"", strings.Repeat("a", 4097)})
	value(`mounted="yes"`, []string{"no"}, []string{"true", "1", ""})
	value(`time-zone="Europe/Berlin"`, []string{"UTC", "Etc/GMT+5", "America/Argentina/Ushuaia"}, []string{"", "../etc/passwd", "/UTC", "a//b", "a b", "a/b/c/d"})
	value(`template="gfs"`, []string{"my-own"}, []string{"", "GFS", "a b"})
	value(`type="diff"`, []string{"inc", "full"}, []string{"", "differential", "auto"})
	value(`delay="30m"`, []string{"0s", "99999999s", "9999999m", "99999h", "9999d"}, []string{"", "30", "30 m", "-30m", "1.5h", "100000000s", "10000000m", "100000h", "10000d", "1w"})
	value(`at="2:30"`, []string{"00:00", "23:59", "0:00"}, []string{"", "24:00", "2:5", "2:60", "02:30:00", "002:30"})
	value(`days="sun"`, []string{"mon", "mon tue", "tue mon tue"}, []string{"", "Sun", "sun,mon", " sun", "sun  mon", "sunday"})
	value(`months="jan jul"`, []string{"dec"}, []string{"", "1", "jan  jul"})
	value(`day="last"`, []string{"1", "31"}, []string{"", "0", "32", "-1", "01", "Last"})
	value(`nth="1"`, []string{"4", "last"}, []string{"0", "5", ""})
	value(`weekday="sun"`, []string{"sat"}, []string{"", "7", "sun mon"})
	value(`date="2026-12-31"`, []string{"1970-01-01", "2028-02-29", "9999-12-31", " 2026-12-31 "}, []string{"", "2026-02-29", "2026-13-01", "1969-12-31", "2026-12-31Z", "12026-12-31", "31.12.2026", "2026-1-1"})
	value(`every="30m"`, []string{"99999999s"}, []string{"", "30min"})
	value(`full="6 months"`, []string{"off", "1", "1 month", "99999 backups", "6m", "6w", "6d"}, []string{"", "0", "6 years", "6  months", "100000", "6b", "OFF", "6 m"})
	value(`daily="7"`, []string{"0", "99999"}, []string{"", "-1", "100000"})
	value(`split="4G"`, []string{"auto", "none", "650M"}, []string{"", "4g", "Auto", "4GB"})
	value(`encrypt="aes-128"`, []string{"default", "aes-256"}, []string{"", "none", "AES-256"})
	value(`cpu="idle"`, []string{"low", "normal", "high"}, []string{"", "realtime"})
	value(`min-battery="60"`, []string{"0", "100"}, []string{"101", "60%"})
	value(`at="before-snapshot"`, []string{"after-warning"}, []string{"", "before"})
	value(`port="465"`, []string{"1", "65535"}, []string{"0", "65536"})
	value(`url="https://hc.example.org/0d3e"`, []string{"http://a", "https://a?b=c&amp;d"}, []string{"", "ftp://a", "https://", "https://a b", "HTTPS://a"})
	value(`power="hibernate"`, []string{"nothing", "reboot"}, []string{"", "off"})
	var docs []string
	for _, c := range changes {
		if strings.Count(base, c.old) < 1 {
			t.Fatalf("%q is not in the file", c.old)
		}
		docs = append(docs, strings.Replace(base, c.old, c.new, 1))
	}
	// What we write ourselves is among the good ones.
	for _, name := range []string{"full", "small"} {
		f := File{Definition: Definition{Name: "a", Sources: []Source{{Kind: SourceAll}}, Destinations: []Destination{{Path: "/b"}}}}
		if name == "full" {
			f.Definition = parse(t, full(t)).Definition
		}
		out, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		docs, changes = append(docs, string(out)), append(changes, change{"written", name, true})
	}
	valid := xmllint(t, docs)
	for i, c := range changes {
		_, err := parseXML([]byte(docs[i]))
		if (err == nil) != c.good || valid[i] != c.good {
			t.Errorf("%.100q instead of %q: wanted %v, xmllint says %v, the reader %v", c.new, c.old, c.good, valid[i], err)
		}
	}
}

// TestSchemaAgainstFlips has both judge documents with random damage.
func TestSchemaAgainstFlips(t *testing.T) {
	base := full(t)
	var docs []string
	for i := 0; i < len(base); i += 3 {
		flipped := bytes.Clone(base)
		flipped[i] ^= 1 << (i % 6)
		docs = append(docs, string(flipped))
	}
	valid := xmllint(t, docs)
	agreed := [2]int{}
	for i := range docs {
		_, err := parseXML([]byte(docs[i]))
		if (err == nil) != valid[i] {
			at := 3 * i
			t.Errorf("byte %d, %q for %q: xmllint says %v, the reader %v", at, docs[i][max(0, at-20):at+20], base[max(0, at-20):at+20], valid[i], err)
		} else if valid[i] {
			agreed[1]++
		} else {
			agreed[0]++
		}
	}
	t.Logf("refused by both %d, taken by both %d", agreed[0], agreed[1])
}
