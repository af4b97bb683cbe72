package browse

import (
	"path"
	"slices"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	have := []string{`a.img`, `/mnt/b`, `/mnt/b 12:30/x.img`, `E:\backup\x.mrimgx`, `set`, `odd@name`, `a:b`, `\\.\PhysicalDrive0`, `E:`}
	for text, want := range map[string]Ref{
		`a.img`:                               {"a.img", "", ".", true},
		`a.img:`:                              {"a.img", "", ".", true},
		`a.img:2`:                             {"a.img", "2", ".", true},
		`a.img:2/`:                            {"a.img", "2", ".", true},
		`a.img:2/Users/me`:                    {"a.img", "2", "Users/me", false},
		`a.img:2\Users\me`:                    {"a.img", "2", `Users\me`, false},
		`a.img:1.2//a/./b/../c/`:              {"a.img", "1.2", "a/c", false},
		`a.img:2/../../etc/passwd`:            {"a.img", "2", "etc/passwd", false},
		`a.img:/x`:                            {"a.img", "", "x", false},
		`a.img:C:/Users`:                      {"a.img", "C", "Users", false},
		`a.img:C:\Users`:                      {"a.img", "C", `Users`, false},
		`a.img:c/Users`:                       {"a.img", "c", "Users", false},
		`a.img:my data/x`:                     {"a.img", "my data", "x", false},
		`a.img:2/file:stream`:                 {"a.img", "2", "file:stream", false},
		`a.img:2/what@home`:                   {"a.img", "2", "what@home", false},
		`/mnt/b 12:30/x.img:2/y`:              {"/mnt/b 12:30/x.img", "2", "y", false},
		`/mnt/b:3/y`:                          {"/mnt/b", "3", "y", false},
		`E:\backup\x.mrimgx`:                  {`E:\backup\x.mrimgx`, "", ".", true},
		`E:\backup\x.mrimgx:2/Users`:          {`E:\backup\x.mrimgx`, "2", "Users", false},
		`E:\backup\x.mrimgx@oldest:2/Users`:   {`E:\backup\x.mrimgx@oldest`, "2", "Users", false},
		`F:\none.mrimgx:2/Users`:              {`F:\none.mrimgx`, "2", "Users", false},
		`F:/none.mrimgx`:                      {`F:/none.mrimgx`, "", ".", true},
		`\\?\F:\none.mrimgx:2/Users`:          {`\\?\F:\none.mrimgx`, "2", "Users", false},
		`\\.\PhysicalDrive0:2/Users`:          {`\\.\PhysicalDrive0`, "2", "Users", false},
		`set@2026-11-24`:                      {"set@2026-11-24", "", ".", true},
		`set@2026-11-24:2/x`:                  {"set@2026-11-24", "2", "x", false},
		`set@newest:2`:                        {"set@newest", "2", ".", true},
		`set@2026-11-24T18:30`:                {"set@2026-11-24T18:30", "", ".", true},
		`set@2026-11-24T18:30:2/x`:            {"set@2026-11-24T18:30", "2", "x", false},
		`set@2026-11-24T18:30:12/x`:           {"set@2026-11-24T18:30", "12", "x", false},
		`set@2026-11-24T18:30:12`:             {"set@2026-11-24T18:30:12", "", ".", true},
		`set@2026-11-24T18:30:12:3`:           {"set@2026-11-24T18:30:12", "3", ".", true},
		`set@2026-11-24T18:30:00+01:00:2/a:b`: {"set@2026-11-24T18:30:00+01:00", "2", "a:b", false},
		`none@2026-11-24T18:30:00Z:2/a`:       {"none@2026-11-24T18:30:00Z", "2", "a", false},
		`none@2026-11-24T18:30`:               {"none@2026-11-24T18:30", "", ".", true},
		`odd@name:2/x`:                        {"odd@name", "2", "x", false},
		`odd@name@oldest:2/x`:                 {"odd@name@oldest", "2", "x", false},
		`a:b:2/x`:                             {"a:b", "2", "x", false},
		`none:2/x:y`:                          {"none", "2", "x:y", false},
	} {
		got, err := ParseRef(text, func(p string) bool { return slices.Contains(have, p) })
		if got != want || err != nil {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":2/x", "a.img:2/x\x00y"} {
		if got, err := ParseRef(text, func(p string) bool { return p == "a.img" }); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzRef(f *testing.F) {
	for _, s := range []string{`a.img:2/x`, `E:\x@2026-11-24T18:30:00+01:00:1.2/a:b`, `:`, `a@:b`} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		asked := 0
		r, err := ParseRef(text, func(p string) bool {
			if !strings.HasPrefix(text, p) {
				t.Errorf("%q: asked for %q", text, p)
			}
			asked++
			return asked == n
		})
		if !strings.HasPrefix(text, r.Image) {
			t.Errorf("%q: %+v", text, r)
		}
		if err != nil {
			return
		}
		if r.Path != "." && (path.Clean("/"+r.Path) != "/"+r.Path) || r.Image == "" {
			t.Errorf("%q: %+v", text, r)
		}
	})
}
