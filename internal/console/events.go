package console

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"ingot/internal/service"
)

// beat is how long a stream says nothing before it shows that it is alive.
const beat = 15 * time.Second

// eventName is what events are called; nothing else is passed on.
var eventName = regexp.MustCompile(`^[a-z]+(\.[a-z]+)*$`)

// events passes on what the service tells, until the browser or the service
// goes.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	told := make(chan service.Event)
	var err error
	go func() {
		defer close(told)
		err = c.Service.Events(ctx, func(e service.Event) error {
			select {
			case told <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	defer func() {
		cancel()
		for range told { // until the other goroutine has ended
		}
		if err != nil && r.Context().Err() == nil {
			c.Log.Info("the stream of events has ended", "error", err)
		}
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	c.stream(w, r, told)
}

func (c *Console) stream(w http.ResponseWriter, r *http.Request, told <-chan service.Event) {
	rc := http.NewResponseController(w)
	quiet := time.NewTicker(beat)
	defer quiet.Stop()
	say := "retry: 2000\n\n"
	for {
		_ = rc.SetWriteDeadline(time.Now().Add(time.Minute)) // not all writers have one
		if _, err := fmt.Fprint(w, say); err != nil {
			return
		}
		if rc.Flush() != nil {
			return
		}
		select {
		case e, ok := <-told:
			if !ok {
				return
			}
			say = ""
			if data := string(e.Data); eventName.MatchString(e.Name) && !strings.ContainsAny(data, "\r\n") {
				say = fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.Seq, e.Name, data)
			}
		case <-quiet.C:
			say = ": alive\n\n"
		case <-r.Context().Done():
			return
		}
	}
}
