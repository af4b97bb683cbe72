package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ingot/internal/block"
)

// Numbers of the system files' MFT records.
const (
	recMFT     = 0
	recMirror  = 1
	recLogFile = 2
	recVolume  = 3
	recRoot    = 5
	recBitmap  = 6
	recBoot    = 7
	recBadClus = 8
	recSecure  = 9
	recUpCase  = 10
	firstUser  = 16 // Windows lists no records below in the root folder

	mirrored = 4 // records that $MFTMirr holds at least
)

// maxAttributeList is what Windows lets an attribute list grow to.
const maxAttributeList = 256 << 10

var errNoAttribute = errors.New("no such attribute")

// mft reads MFT records by number.
type mft struct {
	r      block.Reader
	boot   Boot
	data   stream   // contents of $MFT
	copies []string // why $MFTMirr was needed, one for each time
}

// openMFT finds all of $MFT. Record 0 lies where the boot sector says and
// holds the beginning of $MFT's own run list; when that list goes on in other
// records, each of these lies in a part of $MFT already known.
func openMFT(r block.Reader, boot Boot) (*mft, error) {
	m := &mft{r: r, boot: boot}
	rec, err := m.first()
	if err != nil {
		return nil, err
	}
	if err := m.assemble(&m.data, rec, typeData, ""); err != nil {
		return nil, fmt.Errorf("run list of $MFT: %w", err)
	}
	if err := m.data.plain(); err != nil {
		return nil, fmt.Errorf("$MFT: %w", err)
	}
	if len(m.data.runs) == 0 || m.data.runs[0].lcn != boot.MFT {
		return nil, fmt.Errorf("$MFT does not begin at cluster %d, where the boot sector says", boot.MFT)
	}
	return m, nil
}

// first is record 0, from $MFT or from its mirror.
func (m *mft) first() (record, error) {
	rec, err := m.recordAt(m.boot.MFT*m.boot.ClusterSize, recMFT)
	if err == nil {
		return rec, nil
	}
	return m.mirror(recMFT, err)
}

// record is the record with the given number, in use.
func (m *mft) record(number int64) (record, error) {
	b := make([]byte, m.boot.RecordSize)
	if number < 0 || number > m.data.valid/m.boot.RecordSize {
		return record{}, fmt.Errorf("MFT record %d: $MFT has %d", number, m.data.valid/m.boot.RecordSize)
	}
	_, err := m.data.ReadAt(b, number*m.boot.RecordSize)
	var rec record
	if err == nil {
		rec, err = parseRecord(b, number)
	}
	if err == nil {
		return rec, nil
	}
	return rec, fmt.Errorf("MFT record %d: %w", number, err)
}

// system is the record of a system file; the first of them have a copy that
// serves when the record itself is damaged. For Open alone: it takes notes.
func (m *mft) system(number int64) (record, error) {
	rec, err := m.record(number)
	if err != nil && number < mirrored {
		return m.mirror(number, err)
	}
	return rec, err
}

// mirror gives the copy of one of the first records, after what happened to
// the record itself.
func (m *mft) mirror(number int64, cause error) (record, error) {
	rec, err := m.recordAt(m.boot.Mirror*m.boot.ClusterSize+number*m.boot.RecordSize, number)
	if err != nil {
		return rec, fmt.Errorf("%w (and its copy in $MFTMirr: %w)", cause, err)
	}
	m.copies = append(m.copies, cause.Error())
	return rec, nil
}

// recordAt reads the record at a byte offset of the volume.
func (m *mft) recordAt(off, number int64) (record, error) {
	b := make([]byte, m.boot.RecordSize)
	if off+int64(len(b)) > m.r.Size() {
		return record{}, fmt.Errorf("MFT record %d at byte %d lies behind the end", number, off)
	}
	if n, err := m.r.ReadAt(b, off); n < len(b) {
		return record{}, fmt.Errorf("read MFT record %d at byte %d: %w", number, off, err)
	}
	rec, err := parseRecord(b, number)
	if err != nil {
		return rec, fmt.Errorf("MFT record %d at byte %d: %w", number, off, err)
	}
	return rec, nil
}

// byReference is the record a file reference names: 48 bits of number, 16 of
// sequence number, which tells whether the record was given to another file.
func (m *mft) byReference(ref uint64) (record, error) {
	number, seq := int64(ref&(1<<48-1)), uint16(ref>>48)
	rec, err := m.record(number)
	if err == nil && rec.seq != seq {
		err = fmt.Errorf("MFT record %d: sequence number %d instead of %d", number, rec.seq, seq)
	}
	return rec, err
}

// open gives the contents of an attribute of a file. errNoAttribute tells that
// the file has none of this type and name.
func (m *mft) open(rec record, typ uint32, name string) (*stream, error) {
	var s stream
	if err := m.assemble(&s, rec, typ, name); err != nil {
		return nil, fmt.Errorf("attribute %#x %q of MFT record %d: %w", typ, name, rec.number, err)
	}
	return &s, nil
}

