package tui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"ingot/internal/job"
	"ingot/internal/service"
)

// fake is a World of answers by the first words of the command.
type fake struct {
	answers map[string]string // "verify" -> lines
	fails   map[string]*Failure
	said    map[string][]string
	events  []job.Event
	exists  bool
	ran     []string
	wait    bool // runs with events last until they are cancelled
}

func (f *fake) Run(ctx context.Context, tell func(job.Event), args ...string) (*Answer, error) {
	line := strings.Join(args, " ")
	f.ran = append(f.ran, line)
	if tell != nil {
		for _, e := range f.events {
			tell(e)
		}
		if f.wait {
			<-ctx.Done()
			return &Answer{}, &Failure{Text: "cancelled", Code: 130}
		}
	}
	best := ""
	for key := range f.answers {
		if strings.HasPrefix(line, key) && len(key) > len(best) {
			best = key
		}
	}
	a := &Answer{Said: f.said[best]}
	for l := range strings.Lines(f.answers[best]) {
		a.Objects = append(a.Objects, json.RawMessage(l))
	}
	for key, fail := range f.fails {
		if strings.HasPrefix(line, key) {
			return a, fail
		}
	}
	return a, nil
}

func (f *fake) Status(context.Context) (service.Status, error) {
	return service.Status{}, service.ErrNotRunning
}

func (f *fake) Runs(context.Context) ([]service.Run, error) {
	return []service.Run{{ID: 7, Definition: "system", State: service.Failed, Error: "no room", Began: time.Unix(1e9, 0)}}, nil
}

func (f *fake) Log(context.Context, uint64) ([]service.Line, error) {
	return []service.Line{{Kind: "note", Text: "a line of the log"}}, nil
}

func (f *fake) Exists(string) bool { return f.exists }

const (
	twoDisks = `{"path":"/dev/sda","model":"Alpha","serial":"SER-1234","size_bytes":100000000000,"sector_bytes":512,"partitions":[{"number":1,"file_system":"NTFS","label":"C","size_bytes":100,"used_bytes":50},{"number":2,"file_system":"FAT32","size_bytes":100,"used_bytes":1}]}
{"path":"/dev/sdb","model":"Beta","size_bytes":200000000000,"sector_bytes":512,"partitions":[]}
`
	oneSet = `{"folder":"/b","sets":[{"image_id":"AB","host":"PC","disk":"Alpha","points":[{"file":"AB-00-00.mrimgx","type":"full","time":"2026-11-20T10:00:00Z","bytes":10,"needs":["AB-00-00.mrimgx"]},{"file":"AB-01-01.mrimgx","type":"inc","time":"2026-11-21T10:00:00Z","bytes":10,"needs":["AB-00-00.mrimgx","AB-01-01.mrimgx"],"missing":"a file is missing"}]}],"unreadable":[]}`
)

