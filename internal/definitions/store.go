package definitions

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"ingot/internal/plan"
	"ingot/internal/secret"
	"ingot/internal/trust"
)

// Extension is that of definition files.
const Extension = ".xml"

// Store is a folder of definitions.
type Store struct {
	// Dir is the folder; "" is DefaultFolder.
	Dir string
}

// DefaultFolder is where the definitions of the machine are:
// /etc/ingot/definitions, or %ProgramData%\Ingot\definitions.
func DefaultFolder() string {
	if runtime.GOOS != "windows" {
		return "/etc/ingot/definitions"
	}
	data := os.Getenv("ProgramData")
	if data == "" {
		data = `C:\ProgramData`
	}
	return filepath.Join(data, "Ingot", "definitions")
}

// Folder is the folder of the store.
func (s Store) Folder() string {
	if s.Dir == "" {
		return DefaultFolder()
	}
	return s.Dir
}

// TemplateFolder is where the user's own templates are: beside the definitions.
func (s Store) TemplateFolder() string {
	return filepath.Join(filepath.Dir(filepath.Clean(s.Folder())), "templates")
}

// Entry is a definition file. One with an Err is there and cannot be used.
type Entry struct {
	Name string // without the extension
	Path string
	File *plan.File // nil with an Err that is not about what it names
	Err  error
}

// Path is where the definition of a name is; what has a separator or ends in
// .xml is a path already.
func (s Store) Path(nameOrFile string) string {
	if strings.ContainsAny(nameOrFile, `/\`) || strings.HasSuffix(strings.ToLower(nameOrFile), Extension) {
		return nameOrFile
	}
	return filepath.Join(s.Folder(), nameOrFile+Extension)
}

// Load reads a definition by its name in the folder, or by the path of a file,
// and checks that it, and what it names, can be trusted.
func (s Store) Load(nameOrFile string) (*Entry, error) {
	e := &Entry{Path: s.Path(nameOrFile)}
	e.Name = strings.TrimSuffix(filepath.Base(e.Path), Extension)
	data, err := trust.ReadFile(e.Path, plan.MaxXML)
	if err != nil {
		return e, fmt.Errorf("read the definition %s: %w", nameOrFile, err)
	}
	if e.File, err = plan.ParseXML(data); err != nil {
		return e, fmt.Errorf("read the definition %s: %w", e.Path, err)
	}
	if name := e.File.Definition.Name; name != e.Name && e.Path != nameOrFile {
		return e, fmt.Errorf("read the definition %s: its name is %q, that of the file has to be the same", e.Path, name)
	}
	e.Name = e.File.Definition.Name
	if err := CheckNamed(&e.File.Definition); err != nil {
		return e, fmt.Errorf("the definition %s: %w", e.Path, err)
	}
	return e, nil
}

// List reads all definitions of the folder, in the order of their names. A
// folder that is not there has none. What others can put files into is refused
// as a whole.
func (s Store) List() ([]Entry, error) {
	names, err := files(s.Folder())
	if err != nil {
		return nil, fmt.Errorf("read the folder of definitions: %w", err)
	}
	var out []Entry
	for _, name := range names {
		e, err := s.Load(strings.TrimSuffix(name, Extension))
		e.Err = err
		out = append(out, *e)
	}
	return out, nil
}

// files are the XML files in a folder that nobody else can put files into.
func files(dir string) ([]string, error) {
	if err := trust.Folder(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	list, err := os.ReadDir(dir)
	var out []string
	for _, e := range list {
		if name := e.Name(); strings.HasSuffix(name, Extension) && !strings.HasPrefix(name, ".") {
			out = append(out, name)
		}
	}
	return out, err
}

// CheckNamed says whether what a definition names can be trusted: the programs
// and folders of its hooks, the files and commands of its passwords.
func CheckNamed(d *plan.Definition) error {
	var errs []error
	for i, h := range d.Hooks {
		if err := trust.Command(h.Command); err != nil {
			errs = append(errs, fmt.Errorf("hook %d: %w", i+1, err))
		}
		if h.Dir != "" {
			if err := trust.Folder(h.Dir); err != nil {
				errs = append(errs, fmt.Errorf("hook %d: its folder: %w", i+1, err))
			}
		}
	}
	for _, ref := range Passwords(d) {
		if err := secret.Check(ref); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Passwords are all references to passwords in a definition.
func Passwords(d *plan.Definition) []plan.PasswordRef {
	refs := []plan.PasswordRef{d.Options.Password}
	for i := range d.Notify.Mail {
		refs = append(refs, d.Notify.Mail[i].Password)
	}
	for i := range d.Notify.Webhooks {
		refs = append(refs, d.Notify.Webhooks[i].Token)
	}
	return slices.DeleteFunc(refs, func(r plan.PasswordRef) bool { return !r.Given() })
}

// Templates are those that are built in and those of the user, who can have one
// of the same name stand in for one that is built in.
func (s Store) Templates() ([]plan.Template, error) {
	all := plan.Templates()
	dir := s.TemplateFolder()
	names, err := files(dir)
	if err != nil {
		return all, fmt.Errorf("read the folder of templates: %w", err)
	}
	for _, name := range names {
		data, err := trust.ReadFile(filepath.Join(dir, name), plan.MaxXML)
		if err != nil {
			return all, fmt.Errorf("read the template %s: %w", name, err)
		}
		t, err := plan.ParseTemplate(data)
		if err != nil {
			return all, fmt.Errorf("read the template %s: %w", filepath.Join(dir, name), err)
		}
		all = slices.DeleteFunc(all, func(other plan.Template) bool { return other.Name == t.Name })
		all = append(all, *t)
	}
	return all, nil
}