// assemble fills s, piece by piece so that $MFT's own stream can be read from
// while it grows.
func (m *mft) assemble(s *stream, rec record, typ uint32, name string) error {
	*s = stream{r: m.r, clusterSize: m.boot.ClusterSize}
	for _, a := range rec.attrs {
		if a.typ == typeAttributeList {
			return m.assembleList(s, rec, a, typ, name)
		}
	}
	for _, a := range rec.attrs {
		if a.typ == typ && a.name == name {
			return m.add(s, a)
		}
	}
	return errNoAttribute
}

// assembleList fills s by the attribute list of rec, whose entries name the
// record of every piece in the order of VCNs.
func (m *mft) assembleList(s *stream, rec record, list attribute, typ uint32, name string) error {
	entries, err := m.listEntries(list)
	if err != nil {
		return err
	}
	found := false
	for _, e := range entries {
		if e.typ != typ || e.name != name {
			continue
		}
		from := rec
		if int64(e.ref&(1<<48-1)) != rec.number {
			if from, err = m.extension(e.ref, rec); err != nil {
				return err
			}
		}
		a, ok := from.find(e)
		if !ok {
			return fmt.Errorf("attribute list: piece at VCN %d is not in MFT record %d", e.low, from.number)
		}
		if err := m.add(s, a); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return errNoAttribute
	}
	return nil
}

// extension is a record that holds attributes of another one, its base.
func (m *mft) extension(ref uint64, base record) (record, error) {
	rec, err := m.byReference(ref)
	if err == nil && int64(rec.base&(1<<48-1)) != base.number {
		err = fmt.Errorf("MFT record %d: base record at offset 32 is not %d", rec.number, base.number)
	}
	return rec, err
}

func (r record) find(e listEntry) (attribute, bool) {
	for _, a := range r.attrs {
		if a.typ == e.typ && a.name == e.name && a.id == e.id && a.low == e.low {
			return a, true
		}
	}
	return attribute{}, false
}

// add appends one piece to the stream.
func (m *mft) add(s *stream, a attribute) error {
	if a.resident {
		if s.resident != nil || s.runs != nil {
			return errors.New("a resident attribute in pieces")
		}
		s.resident, s.size, s.valid, s.flags = a.value, int64(len(a.value)), int64(len(a.value)), a.flags
		if s.resident == nil {
			s.resident = []byte{}
		}
		return nil
	}
	if s.resident != nil || a.low != endVCN(s.runs) {
		return fmt.Errorf("a piece at VCN %d where %d is due", a.low, endVCN(s.runs))
	}
	if a.low == 0 {
		s.size, s.valid, s.flags, s.unit = a.size, a.valid, a.flags, a.unit
	}
	var err error
	s.runs, err = decodeRuns(s.runs, a.pairs, m.boot.TotalClusters)
	return err
}

// listEntry is one entry of an attribute list.
type listEntry struct {
	typ  uint32
	name string
	low  int64
	ref  uint64
	id   uint16
}

func (m *mft) listEntries(list attribute) ([]listEntry, error) {
	s := stream{r: m.r, clusterSize: m.boot.ClusterSize}
	if err := m.add(&s, list); err != nil {
		return nil, fmt.Errorf("attribute list: %w", err)
	}
	if s.size > maxAttributeList {
		return nil, fmt.Errorf("attribute list: %d bytes, more than the %d there can be", s.size, maxAttributeList)
	}
	b := make([]byte, s.size)
	if _, err := s.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("attribute list: %w", err)
	}
	return parseList(b)
}

// parseList reads the contents of an $ATTRIBUTE_LIST.
func parseList(b []byte) ([]listEntry, error) {
	var out []listEntry
	for off := 0; off < len(b); {
		e := b[off:]
		if len(e) < 26 {
			return nil, fmt.Errorf("attribute list: entry at offset %d is cut off", off)
		}
		n := int(binary.LittleEndian.Uint16(e[4:]))
		if n < 26 || n > len(e) {
			return nil, fmt.Errorf("attribute list: entry at offset %d has length %d of %d", off, n, len(e))
		}
		name, err := slice(e[:n], int(e[7]), 2*int(e[6]), "name at offset 6")
		if err != nil {
			return nil, fmt.Errorf("attribute list: entry at offset %d: %w", off, err)
		}
		out = append(out, listEntry{
			typ:  binary.LittleEndian.Uint32(e),
			name: wtf8(name),
			low:  int64(binary.LittleEndian.Uint64(e[8:])),
			ref:  binary.LittleEndian.Uint64(e[16:]),
			id:   binary.LittleEndian.Uint16(e[24:]),
		})
		off += n
	}
	return out, nil
}
