package trust

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

// open opens a file and then checks it, by its handle, and all that is above
// it: by the path that was asked for, and by the one it really has.
func open(name string, k kind) (*os.File, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	f, err := openHandle(abs)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if err := checkOpened(f, name, abs, k); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// openHandle opens a file or folder to read, sharing it with readers only.
func openHandle(path string) (*os.File, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(p, windows.GENERIC_READ|windows.READ_CONTROL, windows.FILE_SHARE_READ, nil, windows.OPEN_EXISTING,
		windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(h), path), nil
}

func checkOpened(f *os.File, name, abs string, k kind) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.IsDir() != (k == folder) {
		return fmt.Errorf("%s is not of the kind that is wanted: a folder, or a file", name)
	}
	me, err := currentUser()
	if err != nil {
		return fmt.Errorf("find out who runs this: %w", err)
	}
	sd, err := windows.GetSecurityInfo(windows.Handle(f.Fd()), windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err == nil {
		err = judge(sd, name, abs, forbidden(k, true), me)
	}
	if err != nil {
		return err
	}
	final, err := finalPath(f)
	if err != nil {
		return fmt.Errorf("find where %s lies: %w", name, err)
	}
	for _, p := range append(above(abs), above(final)...) {
		sd, err := windows.GetNamedSecurityInfo(p, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
		if err != nil {
			return &fs.PathError{Op: "read the access list of", Path: p, Err: err}
		}
		if err := judge(sd, name, p, forbidden(k, false), me); err != nil {
			return err
		}
	}
	return nil
}

// above are the folders above a path, the nearest first.
func above(path string) []string {
	var out []string
	for {
		up := filepath.Dir(path)
		if up == path {
			return out
		}
		out = append(out, up)
		path = up
	}
}

// finalPath is the path of an open file without links.
func finalPath(f *os.File) (string, error) {
	buf := make([]uint16, 1<<15)
	n, err := windows.GetFinalPathNameByHandle(windows.Handle(f.Fd()), &buf[0], uint32(len(buf)), 0)
	if err != nil {
		return "", err
	}
	path := windows.UTF16ToString(buf[:n])
	if share, ok := strings.CutPrefix(path, `\\?\UNC\`); ok {
		return `\\` + share, nil
	}
	return strings.TrimPrefix(path, `\\?\`), nil
}

func currentUser() (string, error) {
	u, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return "", err
	}
	return u.User.Sid.String(), nil
}

// judge refuses an object that others own or have one of the rights to.
func judge(sd *windows.SECURITY_DESCRIPTOR, name, at string, rights uint32, me string) error {
	mend := fmt.Sprintf(`takeown /A /F %s && icacls %s /inheritance:r /grant:r *%s:(F) *%s:(F)`, quote(at), quote(at), sidSystem, sidAdministrators)
	owner, _, err := sd.Owner()
	if err != nil || owner == nil {
		return fmt.Errorf("read the owner of %s: %w", at, err)
	}
	if !trustedSID(owner.String(), me) {
		return &Error{Path: name, At: at, Reason: "belongs to " + account(owner.String()), Mend: mend}
	}
	list, err := entries(sd)
	if err != nil {
		return fmt.Errorf("read the access list of %s: %w", at, err)
	}
	if list == nil {
		return &Error{Path: name, At: at, Reason: "has no access list, so that everybody may write it", Mend: mend}
	}
	if who := grants(list, rights&^reading, me); who != "" {
		return &Error{Path: name, At: at, Reason: "can be changed by " + account(who), Mend: mend}
	}
	if who := grants(list, rights&reading, me); who != "" {
		return &Error{Path: name, At: at, Reason: "can be read by " + account(who), Mend: mend}
	}
	return nil
}

// account is the name of a user or group, as far as the machine knows it.
func account(sid string) string {
	s, err := windows.StringToSid(sid)
	if err != nil {
		return sid
	}
	name, domain, _, err := s.LookupAccount("")
	if err != nil {
		return sid
	}
	return strings.TrimPrefix(domain+`\`+name, `\`)
}

// entries are those of the access list; nil when there is none.
func entries(sd *windows.SECURITY_DESCRIPTOR) ([]ace, error) {
	acl, _, err := sd.DACL()
	if err != nil || acl == nil {
		return nil, err
	}
	out := []ace{}
	for i := range uint32(acl.AceCount) {
		var e *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(acl, i, &e); err != nil {
			return nil, err
		}
		a := ace{mask: uint32(e.Mask), inheritOnly: e.Header.AceFlags&windows.INHERIT_ONLY_ACE != 0}
		switch e.Header.AceType {
		case windows.ACCESS_ALLOWED_ACE_TYPE:
			a.allow = true
			a.sid = (*windows.SID)(unsafe.Pointer(&e.SidStart)).String()
		case windows.ACCESS_DENIED_ACE_TYPE:
		default:
			// Object, callback and other entries: what they grant is not known
			// here, so that they are taken to grant everything to all.
			a.allow, a.mask, a.sid = true, 1<<32-1, "an entry of kind "+fmt.Sprint(e.Header.AceType)
		}
		out = append(out, a)
	}
	return out, nil
}
