package secret

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// localMachine is CRYPTPROTECT_LOCAL_MACHINE: the service, which is another user,
// can read it too. Who may read the file decides (see trust.OpenSecret).
const localMachine = 0x4

// quiet is CRYPTPROTECT_UI_FORBIDDEN.
const quiet = 0x1

// purpose keeps files of other programs from being taken for ours.
const purpose = "Ingot backup password"

func blob(b []byte) *windows.DataBlob {
	return &windows.DataBlob{Size: uint32(len(b)), Data: unsafe.SliceData(b)}
}

// take copies what Windows allocated, and wipes and frees it.
func take(out *windows.DataBlob) ([]byte, error) {
	data := unsafe.Slice(out.Data, out.Size)
	copied := append([]byte(nil), data...)
	clear(data)
	_, err := windows.LocalFree(windows.Handle(unsafe.Pointer(out.Data)))
	return copied, err
}

func unprotect(data []byte, path string) ([]byte, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("read the password from %s: the file is empty", path)
	}
	var out windows.DataBlob
	if err := windows.CryptUnprotectData(blob(data), nil, blob([]byte(purpose)), 0, nil, quiet, &out); err != nil {
		return nil, fmt.Errorf("decrypt the password in %s, which only the machine that made it can: %w", path, err)
	}
	password, err := take(&out)
	if err != nil {
		return nil, err
	}
	if len(password) == 0 || len(password) > maxPassword {
		return nil, fmt.Errorf("%s gives a password of %d bytes", path, len(password))
	}
	return password, nil
}

// Protect makes a file with a password that Windows encrypts for this machine.
// The folder decides who can read it.
func Protect(path string, password []byte) error {
	if len(password) == 0 || len(password) > maxPassword {
		return fmt.Errorf("a password of %d bytes: between 1 and %d make sense", len(password), maxPassword)
	}
	name, err := windows.UTF16PtrFromString(purpose)
	if err != nil {
		return err
	}
	var out windows.DataBlob
	if err := windows.CryptProtectData(blob(password), name, blob([]byte(purpose)), 0, nil, quiet|localMachine, &out); err != nil {
		return fmt.Errorf("encrypt the password for %s: %w", path, err)
	}
	data, err := take(&out)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
