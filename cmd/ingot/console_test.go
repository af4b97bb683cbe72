package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"ingot/internal/job"
)

// TestProgressOnATerminal has the line drawn anew, and what follows it begin a
// line of its own.
func TestProgressOnATerminal(t *testing.T) {
	var screen bytes.Buffer
	p := &painter{w: &screen}
	c := &console{out: &screen, errs: &screen, painter: p}
	p.draw(job.Event{Kind: job.Stage, Stage: "image"})
	p.draw(job.Event{Kind: job.Progress, Stage: "image", Done: 1 << 20, Total: 4 << 20, Rate: 2e6, Left: 75, Object: "partition 3 (NTFS)"})
	p.draw(job.Event{Kind: job.Warning, Text: "look out"})
	p.draw(job.Event{Kind: job.Progress, Stage: "image", Done: 4 << 20, Total: 4 << 20})
	c.note("done")
	want := "\r\x1b[Kimage    25%  1.0 MiB of 4.0 MiB  2 MB/s  1:15 left  partition 3 (NTFS)\n" +
		"Warning: look out\n" +
		"\r\x1b[Kimage   100%  4.0 MiB of 4.0 MiB\n" +
		"done\n"
	if got := screen.String(); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestProgressInAFile has a line now and then, and no control characters.
func TestProgressInAFile(t *testing.T) {
	var file bytes.Buffer
	p := &printer{w: &file, every: 10 * time.Second}
	for i := range 25 {
		p.print(job.Event{Time: time.Unix(int64(1000+i), 0), Kind: job.Progress, Stage: "verify", Done: int64(i), Total: 25})
	}
	if n := strings.Count(file.String(), "\n"); n != 3 || strings.ContainsAny(file.String(), "\r\x1b") {
		t.Errorf("%d lines: %q", n, file.String())
	}
}
