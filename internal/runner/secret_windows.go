package runner

import (
	"bytes"
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
)

// unprotect undoes CryptProtectData (DPAPI).
func unprotect(b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, errors.New("the file is empty")
	}
	in := windows.DataBlob{Size: uint32(len(b)), Data: &b[0]}
	var out windows.DataBlob
	if err := windows.CryptUnprotectData(&in, nil, nil, 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out); err != nil {
		return nil, err
	}
	defer func() { _, _ = windows.LocalFree(windows.Handle(unsafe.Pointer(out.Data))) }()
	return bytes.Clone(unsafe.Slice(out.Data, out.Size)), nil
}
