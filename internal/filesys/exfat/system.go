package exfat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"ingot/internal/block"
	"ingot/internal/fatchain"
)

// system is what the root directory says of the file system's own files.
type system struct {
	bitmaps [2]place // the second one is that of TexFAT
	upcase  place
	label   string
	proper  bool // the up-case table was read
}

// place is a file of the file system: its clusters are chained by the table.
type place struct {
	first, size int64
	sum         uint32 // of the up-case table
}

// parsePlace reads the fields that the entries of bitmap and up-case table have
// in common (specification, 7.1 and 7.2).
func parsePlace(e []byte) place {
	size := binary.LittleEndian.Uint64(e[24:])
	return place{int64(binary.LittleEndian.Uint32(e[20:])), int64(min(size, 1<<62)), binary.LittleEndian.Uint32(e[4:])}
}

// readSystem reads the root directory up to its end. What the specification has
// once must be there once.
func (v *Volume) readSystem() (system, error) {
	var s system
	var doubt error
	for set, err := range sets(v.root.chain(), maxDirSize) {
		if err != nil {
			if !errors.Is(err, errSet) {
				return s, err
			}
			v.warn("The root directory is damaged (%v). Run chkdsk /f on the volume in Windows or fsck.exfat in Linux.", err)
			continue
		}
		if err := s.add(set.entries); err != nil && doubt == nil {
			doubt = err
		}
	}
	if doubt == nil {
		doubt = s.check(&v.boot)
	}
	return s, doubt
}

// add takes an entry of the root directory.
func (s *system) add(e []byte) error {
	switch kind := e[0]; {
	case kind == typeBitmap:
		return once(&s.bitmaps[e[1]&1], parsePlace(e), "allocation bitmap")
	case kind == typeUpcase:
		return once(&s.upcase, parsePlace(e), "up-case table")
	case kind == typeLabel:
		s.label = labelText(e)
	case kind != typeFile && kind&typeBenign == 0:
		return fmt.Errorf("exFAT root directory: an entry of type %#x is not known", kind)
	}
	return nil
}

func once(p *place, to place, name string) error {
	if p.size > 0 {
		return fmt.Errorf("exFAT root directory: there is more than one %s", name)
	}
	*p = to
	return nil
}

// check fails unless each bitmap that there must be has a bit for each cluster.
func (s *system) check(b *Boot) error {
	need := (b.TotalClusters + 7) / 8
	for i := range b.FATs {
		if got := s.bitmaps[i].size; got < need {
			return fmt.Errorf("exFAT root directory: allocation bitmap %d has %d bytes, for %d clusters it takes %d", i+1, got, b.TotalClusters, need)
		}
	}
	if b.FATs == 1 && s.bitmaps[1].size > 0 {
		return errors.New("exFAT root directory: there are two allocation bitmaps with one table")
	}
	if s.upcase.size == 0 {
		return errors.New("exFAT root directory: there is no up-case table")
	}
	return nil
}

// bitmap is allocation bitmap i.
func (v *Volume) bitmap(i int64) bitmap {
	p := v.sys.bitmaps[i]
	return bitmap{v.space.Chain(p.first).Reader(p.size, p.size), &v.boot}
}

// active is the number of the bitmap in use.
func (v *Volume) active() int64 {
	if v.boot.FATs == 2 && v.boot.Flags&flagActive != 0 {
		return 1
	}
	return 0
}

// ends is what counts as used whatever the bitmap says: all that lies before
// the clusters and behind them.
func (v *Volume) ends() block.Extents {
	end := v.boot.heapEnd()
	return block.NewExtents(block.Extent{Off: 0, Len: v.boot.DataStart}, block.Extent{Off: end, Len: v.r.Size() - end})
}

// What is checked of the tree in any case: beyond that it takes longer than a
// look at a disk may.
const (
	checkFolders = 500      // the first ones, level by level
	checkBytes   = 64 << 20 // of these
	checkChained = 1 << 20  // clusters of files that the table chains
)

