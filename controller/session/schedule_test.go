package session

import (
	"testing"
	"time"
)

// When audits come, by what happened when: times are seconds, the interval is a minute.
func TestSchedule(t *testing.T) {
	type step struct {
		at   float64
		what string
		due  float64
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"nobody edits", []step{{40, "audited", 100}, {100, "audited", 160}}},
		{"one edit", []step{{5, "edited", 7}, {6, "edited", 7}, {7, "mended", 67}, {67, "audited", 127}}},
		{"just before the audit", []step{{39, "edited", 40}, {40, "mended", 100}, {41, "edited", 50}}},
		{"again and again", []step{
			{0, "edited", 2}, {2, "mended", 62}, {3, "edited", 12}, {12, "mended", 72}, {13, "edited", 32},
			{32, "mended", 92}, {33, "edited", 72}, {72, "mended", 132}, {73, "edited", 132},
			{132, "mended", 192}, {150, "edited", 192}, {192, "mended", 252},
			{252, "audited", 312}, {253, "edited", 255}, // one interval of peace
		}},
		{"after the rest", []step{{0, "edited", 2}, {2, "mended", 62}, {20, "edited", 22}, {22, "mended", 82}, {23, "edited", 42}}},
		{"events were lost", []step{{5, "lost", 5}, {5, "mended", 65}, {6, "edited", 15}, {7, "lost", 7}, {7, "mended", 67}, {8, "edited", 27}}},
		{"it could not be made", []step{{40, "again", 42}, {41, "edited", 42}, {42, "again", 44}, {44, "audited", 104}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			at := func(second float64) time.Time {
				return begin.Add(time.Duration(second * float64(time.Second)))
			}
			s := schedule{interval: time.Minute, due: at(40)}
			for _, step := range c.steps {
				switch step.what {
				case "edited":
					s.edited(at(step.at))
				case "lost":
					s.lost(at(step.at))
				case "again":
					s.again(at(step.at))
				default:
					s.audited(at(step.at), step.what == "mended")
				}
				if got := s.due.Sub(begin).Seconds(); got != step.due {
					t.Fatalf("%s at %vs: the next audit comes at %vs, want %vs", step.what, step.at, got, step.due)
				}
			}
		})
	}
}
