package service

import "io/fs"

// shared says whether everybody may change what is in a folder. In one that is
// sticky, such as /tmp, all may add but nobody takes away what is another's.
func shared(_ string, st fs.FileInfo) bool {
	return st.Mode().Perm()&0o002 != 0 && st.Mode()&fs.ModeSticky == 0
}