func newFake() *fake {
	return &fake{
		answers: map[string]string{
			"disks": twoDisks, "disks -- /dev/sda": strings.SplitAfter(twoDisks, "\n")[0], "disks -- /dev/sdb": strings.SplitAfter(twoDisks, "\n")[1],
			"sets": oneSet, "show": `{"maker":"Ingot","encryption":"none"}`,
			"ls -- /b/AB-00-00.mrimgx":     `{"partition":"1","file_system":"NTFS","readable":true}`,
			"ls -- /b/AB-00-00.mrimgx:1/":  `{"path":"Users","type":"folder"}` + "\n" + `{"path":"a.txt","type":"file","size_bytes":3}`,
			"ls -- /b/AB-00-00.mrimgx:1/U": `{"path":"Users/me.txt","type":"file","size_bytes":3}`,
			"cp":                           `{"status":"done","files":1,"bytes":3}`,
			"verify":                       `{"status":"good","blocks":5,"bytes":10}`,
			"image":                        `{"status":"done","file":"AB-00-00.mrimgx","folder":"/b","type":"full","verified_blocks":9}`,
			"image --to=/b --dry-run":      `{"path":"/dev/sda","partitions":[{"number":1,"used_bytes":50}],"warnings":["a warning"]}`,
			"restore --dry-run":            `{"status":"dry run","fingerprint":"f00","new_table":true,"lost":[{"number":9,"name":"lost","size_bytes":1024}],"will_hold":[{"name":"partition 1 (NTFS)","size_bytes":5}]}`, "restore --yes": `{"status":"done","bytes":10,"checked":true}`, "restore --verify": `{"status":"done","bytes":10}`,
		},
		fails:  map[string]*Failure{"restore --dry-run -- /b/AB-00-00.mrimgx /dev/sda": {Text: "/dev/sda is in use", Code: 4}},
		said:   map[string][]string{},
		events: []job.Event{{Kind: job.Stage, Stage: "verify", Total: 10}, {Kind: job.Progress, Stage: "verify", Done: 5, Total: 10, Rate: 2e6, Left: 61}, {Kind: job.Warning, Text: "beware"}},
	}
}

// paths are ways through the screens: what is picked or typed, where that must
// lead, and what the program was run with in the end.
func paths() map[string]struct {
	do, want []string
	ran      string
} {
	type path = struct {
		do, want []string
		ran      string
	}
	return map[string]path{
		"disks":         {[]string{"6", "1"}, []string{"Alpha", "SER-1234", "NTFS"}, ""},
		"point facts":   {[]string{"5", "=/b", "1", "2"}, []string{"Made by Ingot", "Restore it"}, "show -- /b/AB-00-00.mrimgx"},
		"missing point": {[]string{"5", "=/b", "1", "1"}, []string{"Not possible: a file is missing"}, ""},
		"file given":    {[]string{"4", "=/b/AB-00-00.mrimgx"}, []string{"The image is good", "All 5 blocks"}, "verify -- /b/AB-00-00.mrimgx"},
		"browse":        {[]string{"3", "=/b", "1", "2", "1", "2"}, []string{"me.txt"}, "ls -- /b/AB-00-00.mrimgx:1/Users"},
		"copy out":      {[]string{"3", "=/b", "1", "2", "1", "3", "1", "=/out"}, []string{"Copied to /out", "[ok] 1 file"}, "cp -- /b/AB-00-00.mrimgx:1/a.txt /out"},
		"image":         {[]string{"1", "1", "3", "=/b", "1"}, []string{"The image is made", "all 9 blocks"}, "image --to=/b --verify -- /dev/sda"},
		"image a part":  {[]string{"1", "1", "2", "3", "=/b", "2", "1"}, []string{"The image is made"}, "image --to=/b --partitions=1 -- /dev/sda"},
		"image nothing": {[]string{"1", "1", "1", "2", "3"}, []string{"Not possible: Tick at least one"}, ""},
		"image summary": {[]string{"1", "1", "3", "=/b"}, []string{"[!] a warning", "[x] Verify"}, "image --to=/b --dry-run -- /dev/sda"},
		"refused":       {[]string{"2", "=/b", "1", "2", "1"}, []string{"Not possible: /dev/sda is in use"}, ""},
		"losses":        {[]string{"2", "=/b", "1", "2", "2"}, []string{"gets a new partition table", "partition 9  1.0 KiB  lost", "partition 1 (NTFS)"}, ""},
		"not confirmed": {[]string{"2", "=/b", "1", "2", "2", "1", "=yes"}, []string{"That is not it. Nothing was written."}, ""},
		"confirmed":     {[]string{"2", "=/b", "1", "2", "2", "1", "=200"}, []string{"Restored", "[ok] Checked"}, "restore --yes --expect=f00 --verify --check -- /b/AB-00-00.mrimgx /dev/sdb"},
		"to a new file": {[]string{"2", "=/b", "1", "2", "3", "=/n.img", "1"}, []string{"Restored"}, "restore --verify --check -- /b/AB-00-00.mrimgx /n.img"},
		"history":       {[]string{"7", "1"}, []string{"Run 7 of system", "no room", "a line of the log"}, ""},
	}
}

