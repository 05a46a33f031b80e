package lead

import (
	"maps"
	"slices"
	"time"

	"sluice/store"
)

const (
	// shunFirst is how long nobody goes to a gateway host that was taken over from for the second time, from then on; each further time
	// it is twice as long, shunMost at most.
	shunFirst, shunMost = 2 * time.Minute, time.Hour
	// shunCalm is after what time without a fall the next one counts as the first.
	shunCalm = time.Hour
)

// flap is how often a gateway host was taken over from, one time soon after the other.
type flap struct {
	falls int
	until time.Time // when somebody may go there again; when it fell, where it may at once
	gone  bool      // it has not been ready since
	told  bool      // its tenants were looked at since it may be gone to again
}

// flaps are those of gateway hosts. One that died once is as good as others when it returns; one that does so again and again is not.
// They are this leader's memory: another one begins anew.
type flaps map[string]flap

// fell notes that a host was taken over from.
func (f flaps) fell(host string, at time.Time) {
	was := f[host]
	if was.gone { // more of its tenants go
		return
	}
	if at.Sub(was.until) >= shunCalm {
		was = flap{}
	}
	now := flap{falls: was.falls + 1, until: at, gone: true}
	if now.falls > 1 {
		now.until = at.Add(min(shunFirst<<min(now.falls-2, 10), shunMost))
	}
	f[host] = now
}

// look notes which hosts are ready again.
func (f flaps) look(ready func(host string) bool) {
	for host, flap := range f {
		if flap.gone && ready(host) {
			flap.gone = false
			f[host] = flap
		}
	}
}

// shunned are the hosts to which nobody goes at a time, while there is another one.
func (f flaps) shunned(at time.Time) map[string]bool {
	shunned := map[string]bool{}
	for host, flap := range f {
		if at.Before(flap.until) {
			shunned[host] = true
		}
	}
	return shunned
}

// ended are the hosts to which somebody may go again at a time, each once.
func (f flaps) ended(at time.Time) (hosts []string) {
	for host, flap := range f {
		if flap.falls > 1 && !flap.told && !at.Before(flap.until) {
			flap.told = true
			f[host] = flap
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// problems tell of hosts to which nobody goes at a time, since they flap.
func (f flaps) problems(at time.Time) (list store.Problems) {
	for _, host := range slices.Sorted(maps.Keys(f.shunned(at))) {
		list = append(list, store.ProblemOf(store.HostKey(host), "it was taken over from %d times, one soon after the other: before %s no gateway goes there while another gateway host is ready",
			f[host].falls, f[host].until.UTC().Format(time.DateTime)))
	}
	return list
}

// over says when the next of them may be gone to; nil: nobody waits.
func (f flaps) over(at time.Time) <-chan time.Time {
	maps.DeleteFunc(f, func(_ string, flap flap) bool { return !flap.gone && at.Sub(flap.until) >= shunCalm })
	var next time.Time
	for _, flap := range f {
		if at.Before(flap.until) && (next.IsZero() || flap.until.Before(next)) {
			next = flap.until
		}
	}
	if next.IsZero() {
		return nil
	}
	return time.After(next.Sub(at))
}
