package partclone

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/internal/block"
	"ingot/internal/vdisk/vdisktest"
)

// memory is a file in memory that grows up to a limit.
type memory struct {
	b     []byte
	limit int64
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > m.limit {
		return 0, errors.New("the file is full")
	}
	if need := off + int64(len(p)); need > int64(len(m.b)) {
		m.b = append(m.b, make([]byte, need-int64(len(m.b)))...)
	}
	return copy(m.b[off:], p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }

// fileSystem makes a file system with some files and gives the path of its
// device file.
func fileSystem(t *testing.T, kind string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 24<<20); err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "ext4":
		vdisktest.Tool(t, "e2fsprogs", "mke2fs", "-q", "-t", "ext4", "-d", "/usr/share/common-licenses", path)
	case "ntfs":
		vdisktest.Tool(t, "ntfs-3g", "mkntfs", "-q", "-f", "-F", path)
	case "fat32":
		vdisktest.Tool(t, "dosfstools", "mkfs.vfat", "-F", "32", "-s", "1", path)
	}
	return path
}

// TestReadsWhatPartcloneWrites unpacks images with all kinds of checksums: the
// used blocks are those of the source, and the file system is whole without the
// others.
func TestReadsWhatPartcloneWrites(t *testing.T) {
	for _, c := range []struct {
		kind, opts, pack string
		check            []string // how the file system is checked
	}{
		{"ext4", "", "zstd -1", []string{"e2fsck", "-fn"}}, {"ext4", "-a 0", "cat", []string{"e2fsck", "-fn"}}, {"ext4", "-a 1 -k 1", "gzip -1", []string{"e2fsck", "-fn"}},
		{"ext4", "-a 1 -k 7 -K", "bzip2 -1", []string{"e2fsck", "-fn"}}, {"ext4", "-a 1 -k 100000", "zstd -19 --long=27", []string{"e2fsck", "-fn"}},
		{"ntfs", "", "gzip -1", []string{"ntfsinfo", "-fm"}}, {"fat32", "", "zstd -1", []string{"fsck.vfat", "-n"}},
	} {
		t.Run(c.kind+c.opts+c.pack, func(t *testing.T) {
			src, dir := fileSystem(t, c.kind), t.TempDir()
			image := filepath.Join(dir, "image")
			args := append([]string{"-c", "-s", src, "-o", image, "-q", "-L", filepath.Join(dir, "log")}, strings.Fields(c.opts)...)
			vdisktest.Tool(t, "partclone", "partclone."+c.kind, args...)
			vdisktest.Tool(t, "zstd", "sh", "-c", c.pack+" <"+image+" >"+image+".packed")
			got := compare(t, image+".packed", src)
			vdisktest.Tool(t, "dosfstools, e2fsprogs or ntfs-3g", c.check[0], append(c.check[1:], got.Save(t))...)
		})
	}
}

// compare unpacks an image, whose used blocks must be those of the file src, and
// gives the partition.
func compare(t *testing.T, image, src string) vdisktest.Disk {
	t.Helper()
	whole, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := Decompress(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var done, n int64
	v, err := Unpack(t.Context(), stream, &memory{limit: 1 << 30}, nil, func(n int64) { done += n })
	if err != nil {
		t.Fatal(err)
	}
	want := make(vdisktest.Disk, len(whole))
	for e, err := range v.Map().Extents() {
		if err != nil {
			t.Fatal(err)
		}
		n += copy64(want[e.Off:e.End()], whole[e.Off:])
	}
	want.Same(t, v, v.Map())
	if done != v.Used*v.BlockSize || n > done || n < done-v.BlockSize || n > v.Size()*9/10 {
		t.Errorf("%d bytes are in the map, %d were unpacked, %d blocks are in use", n, done, v.Used)
	}
	return want
}

func copy64(dst, src []byte) int64 { return int64(copy(dst, src)) }

func TestUnpackRaw(t *testing.T) {
	d := vdisktest.Draw(3<<20+100, 9)
	v, err := UnpackRaw(t.Context(), bytes.NewReader(d), &memory{limit: 1 << 30}, d.Size())
	if err != nil {
		t.Fatal(err)
	}
	d.Same(t, v, v.Map())
	if _, err := UnpackRaw(t.Context(), bytes.NewReader(d), &memory{limit: 1 << 30}, d.Size()-1); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a stream that is too long: %v", err)
	}
}

