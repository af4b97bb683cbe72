package fat

import (
	"fmt"

	"ingot/internal/fatchain"
)

// What is checked of the tree: beyond that it takes longer than a look at a disk
// may.
const (
	checkFolders  = 500     // the first ones, level by level
	checkClusters = 1 << 20 // of files and folders in them
)

// checkTree fails when a file or folder near the root has a cluster that all
// tables say is free: its contents would be lost, though they can be read.
func (v *Volume) checkTree() error {
	budget := int64(checkClusters)
	seen := map[int64]bool{}
	pending := []*node{v.root}
	for folders := 0; len(pending) > 0 && folders < checkFolders; folders++ {
		folder := pending[0]
		pending = pending[1:]
		for info, err := range (*format)(v).List(folder) {
			if err != nil {
				continue // what cannot be read is no proof of anything
			}
			if budget--; budget < -checkClusters {
				return nil
			}
			n := info.(*node)
			if err := v.checkChain(n, &budget); err != nil {
				return err
			}
			if n.IsDir() && !seen[n.entry.cluster] {
				seen[n.entry.cluster] = true
				pending = append(pending, n)
			}
		}
	}
	return nil
}

// checkChain follows the chain of a file, of which the first cluster is always
// looked at.
func (v *Volume) checkChain(n *node, budget *int64) error {
	for c := n.entry.cluster; v.space.Has(c); {
		e, err := v.space.Entry(c)
		if err == nil && e == 0 {
			err = v.free(c, n)
		}
		if err != nil {
			return err
		}
		if *budget--; *budget < 0 {
			return nil
		}
		c = int64(e)
	}
	return nil
}

// free fails when a cluster that the table in use says is free is so in the
// others too.
func (v *Volume) free(cluster int64, n *node) error {
	for i := range v.boot.FATs {
		g := v.space.Geometry
		g.Table = v.boot.FATOffset + i*v.boot.FATSize
		e, err := fatchain.New(v.r, g).Entry(cluster)
		if e != 0 || err != nil {
			return err
		}
	}
	return fmt.Errorf("FAT: cluster %d of %q is marked as free", cluster, n.Name())
}
