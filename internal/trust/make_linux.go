package trust

import "os"

// MakeFolder makes a folder, and those above it, that nobody else may look
// into. One that is there is left as it is.
func MakeFolder(path string) error { return os.MkdirAll(path, 0o700) }
