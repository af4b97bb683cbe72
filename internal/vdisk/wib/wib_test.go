package wib

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

const (
	volumeC = "9b9cfbc3-369e-11e9-a17c-806e6f6e6963"
	volumeR = "9b9cfbc4-369e-11e9-a17c-806e6f6e6963"
	setID   = "cd113385-65ff-4ea2-8ced-5630f6feca8f"
)

// specs is BackupSpecs.xml as it was printed of real backups.
const specs = `<BackupSpecs><FileSpecs>` +
	`<Volume Name="\\?\Volume{` + volumeR + `}\" AccessPath="" OriginalAccessPath="" Label="System Reserved" OriginalLabel="System Reserved">` +
	`<FileSpec FilePath="\\?\Volume{` + volumeR + `}\" FileName="*" IsRecursive="true" IsInclude="true"/></Volume>` +
	`<Volume Name="\\?\Volume{` + volumeC + `}\" AccessPath="C:" OriginalAccessPath="C:" Label="Größe &amp; mehr" OriginalLabel="">` +
	`<FileSpec FilePath="C:\" FileName="*" IsRecursive="true" IsInclude="true"/></Volume>` +
	`</FileSpecs><SystemState IsPresent="false"/><AllCritical IsPresent="true"/></BackupSpecs>`

const components = `<?xml version="1.0" encoding="utf-16"?><BACKUP_COMPONENTS xmlns="x-schema:#VssComponentMetadata" bootableSystemStateBackup="yes">` +
	`<WRITER_COMPONENTS instanceId="00000000-0000-0000-0000-000000000000" writerId="` + asrWriter + `" backupSchema="0">` +
	`<COMPONENT logicalPath="ASR" componentName="ASR" componentType="filegroup"/>` +
	`<COMPONENT logicalPath="Disks" componentName="harddisk0" componentType="filegroup"/>` +
	`<COMPONENT logicalPath="Disks" componentName="harddisk1" componentType="filegroup"/>` +
	`<COMPONENT logicalPath="Volumes" componentName="Volume{` + volumeC + `}" componentType="filegroup"/></WRITER_COMPONENTS>` +
	`<WRITER_COMPONENTS writerId="e8132975-6f93-4464-a53e-1050253ae220"><COMPONENT logicalPath="Disks" componentName="harddisk7"/></WRITER_COMPONENTS>` +
	`</BACKUP_COMPONENTS>`

