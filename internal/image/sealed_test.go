package image

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"ingot/internal/dest/desttest"
	"ingot/internal/disk"
)

// sealedSet is a set of one disk with one partition, encrypted with a password:
// a full and incrementals.
type sealedSet struct {
	t      *testing.T
	access *Access
	id     string
	store  *desttest.Memory
	block  [][]byte          // the contents of the partition now
	points map[string][]byte // what each file has to read as
}

const (
	sealedBlock  = 4096
	sealedBlocks = 12
)

func password(p string) *Access {
	return NewAccess(func() ([]byte, error) { return []byte(p), nil })
}

func newSealedSet(t *testing.T, access *Access, id string) *sealedSet {
	s := &sealedSet{t: t, access: access, id: id, store: desttest.NewMemory(), points: map[string][]byte{}}
	r := rand.New(rand.NewPCG(3, uint64(id[0])))
	for range sealedBlocks {
		b := make([]byte, sealedBlock)
		fill(r, b) // so that all are stored alike
		s.block = append(s.block, b)
	}
	return s
}

// add writes the next file of the set and gives its name.
func (s *sealedSet) add() string {
	s.t.Helper()
	table := make([]byte, 1<<20)
	table[510], table[511] = 0x55, 0xAA
	binary.LittleEndian.PutUint32(table[446+8:], 2048)
	binary.LittleEndian.PutUint32(table[446+12:], sealedBlocks*8)
	table[446+4] = 7
	layout, err := disk.Parse(memory(append(table, make([]byte, 1<<20)...)), 512)
	if err != nil {
		s.t.Fatal(err)
	}
	doc := &Document{
		Compression: Compression{Level: CompressionMedium, Method: "zstd"},
		Header:      Header{ImageID: s.id, BackupFormat: "partition", BackupType: TypeFull, BackupGUID: s.id + "-0", MergedFiles: []int64{}},
		Disks: []Disk{{
			Geometry: DiskGeometry{BytesPerSector: 512, DiskSize: 2 << 20}, Header: DiskHeader{Format: "mbr"},
			Partitions: []Partition{{
				Header:     PartitionHeader{BlockSize: sealedBlock, BlockCount: sealedBlocks, Number: 1},
				Geometry:   PartitionGeometry{Start: 1 << 20, Length: sealedBlocks * sealedBlock},
				FileSystem: FileSystem{Start: 1 << 20, LCN0: 1 << 20},
			}},
		}},
	}
	opts := Options{Access: s.access}
	sets, err := ReadSets(s.t.Context(), s.store, s.access)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(sets.Sets) == 0 {
		if err := s.access.Encrypt(doc, ""); err != nil {
			s.t.Fatal(err)
		}
	} else {
		if opts.Base, err = sets.Sets[0].OpenBase(s.t.Context(), s.store, TypeInc); err != nil {
			s.t.Fatal(err)
		}
		parent := opts.Base.Member.Doc
		h := &doc.Header
		doc.Encryption = parent.Encryption
		h.BackupType, h.FileNumber, h.IncrementNumber = TypeInc, opts.Base.Number, opts.Base.Increment
		h.BackupGUID = fmt.Sprintf("%s-%d-%x", s.id, h.FileNumber, s.block[0][:4])
		doc.Auxiliary.Parent = &ParentRef{FileNumber: parent.Header.FileNumber, GUID: parent.Header.BackupGUID}
	}
	name := fmt.Sprintf("%s-%02d-%02d.mrimgx", s.id, doc.Header.IncrementNumber, doc.Header.FileNumber)
	w, err := Create(s.t.Context(), s.store, name, doc, opts)
	if err != nil {
		s.t.Fatal(err)
	}
	err = errors.Join(w.Disk(layout.Track0, nil), w.Begin(0, sealedBlocks))
	enc, encErr := w.Encoders(Blocks)
	if err = errors.Join(err, encErr); err != nil {
		s.t.Fatal(err)
	}
	var known []Known
	if opts.Base != nil {
		walk, err := opts.Base.Walk(0, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		for i := range int64(sealedBlocks) {
			k, err := walk.At(i)
			if err != nil {
				s.t.Fatal(err)
			}
			known = append(known, k)
		}
	}
	raw := bytes.Join(s.block, nil)
	var b Batch
	enc().Encode(&b, 0, raw, sealedBlock, known)
	err = errors.Join(w.Put(Blocks, &b), w.End(), w.Commit(s.t.Context()))
	if opts.Base != nil {
		err = errors.Join(err, opts.Base.Close())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.points[name] = raw
	return name
}

// change gives block i other contents, of the same length when stored.
func (s *sealedSet) change(i int, seed uint64) { fill(rand.New(rand.NewPCG(seed, 1)), s.block[i]) }

// threeFiles makes a full and two incrementals, all of which change block 5.
func threeFiles(t *testing.T, access *Access, id string) (*sealedSet, []string) {
	s := newSealedSet(t, access, id)
	names := []string{s.add()}
	for seed := range uint64(2) {
		s.change(5, seed)
		s.change(int(7+seed), seed)
		names = append(names, s.add())
	}
	return s, names
}

// attempt opens and verifies a point of a store, and reads it.
func attempt(t *testing.T, store *desttest.Memory, access *Access, name string) ([]byte, error) {
	t.Helper()
	c, err := Open(t.Context(), store, name, access)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	res, err := c.Verify(t.Context(), nil)
	if err != nil {
		return nil, err
	}
	if res.Count > 0 {
		return nil, res.Damaged[0].Err
	}
	v := c.Disks()[0].Partitions[0]
	out := make([]byte, v.Size())
	_, err = v.ReadAt(out, 0)
	return out, err
}

// copyStore gives the files of a store, to be tampered with.
func copyStore(t *testing.T, s *desttest.Memory) *desttest.Memory {
	t.Helper()
	out := desttest.NewMemory()
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		out.Put(e.Name, bytes.Clone(s.Get(e.Name)))
	}
	return out
}

// storedAt finds where block i of the only partition lies in a file, by its own
// index.
func storedAt(t *testing.T, data []byte, access *Access, i int64) element {
	t.Helper()
	m := desttest.NewMemory()
	m.Put("x", data)
	f, err := openFile(t.Context(), m, "x", access)
	if err != nil {
		t.Fatal(err)
	}
	r := f.disks[0].tables[0].reader(Blocks)
	for {
		rec, ok, err := r.next()
		if err != nil || !ok {
			t.Fatalf("block %d is not in the index, %v", i, err)
		}
		if rec.piece == i {
			return rec.element
		}
	}
}

// TestAttacks tampers with a sealed set in every way that needs no password.
func TestAttacks(t *testing.T) {
	access := password("correct horse")
	s, names := threeFiles(t, access, "0123456789ABCDEF")
	other, otherNames := threeFiles(t, access, "FEDCBA9876543210")
	// Another second incremental, upon another first one: from a time that was
	// thrown away.
	fork := newSealedSet(t, access, "0123456789ABCDEF")
	fork.store.Put(names[0], s.store.Get(names[0]))
	fork.change(5, 77)
	forkName := fork.add()
	last := names[2]

	swap := func(data []byte, a, b element) {
		if a.size != b.size {
			t.Fatal("the blocks are not stored alike")
		}
		x, y := data[a.pos:a.pos+int64(a.size)], data[b.pos:b.pos+int64(b.size)]
		tmp := bytes.Clone(x)
		copy(x, y)
		copy(y, tmp)
	}
	for name, attack := range map[string]struct {
		do   func(m *desttest.Memory)
		want error
	}{
		"two blocks of a file change places": {func(m *desttest.Memory) {
			data := m.Get(names[0])
			swap(data, storedAt(t, data, access, 1), storedAt(t, data, access, 2))
		}, ErrForged},
		"a block of an older file for that of a newer one": {func(m *desttest.Memory) {
			old, data := m.Get(names[1]), m.Get(last)
			a, b := storedAt(t, old, access, 5), storedAt(t, data, access, 5)
			copy(data[b.pos:], old[a.pos:a.pos+int64(a.size)])
		}, ErrForged},
		"a block of another set": {func(m *desttest.Memory) {
			old, data := other.store.Get(otherNames[0]), m.Get(names[0])
			a, b := storedAt(t, old, access, 1), storedAt(t, data, access, 1)
			copy(data[b.pos:], old[a.pos:a.pos+int64(a.size)])
		}, ErrForged},
		"a file of another set under its name and id": {func(m *desttest.Memory) {
			m.Put(names[1], tamper(t, other.store.Get(otherNames[1]), func(d *Document, _ []byte) {
				if d != nil {
					d.Header.ImageID = s.id
					ours := docOf(t, s.store.Get(names[1]))
					d.Header.BackupGUID, d.Auxiliary.Parent = ours.Header.BackupGUID, ours.Auxiliary.Parent
				}
			}))
		}, ErrPassword},
		"the same, with the check of the password of this set": {func(m *desttest.Memory) {
			m.Put(names[1], tamper(t, other.store.Get(otherNames[1]), func(d *Document, _ []byte) {
				if d != nil {
					d.Header.ImageID = s.id
					ours := docOf(t, s.store.Get(names[1]))
					d.Header.BackupGUID, d.Auxiliary.Parent = ours.Header.BackupGUID, ours.Auxiliary.Parent
					d.Encryption.HMAC = docOf(t, s.store.Get(names[0])).Encryption.HMAC
				}
			}))
		}, ErrForged},
		"a file from a time that was thrown away": {func(m *desttest.Memory) {
			m.Put(names[1], fork.store.Get(forkName))
		}, ErrForged},
		"the seal taken away": {func(m *desttest.Memory) {
			m.Put(last, strip(t, m.Get(last), nameSeal))
		}, ErrForged},
		"seal and tags taken away": {func(m *desttest.Memory) {
			m.Put(last, strip(t, m.Get(last), nameSeal, nameMarks))
		}, ErrForged},
		"both, and made to look like a set that never had any": {func(m *desttest.Memory) {
			for _, n := range names {
				m.Put(n, tamper(t, strip(t, m.Get(n), nameSeal, nameMarks), func(d *Document, _ []byte) {
					if d != nil {
						d.Encryption.KeyIterations = 600_000
					}
				}))
			}
		}, ErrPassword},
		"an element that points elsewhere": {func(m *desttest.Memory) {
			m.Put(last, tamper(t, m.Get(last), func(_ *Document, index []byte) {
				if index != nil {
					index[8]++ // the position of the first block
				}
			}))
		}, ErrForged},
		"a block said to be free": {func(m *desttest.Memory) {
			m.Put(last, tamper(t, m.Get(last), func(_ *Document, index []byte) {
				if index != nil {
					clear(index[8 : 8+elementSize])
				}
			}))
		}, ErrForged},
		"the JSON": {func(m *desttest.Memory) {
			m.Put(last, tamper(t, m.Get(last), func(d *Document, _ []byte) {
				if d != nil {
					d.Header.BackupTime++
				}
			}))
		}, ErrForged},
		"something behind the seal": {func(m *desttest.Memory) {
			data := m.Get(last)
			m.Put(last, bytes.Join([][]byte{data[:len(data)-footerSize], make([]byte, 16), data[len(data)-footerSize:]}, nil))
		}, ErrForged},
		"cut short":             {func(m *desttest.Memory) { m.Put(last, m.Get(last)[:len(m.Get(last))-1]) }, ErrNotImage},
		"something appended":    {func(m *desttest.Memory) { m.Put(last, append(m.Get(last), 0)) }, ErrNotImage},
		"the file between gone": {func(m *desttest.Memory) { _ = m.Remove(t.Context(), names[1]) }, ErrMissing},
		"the password":          {func(*desttest.Memory) {}, ErrPassword},
		"no password":           {func(*desttest.Memory) {}, ErrLocked},
	} {
		m := copyStore(t, s.store)
		attack.do(m)
		with := access
		switch name {
		case "the password":
			with = password("wrong")
		case "no password":
			with = nil
		}
		_, err := attempt(t, m, with, last)
		if err == nil {
			t.Errorf("%s: nothing was noticed", name)
		} else if attack.want != nil && !errors.Is(err, attack.want) {
			t.Errorf("%s: %v, want %v", name, err, attack.want)
		}
	}
	for _, n := range names {
		if got, err := attempt(t, s.store, access, n); err != nil || !bytes.Equal(got, s.points[n]) {
			t.Errorf("%s itself: %v", n, err)
		}
	}
}

// TestForkIsNoticed exchanges a file of a chain for one of the same number and
// id, made upon the same full: only what the next file says of its parent tells.
func TestForkIsNoticed(t *testing.T) {
	access := password("correct horse")
	s, names := threeFiles(t, access, "0123456789ABCDEF")
	fork := newSealedSet(t, access, "0123456789ABCDEF")
	fork.store.Put(names[0], s.store.Get(names[0]))
	fork.change(5, 0)
	fork.change(7, 0)
	// The same first incremental made again: guid and contents agree, and yet it
	// is another file.
	fork.change(9, 5)
	again := fork.add()
	if again != names[1] {
		t.Fatalf("%s is not called %s", again, names[1])
	}
	m := copyStore(t, s.store)
	m.Put(names[1], fork.store.Get(again))
	if _, err := attempt(t, m, access, names[2]); !errors.Is(err, ErrForged) || !strings.Contains(err.Error(), "was not made upon this") {
		t.Errorf("the exchange: %v", err)
	}
}

// TestSealedFlips flips bits all over a sealed file: none is harmless.
func TestSealedFlips(t *testing.T) {
	access := password("correct horse")
	s, names := threeFiles(t, access, "0123456789ABCDEF")
	good := s.store.Get(names[2])
	m := copyStore(t, s.store)
	r := rand.New(rand.NewPCG(4, 4))
	for k := range 4000 {
		bad := bytes.Clone(good)
		at := k * len(good) / 4000
		bad[at] ^= 1 << r.IntN(8)
		m.Put(names[2], bad)
		if _, err := attempt(t, m, access, names[2]); err == nil {
			t.Fatalf("byte %d of %d flipped, and nothing was noticed", at, len(good))
		}
	}
}

// docOf reads the JSON of an image.
func docOf(t *testing.T, data []byte) *Document {
	t.Helper()
	m := desttest.NewMemory()
	m.Put("x", data)
	b, err := m.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	doc, _, _, err := readHead(b)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// tamper gives a file another JSON and index, with all MD5s right.
func tamper(t *testing.T, data []byte, change func(doc *Document, index []byte)) []byte {
	return rebuild(t, data, nil, change)
}

// strip takes metadata blocks away.
func strip(t *testing.T, data []byte, names ...string) []byte {
	return rebuild(t, data, names, func(*Document, []byte) {})
}

func rebuild(t *testing.T, data []byte, without []string, change func(doc *Document, index []byte)) []byte {
	t.Helper()
	m := desttest.NewMemory()
	m.Put("x", data)
	b, err := m.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	doc, root, at, err := readHead(b)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(data[:doc.Header.IndexPosition])
	keep := func(m *metaBlock, last bool) {
		payload := bytes.Clone(data[m.pos : m.pos+m.size])
		if m.name == nameIndex {
			change(nil, payload)
		}
		if m.name == nameJSON {
			change(doc, nil)
			text, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			*m, payload = newMeta(nameJSON, text, false)
		}
		if m.flags &^= flagLast; last {
			m.flags |= flagLast
		}
		m.size, m.sum = int64(len(payload)), md5.Sum(payload)
		out = append(append(out, m.encode()...), payload...)
	}
	list := func(blocks []metaBlock) {
		var left []*metaBlock
		for i := range blocks {
			if !strings.Contains(strings.Join(without, ","), blocks[i].name) {
				left = append(left, &blocks[i])
			}
		}
		for i, m := range left {
			keep(m, i == len(left)-1)
		}
	}
	for off := doc.Header.IndexPosition; off < at; {
		var blocks []metaBlock
		if blocks, off, err = readList(b, off, at); err != nil {
			t.Fatal(err)
		}
		list(blocks)
	}
	newRoot := int64(len(out))
	list(root)
	return append(out, footer(newRoot)...)
}
