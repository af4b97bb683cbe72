package console

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"ingot/internal/console/view"
)

// filePage gives out a file of an image. What can be known before the first byte
// goes out is told on a page; what comes later breaks the connection, so that
// nobody takes a part for the whole.
func (c *Console) filePage(w http.ResponseWriter, r *http.Request, p place) {
	p.Path = clean(p.Path)
	ask, err := c.ask(r.Context(), p)
	var f io.ReadCloser
	if err == nil {
		f, err = ask.Read(r.Context(), p.image(), p.Part, p.Path)
	}
	if err != nil {
		c.failImages(w, r, p, err)
		return
	}
	defer f.Close()
	buf := make([]byte, 256<<10)
	n, err := fill(f, buf)
	whole := errors.Is(err, io.EOF)
	if err != nil && !whole {
		c.failImages(w, r, p, err)
		return
	}
	headDownload(w.Header(), base(p.Path))
	// Files are large and lines slow: the time for pages is not meant for them.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if _, err := w.Write(buf[:n]); err != nil || whole || r.Method == http.MethodHead {
		return
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, buf); err != nil {
		c.Log.Warn("a download was cut short", "error", err)
		panic(http.ErrAbortHandler)
	}
}

// fill reads until buf is full or the file ends, which is io.EOF also behind some
// bytes.
func fill(f io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = f.Read(buf[n:])
		n += k
	}
	return n, err
}

// headDownload says that bytes are to be kept and never shown or run.
func headDownload(h http.Header, name string) {
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", attachment(name))
	h.Set("Content-Security-Policy", "sandbox")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
}

// attachment is the Content-Disposition of a file (RFC 6266): a name in ASCII, and
// the real one in UTF-8 (RFC 8187).
func attachment(name string) string {
	const attrChars = "!#$&+-.^_`|~" // RFC 8187, 3.2.1
	var plain, coded strings.Builder
	for _, r := range view.Text(name) {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		switch {
		case letter || r < 0x80 && strings.ContainsRune(attrChars+" ()[],;=@'{}", r):
			plain.WriteRune(r)
		default:
			plain.WriteByte('_')
		}
		if letter || r < 0x80 && strings.ContainsRune(attrChars, r) {
			coded.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			fmt.Fprintf(&coded, "%%%02X", c)
		}
	}
	return `attachment; filename="` + plain.String() + `"; filename*=UTF-8''` + coded.String()
}