func checkPath(t *testing.T, w *fake, shown string, want []string, ran string) {
	t.Helper()
	for _, s := range want {
		if !strings.Contains(shown, s) {
			t.Errorf("no %q in\n%s", s, shown)
		}
	}
	if ran != "" && w.ran[len(w.ran)-1] != ran {
		t.Errorf("ran %q, want %q", w.ran[len(w.ran)-1], ran)
	}
}

func TestLines(t *testing.T) {
	for name, p := range paths() {
		t.Run(name, func(t *testing.T) {
			w := newFake()
			in := strings.ReplaceAll(strings.Join(p.do, "\n")+"\n", "=", "")
			var out strings.Builder
			if err := Plain(t.Context(), w, strings.NewReader(in), &out); err != nil {
				t.Fatal(err)
			}
			screens := strings.Split(out.String(), "\n\n==")
			checkPath(t, w, screens[len(screens)-1], p.want, p.ran)
		})
	}
}

// typist presses keys without a terminal.
type typist struct {
	t *testing.T
	f *full
}

func newTypist(t *testing.T, w World) *typist {
	m, first := New()
	f := &full{m: m, w: w, ctx: t.Context(), wg: &sync.WaitGroup{}, width: 80, height: 25}
	f.send = func(msg tea.Msg) { f.update(msg) }
	k := &typist{t, f}
	k.settle(f.begin(first))
	return k
}

// settle does what is to be done until nothing is.
func (k *typist) settle(cmd tea.Cmd) {
	for cmd != nil {
		msg := cmd()
		if _, over := msg.(tea.QuitMsg); over {
			return
		}
		cmd = k.f.update(msg)
	}
}

func (k *typist) press(keys ...tea.KeyPressMsg) {
	for _, key := range keys {
		k.settle(k.f.update(key))
	}
}

