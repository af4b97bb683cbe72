package seal

import (
	"crypto/aes"
	"unsafe"
)

// In CBC mode each 16 bytes wait for those before them, and the processor could do
// eight at a time. As many stored blocks are therefore encrypted side by side.
const laneCount = 8

// lanes are stored blocks under way. The kernel knows how it is laid out.
type lanes struct {
	at  [laneCount]*byte
	iv  [laneCount][aes.BlockSize]byte // at the end: the last 16 bytes encrypted
	pad [laneStep]byte                 // what a lane without work works on
}

// laneStep is how many bytes are encrypted between two looks at which lanes are
// done.
const laneStep = 4096

// EncryptAll encrypts blocks in place; the length of each is a multiple of 16.
func (w *Worker) EncryptAll(places []Place, blocks [][]byte) {
	if w.keys.schedule == nil || len(blocks) < 2 {
		for i := range blocks {
			w.Encrypt(&places[i], blocks[i])
		}
		return
	}
	var left [laneCount][]byte // of the block of each lane
	l, next := &w.lanes, 0
	for {
		n, work := laneStep, false
		for i := range left {
			for len(left[i]) == 0 && next < len(blocks) {
				left[i], l.iv[i] = blocks[next], [aes.BlockSize]byte(w.keys.vector(&places[next]))
				next++
			}
			l.at[i] = &l.pad[0]
			if len(left[i]) > 0 {
				l.at[i], n, work = unsafe.SliceData(left[i]), min(n, len(left[i])), true
			}
		}
		if !work {
			return
		}
		w.keys.schedule.encrypt(l, n/aes.BlockSize)
		for i := range left {
			if len(left[i]) > 0 {
				left[i] = left[i][n:]
			}
		}
	}
}
