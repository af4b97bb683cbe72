package backup

import (
	"encoding/json"
	"testing"

	"ingot/internal/disk"
	"ingot/internal/plan"
)

// TestDefinitionIsEmbedded: what the image says of the run is the definition's,
// but for what was really done.
func TestDefinitionIsEmbedded(t *testing.T) {
	def := &plan.Definition{
		Name: "office", Comment: "from the definition", Retention: plan.Retention{Full: plan.Keep{N: 4}},
		Options: plan.Options{Compression: "none", AllSectors: true, Password: plan.PasswordRef{File: "/etc/ingot/secret"}},
	}
	p := &Plan{
		Source: Source{Info: disk.Info{Number: 3}, Layout: &disk.Layout{ID: "0A1B2C3D"}},
		Parts:  []Part{{Partition: disk.Partition{Number: 2}}},
		opts:   Options{Compression: "high", Comment: "from the run", Definition: def.VendorDefinition()},
	}
	raw, err := p.definition()
	if err != nil {
		t.Fatal(err)
	}
	back, _, err := plan.FromVendor(raw)
	if err != nil {
		t.Fatal(err)
	}
	if s := back.Sources; len(s) != 1 || s[0].Disk.ID != "0A1B2C3D" || len(s[0].Partitions) != 1 || s[0].Partitions[0].Number != 2 {
		t.Errorf("sources %+v", s)
	}
	if back.Comment != "from the run" || back.Options.Compression != "high" || back.Options.AllSectors || back.Retention.Full.N != 4 {
		t.Errorf("%+v", back)
	}
	// Without a definition the image says what the options said.
	p.opts.Definition = nil
	if raw, err = p.definition(); err != nil {
		t.Fatal(err)
	}
	var v plan.VendorDefinition
	if err := json.Unmarshal(raw, &v); err != nil || v.File != "" || v.Space != nil || v.FileType != "image" || !v.Intelligent {
		t.Errorf("%s, %v", raw, err)
	}
}
