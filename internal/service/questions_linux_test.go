package service

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeAnswer is the program that is asked: it notes what was asked and prints
// the file named after the verb. While there is a file "held", it waits.
func fakeAnswer(dir string, args []string) int {
	f, err := os.OpenFile(filepath.Join(dir, "asked"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, strings.Join(args, " "))
		err = errors.Join(err, f.Close())
	}
	for held := err == nil; held; {
		time.Sleep(5 * time.Millisecond)
		_, err := os.Stat(filepath.Join(dir, "held"))
		held = err == nil
	}
	b, readErr := os.ReadFile(filepath.Join(dir, args[0]+".answer"))
	if err = errors.Join(err, readErr); err != nil {
		fmt.Fprintln(os.Stderr, "ingot:", err)
		return 1
	}
	_, _ = os.Stdout.Write(b)
	if strings.Contains(string(b), `"status":"failed"`) {
		return 1
	}
	return 0
}

// asking is a rig whose program answers questions.
type asking struct {
	*rig
	dir string
}

func newAsking(t *testing.T, answers map[string]string) *asking {
	t.Helper()
	a := &asking{rig: newRig(t, map[string]string{"office": "end success 0"}), dir: os.Getenv("INGOT_TEST_PROGRAM")}
	for verb, text := range answers {
		a.put(verb+".answer", text)
	}
	a.start()
	return a
}

func (a *asking) put(name, text string) {
	a.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
		a.Fatal(err)
	}
}

// asked are the questions so far.
func (a *asking) asked() []string {
	b, _ := os.ReadFile(filepath.Join(a.dir, "asked"))
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

// Those who ask for the disks at the same time, and soon after, share an answer.
func TestDisksAreListedOnceForAll(t *testing.T) {
	a := newAsking(t, map[string]string{"disks": `{"path":"/dev/sda","size_bytes":7,"sector_bytes":512,"partitions":[]}` + "\n"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if disks, err := a.client.Disks(t.Context()); err != nil || len(disks) != 1 || disks[0].Path != "/dev/sda" {
				t.Errorf("%+v, %v", disks, err)
			}
		})
	}
	all.Wait()
	if asked := a.asked(); len(asked) != 1 || asked[0] != "disks --json --" {
		t.Errorf("%q", asked)
	}
}

func TestFailedQuestions(t *testing.T) {
	const failed = `{"status":"failed","error":"it is broken","hint":"mend it","exit_code":1}` + "\n"
	a := newAsking(t, map[string]string{"disks": failed, "sets": failed, "plan": failed})
	var p *Problem
	if _, err := a.client.Disks(t.Context()); !errors.As(err, &p) || p.Status != http.StatusBadGateway || p.Title != "it is broken" || p.Fix != "mend it" {
		t.Errorf("%v", err)
	}
	if _, err := a.client.Preview(t.Context(), "office", 7); !errors.As(err, &p) || p.Title != "it is broken" {
		t.Errorf("%v", err)
	}
	places, err := a.client.Sets(t.Context(), "office")
	if err != nil || len(places) != 1 || places[0].Place != "/mnt/office" || places[0].Error != "it is broken" || places[0].Fix != "mend it" || places[0].Found != nil {
		t.Errorf("%+v, %v", places, err)
	}
	want := "plan preview --json --days=7 -- " + filepath.Join(a.opts.Definitions, "office.xml")
	if asked := strings.Join(a.asked(), "\n"); !strings.Contains(asked, want+"\n") || !strings.Contains(asked, "sets --json -- /mnt/office") {
		t.Errorf("%s", asked)
	}
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	a := newAsking(t, nil)
	if err := os.WriteFile(filepath.Join(a.opts.Definitions, "bad.xml"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.eventually("the bad definition to be seen", func() bool {
		st, err := a.client.Status(t.Context())
		return err == nil && len(st.Definitions) == 2
	})
	ask := func(want int, ask func() error) {
		t.Helper()
		var p *Problem
		if err := ask(); !errors.As(err, &p) || p.Status != want {
			t.Errorf("want %d: %v", want, err)
		}
	}
	for name, status := range map[string]int{"nobody": 404, "bad": 409, "../x": 404} {
		ask(status, func() error { _, err := a.client.Sets(t.Context(), name); return err })
		ask(status, func() error { _, err := a.client.Preview(t.Context(), name, 1); return err })
	}
	for _, days := range []int{-1, mostDays + 1} {
		ask(400, func() error { _, err := a.client.Preview(t.Context(), "office", days); return err })
	}
	if asked := a.asked(); len(asked) > 0 {
		t.Errorf("%q", asked)
	}
}

// No more than two are asked at a time; the next one is told to come again, and
// gets in when one of them is done.
func TestTooManyQuestions(t *testing.T) {
	a := newAsking(t, map[string]string{"sets": `{"folder":"/mnt/office","sets":[],"unreadable":[]}` + "\n", "disks": ""})
	a.put("held", "")
	var all sync.WaitGroup
	for range maxQuestions {
		all.Go(func() {
			if places, err := a.client.Sets(t.Context(), "office"); err != nil || len(places) != 1 || places[0].Found == nil {
				t.Errorf("%+v, %v", places, err)
			}
		})
	}
	a.eventually("two questions", func() bool { return len(a.asked()) == maxQuestions })
	var p *Problem
	if _, err := a.client.Sets(t.Context(), "office"); !errors.As(err, &p) || p.Status != http.StatusTooManyRequests {
		t.Errorf("%v", err)
	}
	if _, err := a.client.Disks(t.Context()); !errors.As(err, &p) || p.Status != http.StatusTooManyRequests {
		t.Errorf("%v", err)
	}
	if err := os.Remove(filepath.Join(a.dir, "held")); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if disks, err := a.client.Disks(t.Context()); err != nil || len(disks) != 0 {
		t.Errorf("%+v, %v", disks, err)
	}
}
