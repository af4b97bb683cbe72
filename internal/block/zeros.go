package block

import "bytes"

// Zeros says whether all of b are zeros.
func Zeros(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}
