package session

import "time"

// Parts of the interval between two audits of a switch, and what they are of a minute.
const (
	soonPart = 30 // 2 s: how soon an audit comes after an edit, or where it could not be made
	restPart = 6  // 10 s: the shortest rest between two audits that edits bring forward
)

// schedule says when a switch is audited next: once an interval, and soon after somebody else
// changed its flows. A program that fights for the same flows does not make audits constant: after an
// audit that such a change came before, the next one is brought forward after a rest at the earliest.
// The rest doubles with each, up to the interval, and ends when nobody changed flows between two audits.
type schedule struct {
	interval time.Duration
	due      time.Time     // of the next audit
	rest     time.Duration // after the last audit; 0: none
	rested   time.Time     // when it is over
}

// edited says that somebody else changed flows, or may have.
func (s *schedule) edited(now time.Time) {
	at := now.Add(s.interval / soonPart)
	if at.Before(s.rested) {
		at = s.rested
	}
	if at.Before(s.due) {
		s.due = at
	}
}

// lost says that so much changed that the switch's events were lost. All its flows may be gone, and
// every packet with them: this does not rest.
func (s *schedule) lost(now time.Time) { s.due = now }

// again says that the audit could not be made.
func (s *schedule) again(now time.Time) { s.due = now.Add(s.interval / soonPart) }

// audited says that the audit was made; edited: somebody else had changed flows since the one before.
func (s *schedule) audited(now time.Time, edited bool) {
	rest := time.Duration(0)
	if edited {
		rest = min(max(2*s.rest, s.interval/restPart), s.interval)
	}
	s.rest, s.rested, s.due = rest, now.Add(rest), now.Add(s.interval)
}