// version1 makes an image of version 0001, with checksums of size bytes: what
// partclone wrote up to 0.2 on machines of 32 bits (4) and 64 bits (8).
func version1(d vdisktest.Disk, blockSize, size int64) []byte {
	le := binary.LittleEndian
	b := make([]byte, header1)
	copy(b, magic)
	copy(b[15:], "EXTFS")
	copy(b[30:], "0001")
	blocks := d.Size() / blockSize
	le.PutUint32(b[36:], uint32(blockSize))
	le.PutUint64(b[40:], uint64(d.Size()))
	le.PutUint64(b[48:], uint64(blocks))
	crc := ^uint32(0)
	var data []byte
	used := uint64(0)
	for i := range blocks {
		part := d[i*blockSize:][:blockSize]
		if block.Zeros(part) {
			b = append(b, 0)
			continue
		}
		used++
		b = append(b, 1)
		crc = firstByteSum(crc, part)
		data = append(data, part...)
		data = append(le.AppendUint32(data, crc), make([]byte, size-4)...)
	}
	le.PutUint64(b[56:], used)
	return append(append(b, endMark...), data...)
}

func TestReadsVersion1(t *testing.T) {
	d := vdisktest.Draw(4<<20, 3)
	for _, size := range []int64{4, 8} {
		for _, blockSize := range []int64{512, 4096, 65536} {
			v, err := Unpack(t.Context(), bytes.NewReader(version1(d, blockSize, size)), &memory{limit: 1 << 30}, nil, nil)
			if err != nil {
				t.Fatal(size, blockSize, err)
			}
			d.Same(t, v, v.Map())
		}
	}
}

// sample is a small image of version 0002 made by partclone.
func sample(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	src, image := filepath.Join(dir, "src"), filepath.Join(dir, "image")
	vdisktest.Tool(t, "coreutils", "truncate", "-s", "1M", src)
	vdisktest.Tool(t, "dosfstools", "mkfs.vfat", "-F", "12", src)
	vdisktest.Tool(t, "partclone", "partclone.fat12", "-c", "-s", src, "-o", image, "-q", "-L", filepath.Join(dir, "log"))
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exercise unpacks bytes that may be damaged.
func exercise(t testing.TB, b []byte) error {
	t.Helper()
	stream, err := Decompress(bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer stream.Close()
	v, err := Unpack(context.Background(), stream, &memory{limit: 8 << 20}, nil, nil)
	if err == nil {
		vdisktest.Exercise(t, v, v.Map())
	}
	return err
}

func TestDamageIsFound(t *testing.T) {
	b := sample(t)
	if err := exercise(t, b); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(b); n += 1 + n/30 {
		if exercise(t, b[:n]) == nil {
			t.Errorf("%d of %d bytes are taken for an image", n, len(b))
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		at := rng.IntN(len(b))
		bad := bytes.Clone(b)
		bad[at] ^= 1 << rng.IntN(8)
		if exercise(t, bad) == nil {
			t.Fatalf("a bit of byte %d was changed, and nobody minds", at)
		}
	}
}

func TestRefuses(t *testing.T) {
	b := sample(t)
	for name, cmd := range map[string]string{"xz": "xz -1", "lz4": "lz4 -1"} {
		packed := filepath.Join(t.TempDir(), "packed")
		raw := filepath.Join(t.TempDir(), "raw")
		if err := os.WriteFile(raw, b, 0o600); err != nil {
			t.Fatal(err)
		}
		vdisktest.Tool(t, name+" or xz-utils", "sh", "-c", cmd+" <"+raw+" >"+packed)
		p, err := os.ReadFile(packed)
		if err != nil {
			t.Fatal(err)
		}
		if err := exercise(t, p); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := exercise(t, []byte("no image at all, but longer than a header of the second version is, which has one hundred and ten bytes")); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	refused := errors.New("no room")
	if _, err := Unpack(t.Context(), bytes.NewReader(b), &memory{}, func(*Header) error { return refused }, nil); !errors.Is(err, refused) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Unpack(ctx, bytes.NewReader(b), &memory{limit: 1 << 30}, nil, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(sample(f))
	f.Add(version1(vdisktest.Draw(20<<10, 1), 512, 4))
	f.Add(version1(vdisktest.Draw(20<<10, 1), 512, 8))
	f.Fuzz(func(t *testing.T, b []byte) { _ = exercise(t, b) })
}
