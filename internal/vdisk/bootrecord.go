package vdisk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"

	"ingot/internal/disk"
)

// logical is a logical partition as sfdisk tells it, in sectors.
type logical struct {
	number      int
	start, size uint32
	kind        byte
}

func (l *logical) end() uint32 { return l.start + l.size }

// sfdiskLine is a partition of a dump of sfdisk; older ones write Id for type.
var sfdiskLine = regexp.MustCompile(`(?m)^/dev/\S*?([0-9]+) *: *start= *([0-9]+), *size= *([0-9]+), *(?:type|Id)= *([0-9A-Fa-f]{1,2})\b`)

// bootRecords makes the chain of extended boot records of an MBR disk, of which
// Clonezilla keeps what sfdisk says: which logical partitions there are. Where
// the records were is not told, but for the first; each is put as far before its
// partition as the first one is.
func (c *clonezilla) bootRecords(track0 []byte) ([]disk.BootRecord, error) {
	extended := uint32(0)
	for i := range 4 {
		slot := track0[446+i*16:][:16]
		if slot[4] == 0x05 || slot[4] == 0x0F || slot[4] == 0x85 {
			extended = binary.LittleEndian.Uint32(slot[8:])
		}
	}
	if extended == 0 {
		return nil, nil
	}
	b, err := c.small(c.name + "-pt.sf")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s-pt.sf is missing, which tells its logical partitions", c.name)
	}
	if err != nil {
		return nil, err
	}
	chain, err := logicals(b)
	if err != nil || len(chain) == 0 {
		return nil, err
	}
	return records(extended, chain)
}

// logicals reads the logical partitions of a dump, in the order of the chain.
func logicals(b []byte) (out []logical, err error) {
	for _, m := range sfdiskLine.FindAllSubmatch(b, -1) {
		var n [4]uint64
		for i, base := range []int{10, 10, 10, 16} {
			if n[i], err = strconv.ParseUint(string(m[i+1]), base, 32); err != nil {
				return nil, fmt.Errorf("the dump of sfdisk: %q", m[0])
			}
		}
		if n[0] >= 5 && n[2] > 0 {
			out = append(out, logical{int(n[0]), uint32(n[1]), uint32(n[2]), byte(n[3])})
		}
	}
	slices.SortFunc(out, func(a, b logical) int { return a.number - b.number })
	return out, nil
}

// records makes a record for each partition of the chain.
func records(extended uint32, chain []logical) ([]disk.BootRecord, error) {
	gap := chain[0].start - extended
	if chain[0].start <= extended {
		return nil, fmt.Errorf("logical partition %d begins at sector %d, before the extended one", chain[0].number, chain[0].start)
	}
	places := []uint32{extended}
	for i := 1; i < len(chain); i++ {
		at := chain[i].start - min(gap, chain[i].start)
		for k := range chain { // it may be closer to its partition
			if k != i && chain[k].start <= at && at < chain[k].end() {
				at = chain[k].end()
			}
		}
		if at >= chain[i].start || at <= extended {
			return nil, fmt.Errorf("there is no place for the boot record of logical partition %d", chain[i].number)
		}
		places = append(places, at)
	}
	var out []disk.BootRecord
	for i, l := range chain {
		r := disk.BootRecord{Off: int64(places[i]) * 512, Number: l.number}
		entry(r.Sector[446:], l.kind, l.start-places[i], l.size)
		if i+1 < len(chain) {
			entry(r.Sector[462:], 0x05, places[i+1]-extended, chain[i+1].end()-places[i+1])
		}
		r.Sector[510], r.Sector[511] = 0x55, 0xAA
		out = append(out, r)
	}
	return out, nil
}

// entry is one of a boot record, whose old addresses say that they do not count.
func entry(b []byte, kind byte, start, size uint32) {
	copy(b, []byte{0, 0xFE, 0xFF, 0xFF, kind, 0xFE, 0xFF, 0xFF})
	binary.LittleEndian.PutUint32(b[8:], start)
	binary.LittleEndian.PutUint32(b[12:], size)
}
