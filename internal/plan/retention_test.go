package plan

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestParseKeep(t *testing.T) {
	for _, c := range []struct {
		text string
		want Keep
		back string
	}{
		{"4", Keep{4, Backups}, "4 backups"},
		{"1 backup", Keep{1, Backups}, "1 backup"},
		{"14d", Keep{14, Days}, "14 days"},
		{" 14 Days ", Keep{14, Days}, "14 days"},
		{"6w", Keep{6, Weeks}, "6 weeks"},
		{"3 months", Keep{3, Months}, "3 months"},
		{"1m", Keep{1, Months}, "1 month"},
		{"off", Keep{}, "off"},
	} {
		got, err := ParseKeep(c.text)
		if err != nil || got != c.want || got.String() != c.back {
			t.Errorf("ParseKeep(%q) = %+v (%s), %v; want %+v (%s)", c.text, got, got, err, c.want, c.back)
		}
	}
	for _, text := range []string{"", "0", "-1", "d", "4x", "4 years", "1.5d", "100000", "99999999999999999999", "4 4", "4b", "٤"} {
		if got, err := ParseKeep(text); err == nil {
			t.Errorf("ParseKeep(%q) = %+v, want an error", text, got)
		}
	}
}

func FuzzParseKeep(f *testing.F) {
	f.Add("14 days")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKeep(text)
		if err != nil {
			return
		}
		if again, err := ParseKeep(k.String()); err != nil || again != k {
			t.Fatalf("%q: %+v comes back as %+v, %v", text, k, again, err)
		}
	})
}

func TestKeepAsJSON(t *testing.T) {
	text, err := json.Marshal(Retention{Full: Keep{4, Weeks}})
	if err != nil || !strings.Contains(string(text), `"Full":"4 weeks"`) {
		t.Fatalf("%s, %v", text, err)
	}
	var back Retention
	if err := json.Unmarshal(text, &back); err != nil || back != (Retention{Full: Keep{4, Weeks}}) {
		t.Fatalf("%+v, %v", back, err)
	}
}

func TestCutoff(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keep      Keep
		now, want time.Time
	}{
		{Keep{2, Days}, day(2026, 3, 1), day(2026, 2, 27)},
		{Keep{2, Weeks}, day(2026, 1, 7), day(2025, 12, 24)},
		{Keep{1, Months}, day(2026, 3, 31), day(2026, 2, 28)},
		{Keep{1, Months}, day(2028, 3, 31), day(2028, 2, 29)},
		{Keep{14, Months}, day(2026, 1, 15), day(2024, 11, 15)},
		// The clocks go back on 2026-10-25: the day before is 25 hours ago.
		{Keep{1, Days}, time.Date(2026, 10, 25, 21, 0, 0, 0, berlin), time.Date(2026, 10, 24, 21, 0, 0, 0, berlin)},
	} {
		if got := c.keep.Cutoff(c.now); !got.Equal(c.want) {
			t.Errorf("%s before %s: %s, want %s", c.keep, c.now, got, c.want)
		}
	}
}

func TestCutoffNeverGoesBack(t *testing.T) {
	for n := 1; n <= 13; n++ {
		before := time.Time{}
		for now := day(2026, 1, 1); now.Year() < 2029; now = now.AddDate(0, 0, 1) {
			cut := Keep{n, Months}.Cutoff(now)
			if cut.Before(before) {
				t.Fatalf("%d months before %s: %s, a day earlier it was %s", n, now, cut, before)
			}
			before = cut
		}
	}
}

func TestCheck(t *testing.T) {
	for _, good := range []Retention{{}, {MinFree: LeastMinFree}, {MinFree: DefaultMinFree, Full: Keep{mostKeep, Months}, Scope: AllSets}} {
		if err := good.Check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []Retention{
		{Full: Keep{N: -1}}, {Incremental: Keep{1, 9}}, {Differential: Keep{mostKeep + 1, Days}}, {Scope: "some"},
		{MinFree: -1}, {MinFree: LeastMinFree - 1}, {Minimum: -1}, {GFS: GFS{Weekly: -1}},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 12, 0, 0, 0, time.UTC) }
