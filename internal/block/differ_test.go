package block

import (
	"reflect"
	"strings"
	"testing"
)

// TestDifferTouching has extents that touch within a map and between the maps,
// and walks that are left early.
func TestDifferTouching(t *testing.T) {
	a, b := Extents{{0, 5}, {5, 5}, {20, 5}}, Extents{{3, 4}, {10, 10}, {22, 9}}
	want := Extents{{0, 3}, {7, 3}, {10, 10}, {20, 2}, {25, 6}}
	var got Extents
	for e, err := range Differ(a, b).Extents() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for range Differ(a, b).Extents() {
		break
	}
}

func TestDifferPassesErrors(t *testing.T) {
	for _, m := range []Map{
		Differ(failing{Extent{0, 1}}, Extents{{0, 1}, {5, 1}}),
		Differ(Extents{{0, 1}, {5, 1}}, failing{Extent{0, 1}}),
	} {
		if _, err := Bytes(m); err == nil || !strings.Contains(err.Error(), "bad sector") {
			t.Errorf("error %v was lost", err)
		}
	}
}
