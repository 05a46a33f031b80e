package lead

import "time"

const (
	// absenceWait is how long something is absent before the leader removes what belonged to it:
	// what is missing may have been lost, and come back.
	absenceWait = 10 * time.Minute
	// More than one in shareAtOnce is not removed because of an absence without the operator's
	// word, unless it is fewAtOnce or less.
	shareAtOnce, fewAtOnce = 10, 20
)

// absences are since when things are seen to be absent, by this process's own clock, which nobody
// sets. The zero absences saw none.
type absences struct{ since map[string]time.Time }

// see keeps in mind those that are absent still, and from now on those that are so newly.
func (a *absences) see(names []string) {
	since := make(map[string]time.Time, len(names))
	for _, name := range names {
		since[name] = time.Now()
		if before, known := a.since[name]; known {
			since[name] = before
		}
	}
	a.since = since
}

// due is when something was absent for long enough, in a store that is known to be right since
// some time.
func (a *absences) due(name string, right time.Time) time.Time {
	from := a.since[name]
	if right.After(from) {
		from = right
	}
	return from.Add(absenceWait)
}

// tooMany reports whether so many of all are too many to be removed because they are absent.
func tooMany(absent, all int) bool { return absent > fewAtOnce && absent > all/shareAtOnce }
