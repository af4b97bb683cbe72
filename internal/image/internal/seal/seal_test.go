package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/zeebo/blake3"
)

// vector is one of testdata/vectors.json, which were made with other tools:
// Python's hashlib and hmac, and the openssl command line.
type vector struct {
	Password   string `json:"password"`
	ImageID    string `json:"imageid"`
	Iterations int64  `json:"key_iterations"`
	Key        string `json:"key"`
	HMAC       string `json:"hmac"`
	Bits       int    `json:"aes_bits"`
	File       uint16 `json:"file_number"`
	Disk       uint16 `json:"disk_number"`
	Partition  uint16 `json:"partition_number"`
	Area       uint8  `json:"area"`
	Index      uint32 `json:"index"`
	IV         string `json:"iv"`
	Plain      string `json:"plaintext"`
	Stored     string `json:"stored"`
	TagKey     string `json:"tag_key"`
	Tag        string `json:"tag"`
	HashKey    string `json:"hash_key"`
	SealKey    string `json:"seal_key"`
}

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var out []vector
	if err := json.Unmarshal(text, &out); err != nil || len(out) == 0 {
		t.Fatalf("%d vectors, %v", len(out), err)
	}
	return out
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (v *vector) keys(t *testing.T) (*Root, *Keys, Place) {
	t.Helper()
	id := [8]byte(unhex(t, v.ImageID))
	root, err := Derive([]byte(v.Password), id, v.Iterations)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := root.Keys(v.Bits)
	if err != nil {
		t.Fatal(err)
	}
	return root, keys, Place{ImageID: id, File: v.File, Disk: v.Disk, Partition: v.Partition, Area: v.Area, Index: v.Index}
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		root, keys, place := v.keys(t)
		w := keys.Worker()
		block := unhex(t, v.Plain)
		w.Encrypt(&place, block)
		tag := w.Tag(&place, block)
		for _, c := range []struct {
			name string
			got  []byte
			want string
		}{
			{"key", root[:], v.Key}, {"tag key", keys.tag, v.TagKey}, {"seal key", keys.meta, v.SealKey}, {"hash key", keys.hash, v.HashKey},
			{"iv", keys.vector(&place), v.IV}, {"stored", block, v.Stored}, {"tag", tag[:], v.Tag},
		} {
			if hex.EncodeToString(c.got) != c.want {
				t.Errorf("%s: the %s is %x, want %s", v.Password, c.name, c.got, c.want)
			}
		}
		if root.Check() != v.HMAC || !root.Right(v.HMAC) || root.Right(strings.ToUpper(v.HMAC)) {
			t.Errorf("%s: the check is %s, want %s", v.Password, root.Check(), v.HMAC)
		}
		if err := w.Decrypt(&place, block); err != nil || hex.EncodeToString(block) != v.Plain {
			t.Errorf("%s: decrypted to %x, %v", v.Password, block, err)
		}
		h, err := blake3.NewKeyed(keys.hash)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = h.Write(block)
		if got := w.Hash(block); !bytes.Equal(got[:], h.Sum(nil)) {
			t.Errorf("%s: hash %x", v.Password, got)
		}
	}
}

// TestAgainstOpenSSL has the openssl command decrypt what was encrypted here.
func TestAgainstOpenSSL(t *testing.T) {
	tool, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing: install the Debian package openssl")
	}
	for _, bits := range []int{128, 192, 256} {
		root, err := Derive([]byte("secret"), [8]byte{9, 8, 7}, MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := root.Keys(bits)
		if err != nil {
			t.Fatal(err)
		}
		place := Place{ImageID: [8]byte{9, 8, 7}, Disk: 2, Partition: 3, Area: 1, Index: 77}
		plain := bytes.Repeat([]byte("0123456789abcdef"), 999)
		stored := bytes.Clone(plain)
		keys.Worker().Encrypt(&place, stored)
		cmd := exec.Command(tool, "enc", "-d", fmt.Sprintf("-aes-%d-cbc", bits), "-nopad",
			"-K", hex.EncodeToString(root[:bits/8]), "-iv", hex.EncodeToString(keys.vector(&place)))
		cmd.Stdin = bytes.NewReader(stored)
		out, err := cmd.Output()
		if err != nil || !bytes.Equal(out, plain) {
			t.Errorf("AES-%d: openssl gives %d bytes, %v", bits, len(out), err)
		}
	}
}

// TestTagCoversItsPlace changes each thing a tag is over.
func TestTagCoversItsPlace(t *testing.T) {
	root, err := Derive([]byte("secret"), [8]byte{1}, MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := root.Keys(256)
	w := keys.Worker()
	place, stored := Place{ImageID: [8]byte{1}, File: 2, Disk: 3, Partition: 4, Area: 1, Index: 5}, make([]byte, 64)
	tag := w.Tag(&place, stored)
	for name, change := range map[string]func(p *Place, b *[]byte){
		"image id":  func(p *Place, _ *[]byte) { p.ImageID[7]++ },
		"file":      func(p *Place, _ *[]byte) { p.File++ },
		"disk":      func(p *Place, _ *[]byte) { p.Disk++ },
		"partition": func(p *Place, _ *[]byte) { p.Partition++ },
		"area":      func(p *Place, _ *[]byte) { p.Area = 0 },
		"index":     func(p *Place, _ *[]byte) { p.Index++ },
		"content":   func(_ *Place, b *[]byte) { (*b)[63] = 1 },
		"shorter":   func(_ *Place, b *[]byte) { *b = (*b)[:48] },
		"longer":    func(_ *Place, b *[]byte) { *b = append(*b, 0) },
	} {
		p, b := place, bytes.Clone(stored)
		change(&p, &b)
		if w.Authentic(&p, b, tag[:]) {
			t.Errorf("%s changed, and the tag is still right", name)
		}
	}
	if !w.Authentic(&place, stored, tag[:]) || w.Authentic(&place, stored, tag[:15]) || w.Authentic(&place, stored, nil) {
		t.Error("the tag itself")
	}
}

func TestRefusals(t *testing.T) {
	for _, n := range []int64{-1, 0, MinIterations - 1, MaxIterations + 1, 1 << 60} {
		if _, err := Derive([]byte("x"), [8]byte{}, n); err == nil {
			t.Errorf("%d iterations were taken", n)
		}
	}
	if _, err := Derive([]byte("a\x00b"), [8]byte{}, MinIterations); err == nil {
		t.Error("a password with a zero byte was taken")
	}
	root, _ := Derive([]byte("x"), [8]byte{}, MinIterations)
	for _, bits := range []int{0, 64, 129, 512} {
		if _, err := root.Keys(bits); err == nil {
			t.Errorf("AES-%d was made", bits)
		}
	}
	keys, _ := root.Keys(128)
	if err := keys.Worker().Decrypt(&Place{}, make([]byte, 15)); err == nil {
		t.Error("15 bytes were decrypted")
	}
}
