package image

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/zeebo/blake3"

	"ingot/internal/dest"
	"ingot/internal/image/internal/seal"
)

// A journal lies beside an image that is being written. It is a row of segments,
// each of which says what more is on stable storage: which blocks, where, and
// with which hashes. A run that is cut short leaves both, and a later one walks
// through the source once more: what it finds in the journal with the same strong
// hash it need not store again.
//
//	u32 length of the head, u32 length of the records
//	head     JSON, see segmentHead
//	records  journalRecordSize bytes each
//	check    32 bytes over the check before and all of the above: HMAC-SHA-256
//	         in an encrypted image, else BLAKE3
type journal struct {
	ctx   context.Context // of the run
	store dest.Keeper
	keys  *seal.Keys
	first segmentHead // of the first segment
	every time.Duration
	now   func() time.Time

	file  dest.Kept // nil before the first segment
	good  bool      // a segment is on stable storage
	files []dest.Kept
	sizes []int64        // of the files, as of the last segment; what ended before is final
	data  *xxhash.Digest // of what was written to them since then
	recs  []byte
	check []byte
	last  time.Time
}

// segmentHead is the JSON of a segment. All but the last two are in the first one
// only.
type segmentHead struct {
	Version   int         `json:"version,omitempty"`
	Name      string      `json:"name,omitempty"` // of the first file of the image
	Began     time.Time   `json:"began,omitzero"`
	ImageID   string      `json:"image_id,omitempty"`
	GUID      string      `json:"backup_guid,omitempty"`
	Iteration int64       `json:"key_iterations,omitempty"`
	Asked     *asked      `json:"asked,omitempty"`
	Files     []leftFile  `json:"files"`
	Sum       json.Number `json:"xxh64"` // of what the files have more than before
}

// leftFile is a file of the image that is not finished.
type leftFile struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
}

const (
	journalSuffix  = ".journal"
	journalVersion = 1
	// journalRecordSize: u16 partition, u8 area, u8 zero, u32 block, u32 stored
	// length, MD5, strong hash, mark.
	journalRecordSize = 12 + 16 + strongSize + markSize
	// journalBuffer is after how many bytes of records a segment is written, even
	// if it is early.
	journalBuffer = 4 << 20
	// defaultFlush is how much of a run is lost at most.
	defaultFlush = time.Minute
)

func newJournal(ctx context.Context, store dest.Keeper, keys *seal.Keys, every time.Duration) *journal {
	if every == 0 {
		every = defaultFlush
	}
	return &journal{ctx: ctx, store: store, keys: keys, every: every, now: time.Now, data: xxhash.New(), last: time.Now()}
}

// begin begins the next file of the image.
func (j *journal) begin(ctx context.Context, name string) (dest.Pending, error) {
	f, err := j.store.Keep(ctx, name)
	if err != nil {
		return nil, err
	}
	j.files, j.sizes = append(j.files, f), append(j.sizes, 0)
	return f, nil
}

// Write implements io.Writer: what goes into the files goes by here.
func (j *journal) Write(p []byte) (int, error) {
	n, err := j.files[len(j.files)-1].Write(p)
	_, _ = j.data.Write(p[:n]) // never fails
	j.sizes[len(j.sizes)-1] += int64(n)
	return n, err
}

// note takes a block that was stored into the next segment.
func (j *journal) note(part int, a Area, r *record) {
	b := binary.LittleEndian.AppendUint16(j.recs, uint16(part))
	b = append(b, byte(a), 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(r.piece))
	b = binary.LittleEndian.AppendUint32(b, r.size)
	b = append(append(b, r.sum[:]...), r.strong[:]...)
	j.recs = append(b, r.mark[:]...)
}

// due says that it is time for a segment.
func (j *journal) due() bool {
	return len(j.recs) >= journalBuffer || len(j.recs) > 0 && j.now().Sub(j.last) >= j.every
}

// flush brings what was written to stable storage, and then a segment that says
// so. Nothing may wait in a buffer above.
func (j *journal) flush() error {
	if err := j.files[len(j.files)-1].Sync(); err != nil {
		return err
	}
	head := segmentHead{}
	if j.file == nil {
		f, err := j.store.Keep(j.ctx, j.first.Name+journalSuffix)
		if err != nil {
			return err
		}
		j.file, head = f, j.first
	}
	for i, f := range j.files {
		head.Files = append(head.Files, leftFile{f.Key(), j.sizes[i]})
	}
	head.Sum = json.Number(fmt.Sprint(j.data.Sum64()))
	text, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("write the journal of an image: %w", err)
	}
	seg := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	seg = binary.LittleEndian.AppendUint32(seg, uint32(len(j.recs)))
	seg = append(append(seg, text...), j.recs...)
	check := segmentCheck(j.keys, j.check)
	check.Write(seg)
	j.check = check.Sum(nil)
	if _, err := j.file.Write(append(seg, j.check...)); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.data.Reset()
	j.good = true
	j.recs, j.last = j.recs[:0], j.now()
	return nil
}

func segmentCheck(keys *seal.Keys, before []byte) hash.Hash {
	var h hash.Hash = blake3.New()
	if keys != nil {
		h = keys.Meta()
	}
	_, _ = io.WriteString(h, "ingot journal")
	h.Write(before)
	return h
}

// worth says that there is something to go on with.
func (j *journal) worth() bool { return j != nil && j.good }

// leave closes everything and lets it lie.
func (j *journal) leave() error {
	var errs []error
	for _, f := range j.files {
		errs = append(errs, f.Leave())
	}
	if j.file != nil {
		errs = append(errs, j.file.Leave())
	}
	return errors.Join(errs...)
}

// drop deletes the journal, and the files that are not finished.
func (j *journal) drop() error {
	if j == nil {
		return nil
	}
	var errs []error
	for _, f := range j.files {
		errs = append(errs, f.Abort())
	}
	if j.file != nil {
		errs = append(errs, j.file.Abort())
	}
	return errors.Join(errs...)
}
