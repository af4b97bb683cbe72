package seal

import (
	"crypto/rand"
	"testing"
)

func benchWorker(b *testing.B) (*Worker, []byte) {
	r, err := Derive([]byte("password"), [8]byte{1}, MinIterations)
	if err != nil {
		b.Fatal(err)
	}
	k, err := r.Keys(256)
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 64<<10)
	_, _ = rand.Read(data)
	b.SetBytes(int64(len(data)))
	return k.Worker(), data
}

func BenchmarkEncrypt(b *testing.B) {
	w, data := benchWorker(b)
	for b.Loop() {
		w.Encrypt(&Place{}, data)
	}
}

func BenchmarkDecrypt(b *testing.B) {
	w, data := benchWorker(b)
	for b.Loop() {
		_ = w.Decrypt(&Place{}, data) // 64 KiB are a multiple of 16
	}
}

func BenchmarkTag(b *testing.B) {
	w, data := benchWorker(b)
	for b.Loop() {
		w.Tag(&Place{}, data)
	}
}

func BenchmarkHash(b *testing.B) {
	w, data := benchWorker(b)
	for b.Loop() {
		w.Hash(data)
	}
}

func BenchmarkEncryptAll(b *testing.B) {
	w, _ := benchWorker(b)
	places, blocks := make([]Place, 16), make([][]byte, 16)
	for i := range blocks {
		blocks[i] = make([]byte, 30<<10+i<<8)
		b.SetBytes(int64(len(blocks)) * 32 << 10)
	}
	for b.Loop() {
		w.EncryptAll(places, blocks)
	}
}
