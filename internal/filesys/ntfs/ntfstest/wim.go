package ntfstest

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ingot/internal/filesys/volumetest"
)

// Compacted compresses data by wimlib and gives the stream that Windows keeps
// for a file it compacts: a table of the offsets of all chunks but the first,
// then the chunks. Resources of WIM files have the same form. Kind is XPRESS or
// LZX.
func Compacted(t testing.TB, kind string, chunk int, data []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	src, wim := filepath.Join(dir, "src"), filepath.Join(dir, "wim")
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "data"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	volumetest.RunTool(t, "wimtools", "wimlib-imagex", "capture", src, wim, "--compress="+kind, fmt.Sprintf("--chunk-size=%d", chunk))
	b, err := os.ReadFile(wim)
	if err != nil {
		t.Fatal(err)
	}
	// The place of the table of resources stands in the header at byte 48; the
	// table is not compressed and has entries of 50 bytes: size and flags (2 is
	// for the folders), offset, size when expanded, and more.
	const size56 = 1<<56 - 1
	table := b[binary.LittleEndian.Uint64(b[56:]):][:binary.LittleEndian.Uint64(b[48:])&size56]
	for ; len(table) >= 50; table = table[50:] {
		size, at, plain := binary.LittleEndian.Uint64(table)&size56, binary.LittleEndian.Uint64(table[8:]), binary.LittleEndian.Uint64(table[16:])
		if plain == uint64(len(data)) && table[7]&2 == 0 {
			return b[at : at+size]
		}
	}
	t.Fatalf("wimlib did not keep the %d bytes", len(data))
	return nil
}
