package report

import (
	"math"
	"time"

	"golang.org/x/time/rate"

	"sluice/store"
)

const (
	// writeRate (a second) and writeBurst allow ten writes in any second.
	writeRate, writeBurst = 7, 3
	// never is more writes than are ever allowed.
	never = math.MaxInt
	// roundRest is how many times as long as a round took, one that found nothing to write, the
	// next one waits. Each looks at every host, and each host that moves asks for one.
	roundRest = 4
	// idleRound is when the next round comes where nobody asks for one.
	idleRound = 5 * time.Second
)

// needs is how many writes the limit must allow before this one, when written is the floor in
// etcd. Whoever waits should find one left: so a report that helps only some leaves the last
// to that which helps the rest, and one that nobody waits for goes out only while all are
// left, half a second later at most, and not where it says less than one that is to come.
func (d draft) needs(written *store.StatusController) int {
	helps := d.first != 0 && d.first <= d.floor.Floor
	switch {
	case d.news, written == nil, helps && d.last <= d.floor.Floor:
		return 1
	case d.changes, helps:
		return 2
	case d.first != 0: // within host.Patience the floor gets there, or an exception does
		return never
	}
	return writeBurst
}

// pauseUntil is how long it takes until so many writes are allowed.
func pauseUntil(limit *rate.Limiter, needed int, now time.Time) time.Duration {
	if needed > writeBurst {
		return math.MaxInt64
	}
	lacking := float64(needed) - limit.TokensAt(now)
	if lacking <= 0 {
		return 0
	}
	return time.Duration(lacking/float64(limit.Limit())*float64(time.Second)) + time.Millisecond
}
