package block

import (
	"errors"
	"reflect"
	"testing"
)

func TestJoined(t *testing.T) {
	in := []Extent{{Off: 0, Len: 2}, {Off: 2, Len: 3}, {Off: 9, Len: 1}, {Off: 10, Len: 1}, {Off: 20, Len: 5}}
	want := Extents{{Off: 0, Len: 5}, {Off: 9, Len: 2}, {Off: 20, Len: 5}}
	broken := errors.New("broken")
	walk := func(err error) Map {
		return Joined(func(add func(Extent) bool) error {
			for _, e := range in {
				if !add(e) {
					return errors.New("the walk was left")
				}
			}
			return err
		})
	}
	for stop := range 4 {
		var got Extents
		var last error
		for e, err := range walk(broken).Extents() {
			if last = err; err == nil {
				got = append(got, e)
			}
			if len(got) == stop && stop > 0 {
				break
			}
		}
		if stop == 0 && (!reflect.DeepEqual(got, want) || last != broken) {
			t.Errorf("%v, %v", got, last)
		}
		if stop > 0 && !reflect.DeepEqual(got, want[:stop]) {
			t.Errorf("left after %d: %v", stop, got)
		}
	}
}