// wide is text as Windows writes it: UTF-16LE without a mark, a zero at the end.
func wide(s string) []byte {
	var b []byte
	for _, u := range append(utf16.Encode([]rune(s)), 0) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree makes a drive with backups of two computers, and one without any.
func tree(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	pc := filepath.Join(root, FolderName, "L4MPJE-PC")
	for _, b := range []string{"Backup 2019-02-22 124351", "Backup 2020-01-01 000000"} {
		write(t, filepath.Join(pc, b, volumeC+".vhd"), []byte("C"))
		write(t, filepath.Join(pc, b, strings.ToUpper(volumeR)+".VHD"), []byte("RR"))
		write(t, filepath.Join(pc, b, "BackupSpecs.xml"), wide(specs))
		write(t, filepath.Join(pc, b, setID+"_Components.xml"), wide(components))
		write(t, filepath.Join(pc, b, setID+"_Writere8132975-6f93-4464-a53e-1050253ae220.xml"), []byte("not looked at"))
	}
	write(t, filepath.Join(pc, "MediaId"), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	write(t, filepath.Join(pc, "Catalog", "GlobalCatalog"), make([]byte, 7440))
	write(t, filepath.Join(pc, "SPPMetadataCache", "{"+setID+"}"), make([]byte, 100))
	ten := filepath.Join(root, FolderName, "TEN", "Backup 2025-05-06 070809")
	write(t, filepath.Join(ten, "Esp.vhdx"), []byte("E"))
	write(t, filepath.Join(ten, volumeC+".vhdx"), []byte("C"))
	write(t, filepath.Join(root, FolderName, "EMPTY", "Catalog", "GlobalCatalog"), nil)
	write(t, filepath.Join(root, FolderName, "EMPTY", "Backup 2025-05-06 070809", "BackupSpecs.xml"), nil)
	return root
}

// found describes what Find gives.
func found(t testing.TB, path string) string {
	t.Helper()
	all, err := Find(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range all {
		for _, b := range c.Backups {
			out = append(out, fmt.Sprintf("%s %s", c.Name, b.Time.Format("2006-01-02")))
		}
	}
	return strings.Join(out, ", ")
}

func TestFind(t *testing.T) {
	root := tree(t)
	pc := filepath.Join(root, FolderName, "L4MPJE-PC")
	for path, want := range map[string]string{
		root:                            "L4MPJE-PC 2019-02-22, L4MPJE-PC 2020-01-01, TEN 2025-05-06",
		filepath.Join(root, FolderName): "L4MPJE-PC 2019-02-22, L4MPJE-PC 2020-01-01, TEN 2025-05-06",
		pc:                              "L4MPJE-PC 2019-02-22, L4MPJE-PC 2020-01-01",
		filepath.Join(pc, "Backup 2019-02-22 124351"): "L4MPJE-PC 2019-02-22",
	} {
		if got := found(t, path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(pc, "Catalog"), filepath.Join(root, FolderName, "EMPTY"), filepath.Join(root, "gone")} {
		if all, err := Find(path); err == nil {
			t.Errorf("%s: %v", path, all)
		}
	}
	if _, err := Find(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("an empty folder: %v", err)
	}
	if !Is(root) || Is(t.TempDir()) {
		t.Error("Is says something else")
	}
	renamed := filepath.Join(t.TempDir(), "kept of 2020")
	if err := os.Rename(filepath.Join(root, FolderName), renamed); err != nil {
		t.Fatal(err)
	}
	if got := found(t, renamed); !strings.HasSuffix(got, "TEN 2025-05-06") {
		t.Errorf("renamed: %s", got)
	}
	if err := os.Rename(renamed, filepath.Join(root, FolderName)); err != nil {
		t.Fatal(err)
	}
	lower := t.TempDir() // a share on a system that knows case
	if err := os.Rename(filepath.Join(root, FolderName), filepath.Join(lower, strings.ToLower(FolderName))); err != nil {
		t.Fatal(err)
	}
	if got := found(t, lower); !strings.HasSuffix(got, "TEN 2025-05-06") {
		t.Errorf("in lower case: %s", got)
	}
}

func TestBackup(t *testing.T) {
	all, err := Find(tree(t))
	if err != nil {
		t.Fatal(err)
	}
	c := all[0]
	if c.Medium != "04030201-0605-0807-090a-0b0c0d0e0f10" {
		t.Errorf("medium %q", c.Medium)
	}
	b := c.Backups[0]
	if !b.Time.Equal(time.Date(2019, 2, 22, 12, 43, 51, 0, time.UTC)) || !b.Whole || b.SourceDisks != 2 || len(b.Problems) != 0 || b.Changed.IsZero() || b.Computer != c.Name {
		t.Errorf("%+v", b)
	}
	var got []string
	for i := range b.Disks {
		d := &b.Disks[i]
		got = append(got, fmt.Sprint(d.Name(), " ", d.Volume, " ", d.Size, " ", d.ESP))
	}
	want := []string{"System Reserved " + volumeR + " 2 false", "C: Größe & mehr " + volumeC + " 1 false"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
	ten := all[1].Backups[0]
	if len(ten.Disks) != 2 || !ten.Disks[1].ESP || ten.Disks[1].Name() != "EFI system partition" || ten.Disks[0].Name() != volumeC || ten.Whole {
		t.Errorf("%+v", ten)
	}
}

// TestDocuments has documents that are not as they should be: they are a problem
// of the backup, whose disks are listed all the same.
func TestDocuments(t *testing.T) {
	bomb := `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]><BackupSpecs><Volume Label="&c;"/></BackupSpecs>`
	for name, c := range map[string]struct {
		doc  []byte
		want string // "" for no problem
	}{
		"as it is":        {wide(specs), ""},
		"a mark":          {append([]byte{0xff, 0xfe}, wide(specs)...), ""},
		"UTF-8":           {[]byte(specs), ""},
		"UTF-8, a mark":   {[]byte("\xef\xbb\xbf" + specs), ""},
		"big-endian":      {swapped(wide(specs)), ""},
		"says UTF-16":     {[]byte(`<?xml version="1.0" encoding="UTF-16"?>` + specs), ""},
		"Latin-1":         {[]byte(`<?xml version="1.0" encoding="iso-8859-1"?>` + specs), "iso-8859-1"},
		"no text":         {[]byte{'<', 'a', 0xff, 0xfe, 0xfd}, "neither"},
		"half a letter":   {wide(specs)[:101], "half a character"},
		"empty":           {nil, "no end"},
		"cut short":       {wide(specs)[:400], ""},
		"an entity bomb":  {[]byte(bomb), "entity"},
		"deep":            {[]byte(strings.Repeat("<a>", 100000)), "deep"},
		"two roots":       {[]byte("<a/><b/>"), "two roots"},
		"closed too soon": {[]byte("<a></b></a>"), "b"},
		"huge":            {make([]byte, maxDocument+1), "more than"},
	} {
		dir := filepath.Join(t.TempDir(), "Backup 2019-02-22 124351")
		write(t, filepath.Join(dir, volumeC+".vhdx"), []byte("C"))
		write(t, filepath.Join(dir, "BackupSpecs.xml"), c.doc)
		all, err := Find(dir)
		if err != nil || len(all[0].Backups[0].Disks) != 1 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b := all[0].Backups[0]
		problem := strings.Join(b.Problems, ";")
		switch {
		case name == "cut short":
			if problem == "" {
				t.Errorf("%s: no problem", name)
			}
		case c.want == "" && (problem != "" || b.Disks[0].Letter != "C:"):
			t.Errorf("%s: %s, %+v", name, problem, b.Disks[0])
		case !strings.Contains(problem, c.want):
			t.Errorf("%s: %q", name, problem)
		}
	}
}

func swapped(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = b[i^1]
	}
	return out
}

func TestCleanNames(t *testing.T) {
	if got := clean("a\x1b[2Jb\u009bc\n" + strings.Repeat("x", 1000)); len(got) != 256 || !strings.HasPrefix(got, "a[2Jbcx") {
		t.Errorf("%q", got)
	}
}

// TestOddFolders has folders and links where files belong, and the other way
// around.
func TestOddFolders(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Backup 2019-02-22 124351")
	write(t, filepath.Join(dir, "BackupSpecs.xml", "file"), nil)
	write(t, filepath.Join(dir, "x_Components.xml", "file"), nil)
	write(t, filepath.Join(dir, "a.vhdx"), []byte("a"))
	write(t, filepath.Join(dir, "dir.vhdx", "file"), nil)
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "zero.vhdx")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(dir), "MediaId"), []byte("too short"))
	all, err := Find(dir)
	if err != nil || len(all[0].Backups[0].Disks) != 1 || all[0].Medium != "" || len(all[0].Backups[0].Problems) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add(wide(specs))
	f.Add(wide(components))
	f.Add([]byte(specs))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		_ = walk(b, func(e element) {
			if n++; e.depth > maxDepth {
				t.Fatal("too deep")
			}
		})
	})
}
