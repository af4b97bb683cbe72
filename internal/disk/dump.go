package disk

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxDumpLines bounds what is read of a dump.
const maxDumpLines = 1000

var (
	dumpDevice = regexp.MustCompile(`(\d+)\s*$`)
	dumpField  = regexp.MustCompile(`^\s*([A-Za-z-]+)\s*(?:=\s*("[^"]*"|[^,]*))?(?:,|$)`)
)

// ParseDump reads a partition table as "sfdisk --dump" prints it: lines "label:
// gpt" or "dos", "label-id:", "sector-size:", "last-lba:", and one line for each
// partition, "NAME : start=S, size=N, type=T, uuid=U, name="...", attrs="...",
// bootable", in sectors. "disk-size:", in bytes, is a line of our own; without it
// the disk is as large as last-lba says, or else as the partitions need. Extended
// partitions are not read.
func ParseDump(text string) (*Layout, error) {
	d, err := parseDump(text)
	if err != nil {
		return nil, fmt.Errorf("read the dump of a partition table: %w", err)
	}
	return d.Layout()
}

func parseDump(text string) (Drawing, error) {
	d := Drawing{SectorSize: 512}
	var lines []string
	var lastLBA int64
	n := 0
	for line := range strings.Lines(text) {
		if n++; n > maxDumpLines {
			return d, fmt.Errorf("more than %d lines", maxDumpLines)
		}
		line = strings.TrimSpace(line)
		head, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		var err error
		switch {
		case line == "" || line[0] == '#':
		case !ok:
			err = errors.New("no colon")
		case strings.Contains(value, "start="):
			lines = append(lines, line)
		default:
			err = d.dumpHeader(strings.TrimSpace(head), value, &lastLBA)
		}
		if err != nil {
			return d, fmt.Errorf("line %d, %q: %w", n, line, err)
		}
	}
	for _, line := range lines {
		p, err := d.dumpPartition(line)
		if err != nil {
			return d, fmt.Errorf("%q: %w", line, err)
		}
		d.Partitions = append(d.Partitions, p)
	}
	return d, d.dumpSize(lastLBA)
}

func (d *Drawing) dumpHeader(name, value string, lastLBA *int64) (err error) {
	switch name {
	case "label":
		switch value {
		case "gpt":
			d.Scheme = SchemeGPT
		case "dos":
			d.Scheme = SchemeMBR
		default:
			err = fmt.Errorf("only gpt and dos are known")
		}
	case "label-id":
		d.ID = strings.TrimPrefix(value, "0x")
	case "sector-size":
		d.SectorSize, err = dumpNumber(value)
	case "last-lba":
		*lastLBA, err = dumpNumber(value)
	case "disk-size":
		d.Size, err = dumpNumber(value)
	case "unit":
		if value != "sectors" {
			err = errors.New("only sectors are known")
		}
	}
	return err
}

// dumpNumber reads a number far enough from overflow to be multiplied by a size
// of sectors.
func dumpNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > 1<<46 {
		return 0, fmt.Errorf("%q is no number that can be", s)
	}
	return n, nil
}

func (d *Drawing) dumpPartition(line string) (p Drawn, err error) {
	head, rest, _ := strings.Cut(line, ":")
	if m := dumpDevice.FindStringSubmatch(head); m != nil {
		p.Number, _ = strconv.Atoi(m[1])
	}
	for rest = strings.TrimSpace(rest); rest != ""; {
		m := dumpField.FindStringSubmatch(rest)
		if m == nil {
			return p, fmt.Errorf("cannot read %q", rest)
		}
		rest = strings.TrimSpace(rest[len(m[0]):])
		value := strings.Trim(strings.TrimSpace(m[2]), `"`)
		switch m[1] {
		case "start":
			p.Off, err = dumpNumber(value)
			p.Off *= d.SectorSize
		case "size":
			p.Len, err = dumpNumber(value)
			p.Len *= d.SectorSize
		case "type", "Id":
			p.Type = value
		case "uuid":
			p.GUID = value
		case "name":
			p.Name = value
		case "attrs":
			p.Attributes, err = dumpAttributes(value)
		case "bootable":
			p.Active = true
		}
		if err != nil {
			return p, err
		}
	}
	if t := strings.ToLower(p.Type); d.Scheme == SchemeMBR && (p.Number > 4 || t == "5" || t == "f" || t == "85") {
		return p, errors.New("extended and logical partitions are not read")
	}
	return p, nil
}

// dumpAttributes reads names and bits: "RequiredPartition GUID:60,63".
func dumpAttributes(text string) (out uint64, err error) {
	for word := range strings.FieldsSeq(text) {
		switch word {
		case "RequiredPartition":
			out |= 1
		case "NoBlockIOProtocol":
			out |= 2
		case "LegacyBIOSBootable":
			out |= 4
		default:
			for bit := range strings.SplitSeq(strings.TrimPrefix(word, "GUID:"), ",") {
				n, err := strconv.ParseUint(bit, 10, 6)
				if err != nil {
					return 0, fmt.Errorf("attribute %q", word)
				}
				out |= 1 << n
			}
		}
	}
	return out, nil
}

// dumpSize finds out how large the disk is.
func (d *Drawing) dumpSize(lastLBA int64) error {
	if d.Scheme == "" {
		return errors.New(`no line "label: gpt" or "label: dos"`)
	}
	if len(d.Partitions) == 0 {
		return errors.New("it names no partition")
	}
	if d.Size > 0 {
		return nil
	}
	behind := int64(0)
	if d.Scheme == SchemeGPT { // the backup table
		behind = (gptCount*gptEntrySize+d.SectorSize-1)/d.SectorSize*d.SectorSize + d.SectorSize
	}
	if lastLBA > 0 {
		d.Size = (lastLBA+1)*d.SectorSize + behind
		return nil
	}
	const mib = 1 << 20
	for _, p := range d.Partitions {
		d.Size = max(d.Size, (p.Off+p.Len+behind+mib-1)/mib*mib)
	}
	return nil
}
