package hostagent

import (
	"testing"
	"time"
)

// The first death counts as long as it lasts, each further one soon after for twice as long as the one before. What a damped switch finds is
// no death, and after five calm minutes a death is the first.
func TestDamper(t *testing.T) {
	start := time.Now()
	var d damper
	for _, tt := range []struct {
		at     time.Duration // since the start
		dead   bool          // as the switch finds it
		damped bool
	}{
		{0, true, false}, // a probe that is new: it was never alive
		{1 * time.Second, false, false},
		{2 * time.Second, true, false}, // the first
		{3 * time.Second, true, false},
		{5 * time.Second, false, false},
		{7 * time.Second, true, true},  // the second: 10 s
		{9 * time.Second, false, true}, // heard before it was damped
		{10 * time.Second, true, true},
		{16 * time.Second, true, true},
		{17 * time.Second, true, false}, // not heard again yet: no death
		{18 * time.Second, false, false},
		{20 * time.Second, true, true}, // 20 s
		{39 * time.Second, true, true},
		{41 * time.Second, false, false},
		{50 * time.Second, true, true}, // 40 s
		{90 * time.Second, false, false},
		{91 * time.Second, true, true},   // 80 s
		{171 * time.Second, true, false}, // it is dead for good
		{172 * time.Second, false, false},
		{173 * time.Second, true, true}, // 120 s
		{292 * time.Second, true, true},
		{294 * time.Second, false, false},
		{295 * time.Second, true, true}, // 120 s again
		{415 * time.Second, false, false},
		{714 * time.Second, true, true}, // not calm yet
		{840 * time.Second, false, false},
		{1134 * time.Second, true, false}, // five calm minutes
		{1140 * time.Second, false, false},
		{1141 * time.Second, true, true},
	} {
		if got := d.finds(tt.dead, start.Add(tt.at)); got != tt.damped {
			t.Errorf("after %s, dead %t: damped %t, want %t; %+v", tt.at, tt.dead, got, tt.damped, d)
		}
	}
}
