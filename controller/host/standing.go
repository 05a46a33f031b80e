package host

import (
	"slices"
	"time"

	"sluice/store"
)

// Patience is how long a host may lag before it becomes an exception, so that it no longer
// holds down the floor of the others.
const Patience = 500 * time.Millisecond

// Absence is a port whose interface the switch lacks. That of a port that was just made is
// only late, as a rule: the floor waits below its revision for a moment, instead of an
// exception that is written and taken back within one attach.
type Absence struct {
	Key     store.Key
	Created store.Revision
	since   time.Time // zero: it is no new port
}

func (a Absence) late() bool { return time.Since(a.since) < Patience }

// awaited carries on since when ports are missing. One that was not missing before is new if
// it was made no earlier than from.
func awaited(before, missing []Absence, from store.Revision) []Absence {
	for i, a := range missing {
		known := slices.IndexFunc(before, func(b Absence) bool { return b.Key == a.Key && b.Created == a.Created })
		switch {
		case known >= 0:
			missing[i].since = before[known].since
		case a.Created >= from:
			missing[i].since = time.Now()
		}
	}
	return missing
}

// Standing is up to which revision the host's switch is right, given that the state is at now,
// and the host's exception if the floor may not vouch for it.
func (h *Host) Standing(now store.Revision) (store.Revision, *store.StatusHost) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.standing(now)
}

func (h *Host) standing(now store.Revision) (store.Revision, *store.StatusHost) {
	realized, lagging := h.at(now)
	switch {
	case !h.connected:
		return realized, h.exception(store.HostDown, realized)
	case h.lastKnown:
		return realized, h.exception(store.HostLastKnown, h.vouched)
	case !h.whole, !lagging.IsZero() && time.Since(lagging) > Patience:
		return realized, h.exception(store.HostBehind, realized)
	case h.unreachable():
		return realized, h.exception(store.HostUnreachable, realized)
	case h.lacks():
		return realized, h.exception(store.HostMissing, realized)
	case h.unserves():
		return realized, h.exception(store.HostRefused, realized)
	}
	return realized, nil
}

// at says up to which revision the switch is right, and since when it is not right up to now
// (zero: it is). Before the first resync of a session it is what was confirmed last.
func (h *Host) at(now store.Revision) (store.Revision, time.Time) {
	pending := h.marks
	if !h.underWay.Empty() {
		pending = h.underWay
	}
	switch {
	case !h.whole:
		return h.realized, time.Time{}
	case pending.Empty():
		return h.belowLate(now), time.Time{}
	default:
		return h.belowLate(max(h.realized, pending.from-1)), pending.since
	}
}

// belowLate is rev, or the revision before the first port that is late.
func (h *Host) belowLate(rev store.Revision) store.Revision {
	for _, a := range h.missing {
		if a.late() {
			rev = min(rev, a.Created-1)
		}
	}
	return rev
}

// lacks reports whether the interface of a port is missing for longer than a moment.
func (h *Host) lacks() bool {
	return slices.ContainsFunc(h.missing, func(a Absence) bool { return !a.late() })
}

// exception is the host's, with the ports that it cannot vouch for at realized.
func (h *Host) exception(state store.HostState, realized store.Revision) *store.StatusHost {
	status := &store.StatusHost{State: state, Realized: realized, Problems: h.unserved()}
	for _, a := range h.missing {
		status.Missing = append(status.Missing, a.Key.Short())
	}
	return status
}

// Disclaim is the exception that goes with a new claim: no floor may vouch for a host until it
// was programmed whole.
func (h *Host) Disclaim() *store.StatusHost {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.whole = false
	return h.exception(store.HostBehind, h.realized)
}
