package secret

import "fmt"

func unprotect(_ []byte, path string) ([]byte, error) {
	return nil, fmt.Errorf("read the password from %s: files protected by Windows are %w; use a file that only root can read, or a command", path, ErrUnsupported)
}

// Protect makes a file with a password that Windows encrypts for this machine.
func Protect(path string, _ []byte) error {
	return fmt.Errorf("protect the password in %s: encryption by the system is %w; use a file that only root can read (umask 077)", path, ErrUnsupported)
}
