package bench

import (
	"errors"
	"testing"
)

func TestParseProcessors(t *testing.T) {
	got, err := parseProcessors("cpu  100 10 200 600 50 5 15 20 7 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
	if want := (processors{idle: 650, total: 1000}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8 9\n", "cpu 1 2 x 4 5 6 7 8\n"} {
		if got, err := parseProcessors(bad); err == nil {
			t.Errorf("%q gives %+v", bad, got)
		}
	}
}

func TestIdleSince(t *testing.T) {
	earlier := processors{idle: 100, total: 1000}
	for want, later := range map[float64]processors{0: {100, 1100}, 0.25: {125, 1100}, 1: {200, 1100}} {
		if got := later.idleSince(earlier); got != want {
			t.Errorf("from %+v to %+v %v was idle, want %v", earlier, later, got, want)
		}
	}
	if got := earlier.idleSince(earlier); got != 1 {
		t.Errorf("in no time %v was idle, want 1", got)
	}
}

// What cannot be taken is said at once, and not tried again.
func TestSparedReturnsAnError(t *testing.T) {
	tries, broken := 0, errors.New("broken")
	r := &Run{Options: Options{Unwatched: true}.withDefaults()}
	_, err := r.spared(t.Context(), func() (float64, error) { tries++; return 0, broken })
	if !errors.Is(err, broken) || tries != 1 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	if v, err := r.spared(t.Context(), func() (float64, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}