// checkBits fails when clusters of the file system's own files, or of a file or
// folder near the root, are marked as free.
func (v *Volume) checkBits() error {
	own := map[string]int64{"the up-case table": v.sys.upcase.first, "the root directory": v.boot.RootCluster}
	for i := range v.boot.FATs {
		own[fmt.Sprintf("allocation bitmap %d", i+1)] = v.sys.bitmaps[i].first
	}
	c := v.newClaims()
	for who, first := range own {
		if err := c.claim(v.space.Chain(first), v.boot.TotalClusters, who); err != nil {
			return err
		}
	}
	chained := int64(checkChained)
	return v.folders(checkFolders, checkBytes, func(n *node, _ error) error {
		if n == nil { // what cannot be read is no proof of anything
			return nil
		}
		clusters := n.clusters()
		if n.chain().Table() {
			if chained -= clusters; chained < 0 {
				clusters = min(clusters, 1)
			}
		}
		err := c.file(n, clusters)
		if _, broken := err.(brokenChain); broken {
			return nil // nor is this
		}
		return err
	})
}

// claims compares what files claim with the bitmap in use.
type claims struct {
	bits usedBits
	sum  int64 // clusters of files
}

func (v *Volume) newClaims() *claims {
	return &claims{bits: usedBits{bitmap: v.bitmap(v.active())}}
}

// file claims the first clusters of a file.
func (c *claims) file(n *node, clusters int64) error {
	if c.sum += clusters; c.sum > n.v.boot.TotalClusters {
		return fmt.Errorf("exFAT: the files have more clusters than there are (%d)", n.v.boot.TotalClusters)
	}
	return c.claim(n.chain(), clusters, fmt.Sprintf("%q", n.Name()))
}

// claim fails when one of the first clusters of a chain is marked as free, or
// the chain breaks among them.
func (c *claims) claim(chain fatchain.Chain, clusters int64, who string) error {
	if clusters <= 0 {
		return nil
	}
	for run, err := range chain.Runs() {
		if err != nil {
			return brokenChain{fmt.Errorf("exFAT: %s: %w", who, err)}
		}
		free, ok, err := c.bits.all(run.First, min(run.N, clusters))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("exFAT: cluster %d of %s is marked as free", free, who)
		}
		if clusters -= run.N; clusters <= 0 {
			return nil
		}
	}
	return nil
}

// brokenChain is the error of a chain that cannot be followed.
type brokenChain struct{ error }

// Unwrap gives what is wrong with it.
func (b brokenChain) Unwrap() error { return b.error }

// folders gives each file and folder of the first folders to check, or the
// error that is in its place. After count folders, or when they have more than
// these bytes, it is enough.
func (v *Volume) folders(count int, bytes int64, check func(*node, error) error) error {
	seen := map[int64]bool{}
	for pending := []*node{v.root}; len(pending) > 0 && count > 0; count-- {
		folder := pending[0]
		pending = pending[1:]
		if bytes -= folder.file.size; bytes < 0 {
			return nil
		}
		for n, err := range (*format)(v).nodes(folder) {
			if err := check(n, err); err != nil {
				return err
			}
			if n != nil && n.IsDir() && !seen[n.file.first] {
				seen[n.file.first] = true
				pending = append(pending, n)
			}
		}
	}
	return nil
}

// checkTree fails when a cluster of any file is marked as free, or when not all
// directories can be read.
func (v *Volume) checkTree() error {
	c := v.newClaims()
	return v.folders(math.MaxInt, math.MaxInt64, func(n *node, err error) error {
		if err == nil {
			err = c.file(n, n.clusters())
		}
		if err != nil {
			err = fmt.Errorf("%w (all files were checked, since more clusters are in use by PercentInUse than by the allocation bitmap)", err)
		}
		return err
	})
}
