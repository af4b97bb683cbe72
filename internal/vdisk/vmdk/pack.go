package vmdk

import (
	"bytes"
	"encoding/binary"

	"github.com/klauspost/compress/zlib"
)

// packer compresses grains, each into a buffer of its own.
type packer struct {
	bufs []*bytes.Buffer
	used int
	z    *zlib.Writer
}

func newPacker() *packer {
	// The level is right, so that there is no error.
	z, err := zlib.NewWriterLevel(nil, 3)
	if err != nil {
		panic(err)
	}
	return &packer{z: z}
}

// reset lets go of what pack returned so far.
func (p *packer) reset() { p.used = 0 }

// pack returns a grain, that of byte at of the disk, as it lies in a stream: its
// head, and its bytes compressed.
func (p *packer) pack(raw []byte, at int64) ([]byte, error) {
	if p.used == len(p.bufs) {
		p.bufs = append(p.bufs, new(bytes.Buffer))
	}
	buf := p.bufs[p.used]
	p.used++
	buf.Reset()
	buf.Write(binary.LittleEndian.AppendUint64(nil, uint64(at/sector)))
	buf.Write(make([]byte, 4))
	p.z.Reset(buf)
	if _, err := p.z.Write(raw); err != nil {
		return nil, err
	}
	if err := p.z.Close(); err != nil {
		return nil, err
	}
	b := buf.Bytes()
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)-grainHead))
	return b, nil
}
