package query

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Exit codes of the program that callers tell apart, as its help lists them.
const (
	CodeUsage    = 2 // the question makes no sense: there is no such partition
	CodeDamaged  = 3 // the image is damaged, or a file of its set is missing
	CodeRefused  = 4 // it must not be done: a target that is in use or too small
	CodePassword = 5 // the password is missing or wrong
	codePartly   = 6 // some could not be read; the answer says which
)

// Error is the failure of a question.
type Error struct {
	Text string // what went wrong; it may quote names of disks and images
	Hint string // what can be done about it, or ""
	// Code is the exit code of the program; -1 when it was not the program that
	// ended: it crashed, took too long, or answered too much.
	Code int

	cause error
}

func (e *Error) Error() string { return e.Text }

// Unwrap gives what ended the question when that was the context.
func (e *Error) Unwrap() error { return e.cause }

const (
	maxComplaint = 16 << 10 // bytes of the standard error that are kept
	maxText      = 4 << 10  // bytes of a text of an Error
)

// told is the object that the program prints last when it fails.
type told struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Hint   string `json:"hint"`
	Code   int    `json:"exit_code"`
}

// failure takes a line of the output for a failure, if it is one. Results have
// no status "failed" and no exit code.
func failure(line []byte) *Error {
	var t told
	if !bytes.HasPrefix(line, []byte(`{"status":"failed"`)) || json.Unmarshal(line, &t) != nil || t.Code == 0 {
		return nil
	}
	return &Error{Text: cut(t.Error), Hint: cut(t.Hint), Code: t.Code}
}

// complained makes an error of what stands on the standard error: the program
// ends it with "ingot: ERROR" and perhaps "What to do: HINT". Nil is for what
// the program did not end by itself: the end of a panic.
func complained(b []byte) *Error {
	text, hint, _ := strings.Cut(strings.TrimSpace(string(b)), "\nWhat to do: ")
	i := strings.LastIndex("\n"+text, "\ningot: ")
	if i < 0 {
		return nil
	}
	return &Error{Text: cut(text[i+len("ingot: "):]), Hint: cut(hint)}
}

func cut(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return s
}

// complaint keeps the first bytes that are written to it.
type complaint struct{ b []byte }

func (c *complaint) Write(p []byte) (int, error) {
	c.b = append(c.b, p[:min(len(p), maxComplaint-len(c.b))]...)
	return len(p), nil
}
