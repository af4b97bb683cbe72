package service

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// quiet is how long a stream says nothing before it shows that it is alive.
const quiet = 15 * time.Second

// getEvents is a stream of server-sent events: all after the number in since (or
// the header Last-Event-ID), or those that come, of the topics asked for. A
// listener who has missed some is sent "reset" and has to look at everything
// anew.
func (s *Service) getEvents(w http.ResponseWriter, req *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		answer(w, nil, &Problem{"too many streams of events", http.StatusTooManyRequests, "too-many", "close some"})
		return
	}
	seq, err := s.sinceOf(req)
	if err != nil {
		answer(w, nil, err)
		return
	}
	var topics []string
	if t := req.URL.Query().Get("topics"); t != "" {
		topics = strings.Split(t, ",")
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
	fmt.Fprintf(w, "retry: 2000\n\n")
	s.stream(req, w, rc, seq, topics)
}

func (s *Service) sinceOf(req *http.Request) (uint64, error) {
	v := req.URL.Query().Get("since")
	if v == "" {
		v = req.Header.Get("Last-Event-ID")
	}
	if v == "" {
		return s.bus.now(), nil
	}
	seq, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, badRequest("since %q is no number of an event", v)
	}
	return seq, nil
}

// stream writes events until the other end or the service goes.
func (s *Service) stream(req *http.Request, w http.ResponseWriter, rc *http.ResponseController, seq uint64, topics []string) {
	more, end := s.bus.listen()
	defer end()
	beat := time.NewTicker(quiet)
	defer beat.Stop()
	for {
		events, whole := s.bus.since(seq)
		_ = rc.SetWriteDeadline(time.Now().Add(time.Minute))
		if !whole {
			seq = s.bus.now()
			fmt.Fprintf(w, "id: %d\nevent: reset\ndata: {}\n\n", seq)
			events = nil
		}
		for i := range events {
			seq = events[i].Seq
			if topics == nil || slices.Contains(topics, events[i].Topic) {
				fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", seq, events[i].Name, events[i].Data)
			}
		}
		if rc.Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-beat.C:
			fmt.Fprint(w, ": alive\n\n")
		case <-req.Context().Done():
			return
		case <-s.stop.Done():
			return
		}
	}
}