func (k *typist) text(s string) {
	for _, r := range s {
		k.press(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func TestKeys(t *testing.T) {
	for name, p := range paths() {
		t.Run(name, func(t *testing.T) {
			w := newFake()
			k := newTypist(t, w)
			for _, s := range p.do {
				if text, ok := strings.CutPrefix(s, "="); ok {
					k.text(text)
					k.press(tea.KeyPressMsg{Code: tea.KeyEnter})
					continue
				}
				k.text(s)
			}
			checkPath(t, w, unstyled(k.f.draw()), p.want, p.ran)
			checkSize(t, k.f)
		})
	}
}

// checkSize draws the screen, which must have room on the terminal.
func checkSize(t *testing.T, f *full) {
	t.Helper()
	lines := strings.Split(f.draw(), "\n")
	if len(lines) != f.height {
		t.Errorf("%d lines on a screen of %d", len(lines), f.height)
	}
	for _, l := range lines {
		if cells(l) > f.width {
			t.Errorf("%d cells in a line of %d: %q", cells(l), f.width, l)
		}
	}
}

func TestArrows(t *testing.T) {
	k := newTypist(t, newFake())
	down, enter := tea.KeyPressMsg{Code: tea.KeyDown}, tea.KeyPressMsg{Code: tea.KeyEnter}
	k.press(down, down, down, down, down, enter)
	if got := k.f.m.Screen().Title; got != "Disks of this machine" {
		t.Fatalf("at %q", got)
	}
	k.press(tea.KeyPressMsg{Code: tea.KeyEscape})
	if k.f.m.At() != 5 {
		t.Errorf("the cursor is at %d after going back", k.f.m.At())
	}
	k.press(tea.KeyPressMsg{Code: tea.KeyF1})
	if k.f.m.Screen().Title != "Help" {
		t.Error("F1 gives no help")
	}
	k.press(tea.KeyPressMsg{Code: tea.KeyF10})
	if !strings.HasPrefix(k.f.m.Screen().Title, "Ingot") {
		t.Error("F10 does not go home")
	}
	k.press(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
	if !k.f.m.Ended {
		t.Error("Ctrl-C does not leave")
	}
}

// Every screen has room on every terminal, however small.
func TestSmallTerminals(t *testing.T) {
	for _, s := range [][2]int{{20, 8}, {40, 12}, {80, 24}, {200, 60}} {
		for _, p := range paths() {
			k := newTypist(t, newFake())
			k.f.update(tea.WindowSizeMsg{Width: s[0], Height: s[1]})
			checkSize(t, k.f)
			for _, do := range p.do {
				k.text(strings.TrimPrefix(do, "="))
				if strings.HasPrefix(do, "=") {
					k.press(tea.KeyPressMsg{Code: tea.KeyEnter})
				}
				checkSize(t, k.f)
			}
		}
	}
}

// While something runs, one line c cancels it.
func TestCancelByLine(t *testing.T) {
	w := newFake()
	w.wait = true
	var out strings.Builder
	if err := Plain(t.Context(), w, strings.NewReader("4\n/b/AB-00-00.mrimgx\nc\nq\n"), &out); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"verify: 50 %, 5 B of 10 B, 2 MB/s, 1:01 left", "[!] beware", "Cancelling", "[X] cancelled"} {
		if !strings.Contains(out.String(), s) {
			t.Errorf("no %q in\n%s", s, out.String())
		}
	}
}

// While something runs, only c twice in a row is heard.
func TestCancelByKey(t *testing.T) {
	w := newFake()
	w.wait = true
	k := newTypist(t, w)
	k.text("4/b/AB-00-00.mrimgx")
	cmd := k.f.update(tea.KeyPressMsg{Code: tea.KeyEnter}) // asks for the folder
	cmd = k.f.update(cmd())                                // begins to verify
	if cmd == nil || k.f.m.Screen().Run == nil {
		t.Fatal("nothing runs")
	}
	end := make(chan tea.Msg)
	events := make(chan tea.Msg, 10)
	k.f.send = func(msg tea.Msg) { events <- msg }
	go func() { end <- cmd() }()
	for range w.events {
		k.f.update(<-events)
	}
	if shown := unstyled(k.f.draw()); !strings.Contains(shown, "50 %") || !strings.Contains(shown, "[!] beware") {
		t.Errorf("no progress in\n%s", shown)
	}
	k.text("cxc")
	select {
	case <-end:
		t.Fatal("c, x, c cancelled it")
	default:
	}
	k.text("c")
	k.settle(k.f.update(<-end))
	if !strings.Contains(k.f.draw(), "cancelled") {
		t.Errorf("not told as cancelled:\n%s", k.f.draw())
	}
}

// Nothing is restored when the program does not say what would be lost.
func TestNoFingerprint(t *testing.T) {
	w := newFake()
	w.answers["restore --dry-run"] = `{"status":"dry run"}`
	var out strings.Builder
	if err := Plain(t.Context(), w, strings.NewReader("2\n/b\n1\n2\n2\n"), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "does not say what would be lost") {
		t.Errorf("not refused:\n%s", out.String())
	}
}

// Texts from disks and images never hold a control character on the terminal.
func TestHostileTexts(t *testing.T) {
	evil := "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2028\r\nX\x7f\xff\xc2\x9b"
	quoted, _ := json.Marshal(evil)
	w := newFake()
	for key, text := range w.answers {
		for _, word := range []string{"Alpha", "SER-1234", "NTFS", "PC", "Ingot", "a warning", "a.txt", "none", "me.txt", "lost", "partition 1"} {
			text = strings.ReplaceAll(text, `"`+word, string(quoted[:len(quoted)-1]))
		}
		w.answers[key] = text
	}
	w.events = append(w.events, job.Event{Kind: job.Note, Text: evil}, job.Event{Kind: job.Stage, Stage: evil}, job.Event{Kind: job.Progress, Object: evil})
	w.fails["restore --dry-run -- /b/AB-00-00.mrimgx /dev/sda"] = &Failure{Text: evil, Hint: evil, Code: 1}
	w.fails["cp"] = &Failure{Text: evil, Hint: evil}
	for name, p := range paths() {
		var out strings.Builder
		if err := Plain(t.Context(), w, strings.NewReader(strings.ReplaceAll(strings.Join(p.do, "\n")+"\n", "=", "")), &out); err != nil {
			t.Fatal(err)
		}
		harmless(t, name+" by lines", out.String())
		k := newTypist(t, w)
		for _, do := range p.do {
			k.text(strings.TrimPrefix(do, "="))
			if strings.HasPrefix(do, "=") {
				k.press(tea.KeyPressMsg{Code: tea.KeyEnter})
			}
			for _, ascii := range []bool{false, true} {
				k.f.o.ASCII = ascii
				harmless(t, name+" by keys", unstyled(k.f.draw()))
				checkSize(t, k.f)
			}
		}
	}
}

// unstyled is text without the sequences that styles are made of, and only those.
func unstyled(s string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(s, "\x1b[")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		n := strings.IndexFunc(after, func(r rune) bool { return r != ';' && (r < '0' || r > '9') })
		if n < 0 || after[n] != 'm' {
			out.WriteString("\x1b")
			s = after
			continue
		}
		s = after[n+1:]
	}
}

func harmless(t *testing.T, where, s string) {
	t.Helper()
	for _, r := range s {
		if r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2028' {
			t.Fatalf("%s: character %#x in %q", where, r, s)
		}
	}
}

func TestClean(t *testing.T) {
	if got, want := clean("a\x1b[2J\tb\x00\x7f\u202ec\xff"), "a\u241b[2J\u2409b\u2400\u2421\ufffdc\ufffd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDefinitionTexts(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)
	for _, c := range []struct {
		d    service.DefinitionStatus
		want string
	}{
		{service.DefinitionStatus{Name: "a", State: "ready"}, "[?] a: there is no good backup yet, no run is planned."},
		{service.DefinitionStatus{Name: "a", State: "ready", LastGood: now.Add(-3 * time.Hour), Next: now.Add(time.Hour)}, "[ok] a: the last good backup was made 3 hours ago, the next run is on Wed 25 Nov 2026 13:00."},
		{service.DefinitionStatus{Name: "a", State: "paused", Overdue: true, LastGood: now.Add(-72 * time.Hour)}, "[!] a: the last good backup was made 3 days ago, it is paused."},
		{service.DefinitionStatus{Name: "a", State: "refused", Problem: "line 3"}, "[X] a is refused: line 3"},
	} {
		if got := definitionText(&c.d, now); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What a program that is at fault prints is an error, and nothing else.
func TestOddAnswers(t *testing.T) {
	a := &Answer{}
	var fail Failure
	for _, line := range []string{"", "x", "[]", "null", `{"status":"failed","error":"no","exit_code":4}`, `{"kind":"note","text":"n"}`, `{"a":1}`} {
		a.take([]byte(line), &fail, nil)
	}
	if fail.Text != "no" || fail.Code != 4 {
		t.Errorf("failure %+v", fail)
	}
	if _, ok := last[result3](a); !ok || len(a.Objects) != 2 { // null and {"a":1}
		t.Errorf("objects %q", a.Objects)
	}
	if err := ended(t.Context(), errors.New("x"), a, &fail); err == nil {
		t.Error("an error got lost")
	}
}

type result3 struct{ A int }

func ExampleMachine() {
	m, _ := New()
	fmt.Println(m.Screen().Title, m.Busy)
	// Output: Ingot true
}
