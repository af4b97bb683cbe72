package disk

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// answer builds a structure of n bytes from fields at offsets.
func answer(n int, fields map[int]any) []byte {
	b := make([]byte, n)
	for off, v := range fields {
		if s, ok := v.(string); ok {
			copy(b[off:], s)
			continue
		}
		if _, err := binary.Encode(b[off:], binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return b
}

func TestDecodeGeometry(t *testing.T) {
	b := answer(40, map[int]any{0: int64(60801), 8: uint32(12), 12: uint32(255), 16: uint32(63), 20: uint32(512), 24: int64(500107862016)})
	g, err := decodeGeometry(b)
	if want := (winGeometry{sector: 512, size: 500107862016}); err != nil || g != want {
		t.Errorf("%+v, %v", g, err)
	}
	b[8] = 11
	if g, _ := decodeGeometry(b); !g.removable {
		t.Error("media type 11 is removable")
	}
	b[20], b[21] = 8, 2
	if _, err := decodeGeometry(b); err == nil || !strings.Contains(err.Error(), "BytesPerSector at offset 20 is 520") {
		t.Errorf("sectors of 520: %v", err)
	}
}

func TestDecodeDriveLayout(t *testing.T) {
	b := answer(48+4*144, map[int]any{
		0: uint32(1), 4: uint32(4), // GPT
		48 + 8: int64(1 << 20), 48 + 16: int64(100 << 20), 48 + 24: uint32(1),
		192 + 8: int64(101 << 20), 192 + 16: int64(16 << 20), 192 + 24: uint32(2),
		480 + 8: int64(117 << 20), 480 + 16: int64(1 << 40), 480 + 24: uint32(3),
	})
	got, err := decodeDriveLayout(b)
	want := []winPartition{{1, 1 << 20, 100 << 20}, {2, 101 << 20, 16 << 20}, {3, 117 << 20, 1 << 40}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	b[4] = 5
	if _, err := decodeDriveLayout(b); err == nil || !strings.Contains(err.Error(), "PartitionCount at offset 4 is 5, there are bytes for 4") {
		t.Errorf("five of four: %v", err)
	}
}

func TestDecodeDeviceDescriptor(t *testing.T) {
	b := answer(128, map[int]any{
		0: uint32(40), 4: uint32(128), 10: byte(1), 12: uint32(40), 16: uint32(50), 20: uint32(70), 24: uint32(80), 28: uint32(7),
		40: "Acme    \x00", 50: "Stick 3.0       \x00", 70: "1.00\x00", 80: "   AA00012345\x00",
	})
	got, err := decodeDeviceDescriptor(b)
	want := winDescriptor{vendor: "Acme", product: "Stick 3.0", revision: "1.00", serial: "AA00012345", bus: "usb", removable: true}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	binary.LittleEndian.PutUint32(b[12:], 0xFFFFFFFF) // as some drivers say "none"
	binary.LittleEndian.PutUint32(b[16:], 0)
	if got, err := decodeDeviceDescriptor(b); err != nil || got.vendor != "" || got.product != "" {
		t.Errorf("%+v, %v", got, err)
	}
	for n, want := range map[uint32]string{0x11: "nvme", 0xB: "sata", 0xF: "file", 0x10: "spaces", 0xE: "virtual", 8: "raid", 1: "scsi", 3: "ata", 0xC: "sd", 99: ""} {
		if got := winBus(n); got != want {
			t.Errorf("bus %d: %q, want %q", n, got, want)
		}
	}
}

func TestDecodeNumbers(t *testing.T) {
	if n, err := decodeAlignment(answer(28, map[int]any{0: uint32(28), 4: uint32(28), 16: uint32(512), 20: uint32(4096)})); n != 4096 || err != nil {
		t.Errorf("alignment %d, %v", n, err)
	}
	if n, err := decodeLength(answer(8, map[int]any{0: int64(1 << 41)})); n != 1<<41 || err != nil {
		t.Errorf("length %d, %v", n, err)
	}
	if n, err := decodeDeviceNumber(answer(12, map[int]any{0: uint32(7), 4: uint32(3), 8: uint32(0xFFFFFFFF)})); n != 3 || err != nil {
		t.Errorf("number %d, %v", n, err)
	}
	b := answer(8+2*24, map[int]any{0: uint32(2), 8: uint32(1), 16: int64(1 << 20), 24: int64(1 << 30), 32: uint32(4), 40: int64(2 << 20), 48: int64(3 << 30)})
	got, err := decodeExtents(b)
	if want := []winExtent{{1, 1 << 20, 1 << 30}, {4, 2 << 20, 3 << 30}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("extents %+v, %v", got, err)
	}
	b[3] = 0x80
	if _, err := decodeExtents(b); err == nil {
		t.Error("2147483650 extents: no error")
	}
}

// decoders are all of them, for what must hold for any bytes.
func decodeAll(b []byte) []error {
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	_, err := decodeGeometry(b)
	add(err)
	_, err = decodeDriveLayout(b)
	add(err)
	_, err = decodeDeviceDescriptor(b)
	add(err)
	_, err = decodeAlignment(b)
	add(err)
	_, err = decodeLength(b)
	add(err)
	_, err = decodeDeviceNumber(b)
	add(err)
	_, err = decodeExtents(b)
	return append(errs, err)
}

func TestDecodeTruncated(t *testing.T) {
	for n := range 600 {
		decodeAll(make([]byte, n))
		errs := decodeAll(bytes.Repeat([]byte{0xFF}, n))
		if n < 8 && slices.Contains(errs, nil) {
			t.Errorf("%d bytes: a decoder takes them: %v", n, errs)
		}
	}
}

func FuzzIOCTL(f *testing.F) {
	f.Add(answer(48+4*144, map[int]any{0: uint32(1), 4: uint32(4), 56: int64(1 << 20), 64: int64(1 << 30)}))
	f.Add(answer(128, map[int]any{12: uint32(40), 16: uint32(127), 40: "Acme\x00"}))
	f.Fuzz(func(t *testing.T, b []byte) { decodeAll(b) })
}

func TestGUIDOrder(t *testing.T) {
	t.Parallel()
	b := []byte{0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B}
	if got := guid(b); got != typeESP {
		t.Errorf("got %s", got)
	}
}
