package test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMedia fills one small medium after another with an image, and restores it
// from the parts of all of them.
func TestMedia(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	src, at, all := filepath.Join(dir, "src.img"), filepath.Join(dir, "medium"), filepath.Join(dir, "all")
	newNoise(t, src, 50<<20)
	for _, d := range []string{at, all} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	insert := func(n int) {
		t.Helper()
		medium := filepath.Join(dir, fmt.Sprintf("%d.ext4", n))
		sh(t, "truncate", "-s", "24M", medium)
		sh(t, "mkfs.ext4", "-q", "-m", "0", medium)
		sh(t, "mount", "-o", "loop", medium, at)
	}
	eject := func() {
		t.Helper()
		sh(t, "sh", "-c", fmt.Sprintf("cp %s/*.mrimgx %s && umount %s", at, all, at))
	}
	insert(0)
	t.Cleanup(func() { _ = exec.Command("umount", at).Run() })

	cmd := exec.Command(ingot, "image", src, "--to", at, "--span", "--name", "m", "--compression", "none")
	answers, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	asked, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	media, text, said := 1, bufio.NewReader(asked), ""
	for {
		line, err := text.ReadString(':')
		said += line
		if err == io.EOF {
			break
		}
		if !strings.HasSuffix(line, "Type yes to go on:") {
			continue
		}
		// The first time nobody exchanges it: it is asked for again.
		if media > 1 {
			eject()
			insert(media)
		} else if left, _ := filepath.Glob(filepath.Join(at, "*")); len(left) == 0 {
			t.Error("the first medium is asked to go and holds nothing")
		}
		media++
		fmt.Fprintln(answers, "yes")
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	eject()
	if media < 4 {
		t.Errorf("%d media were asked for:\n%s", media, said)
	}
	parts, _ := filepath.Glob(filepath.Join(all, "m-00-*.mrimgx"))
	if len(parts) < 3 {
		t.Fatalf("the parts are %v", parts)
	}
	sh(t, ingot, "verify", all)
	back := filepath.Join(dir, "back.img")
	sh(t, ingot, "restore", all, back)
	if digest(t, back) != digest(t, src) {
		t.Error("it restores to something else")
	}
}
