package service

import (
	"encoding/json"
	"sync"
)

// ringSize is how many events are kept for those who come back after a break.
const ringSize = 4096

// Event is something that happened in the service, as the interface gives it
// out.
type Event struct {
	Seq   uint64          `json:"seq"`
	Topic string          `json:"topic"` // job, definition, alert, service
	Name  string          `json:"event"` // job.queued, job.stage, job.progress, job.done, ...
	Data  json.RawMessage `json:"data"`
}

// bus passes events on to whoever listens. A listener that is too slow is told
// so and begins anew; the service never waits for one.
type bus struct {
	mu     sync.Mutex
	seq    uint64
	ring   []Event
	awaken map[chan struct{}]bool
}

// send gives an event to all listeners.
func (b *bus) send(topic, name string, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seq++
	b.ring = append(b.ring, Event{b.seq, topic, name, raw})
	if len(b.ring) > ringSize {
		b.ring = append([]Event{}, b.ring[len(b.ring)-ringSize/2:]...)
	}
	for c := range b.awaken {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// listen registers a listener; its channel has something when there are new
// events.
func (b *bus) listen() (c chan struct{}, end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.awaken == nil {
		b.awaken = map[chan struct{}]bool{}
	}
	c = make(chan struct{}, 1)
	b.awaken[c] = true
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.awaken, c)
	}
}

// now is the number of the last event.
func (b *bus) now() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seq
}

// since gives the events after number seq; whole is false when some of them are
// no longer there.
func (b *bus) since(seq uint64) (events []Event, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq > b.seq {
		return nil, false // of a service before this one
	}
	n := min(b.seq-seq, uint64(len(b.ring)))
	events = append(events, b.ring[uint64(len(b.ring))-n:]...)
	return events, n == b.seq-seq
}
