package events

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/controller/cluster"
	"sluice/controller/host"
	"sluice/controller/signal"
	"sluice/store"
)

const (
	// lookInterval is how often the Lookout looks at hosts.
	lookInterval = 2 * time.Second
	// leastRest is between two looks, however often it is poked.
	leastRest = 250 * time.Millisecond
	// steadyTime is how long a host must be otherwise than before to be told: hosts lag for a moment whenever a controller
	// starts, or takes them over.
	steadyTime = 4 * time.Second
	// dropInterval is over how long it is told in one event that a limit drops packets: there may be many.
	dropInterval = time.Minute
)

// LookoutOptions are what a Lookout stands on. All are required.
type LookoutOptions struct {
	Log   *Log
	Hosts func() []host.Status // how each host stands
	// Refused are the attaches that hosts refused so far; ok: they were read, on the leader.
	Refused func() (sums map[Refusal]uint64, ok bool)
	// Dropped are the packets that limits dropped so far on all hosts; ok: they were read, on the leader.
	Dropped func() (sums map[Drop]uint64, ok bool)
}

// Drop is whose packets are dropped, and why.
type Drop struct{ Tenant, Why string }

// Refusal is why which host refused whose attach.
type Refusal struct{ Host, Tenant, Why string }

// Lookout notes what can be seen by looking at the picture and at hosts. What it compares with is the last event that etcd
// has of a host, so that what began before a controller started, or under another one, is told once, and so is its end.
type Lookout struct {
	LookoutOptions
	poked signal.Flag
	begun bool // the picture's first batch was there

	// These are Keep's alone.
	said    map[about]store.What // of what this controller looks after
	seen    map[about]since
	drifts  map[string]host.Drift
	refused map[Refusal]uint64 // nil: nothing is known to compare with
	dropped map[Drop]uint64    // nil: as refused
	counted time.Time          // when dropped was
}

// about is what events follow each other on: a host's switch, its agent, its proof.
type about struct{ host, part string }

// since is what is seen, and since when.
type since struct {
	what store.What
	at   time.Time
}

// NewLookout makes a lookout that Keep runs.
func NewLookout(o LookoutOptions) *Lookout {
	return &Lookout{LookoutOptions: o, poked: signal.NewFlag(), said: map[about]store.What{}, seen: map[about]since{}, drifts: map[string]host.Drift{}}
}

// Poke says that there may be something to see.
func (l *Lookout) Poke() { l.poked.Set() }

// Observe notes what a batch says, on the leader. It is an observer of the picture.
func (l *Lookout) Observe(u cluster.Update) {
	if !l.begun {
		l.begun = true
		return
	}
	if !l.Log.Leads() {
		return
	}
	for _, change := range u.Changes {
		for _, h := range told(change) {
			l.Log.Note(h)
		}
	}
}

// Keep looks until ctx ends.
func (l *Lookout) Keep(ctx context.Context) error {
	select {
	case <-l.Log.known:
	case <-ctx.Done():
		return nil
	}
	for {
		select {
		case <-l.poked:
		case <-time.After(lookInterval):
		case <-ctx.Done():
			return nil
		}
		l.look(time.Now())
		pause(ctx, leastRest)
	}
}

// look looks once.
func (l *Lookout) look(now time.Time) {
	before, leads, hosts := l.before(), l.Log.Leads(), l.Hosts()
	there := map[string]bool{}
	for _, h := range hosts {
		there[h.Name] = true
		own := h.Master == l.Log.Controller || h.Master == "" && leads
		l.follow(before, own, now, switchOf(h))
		l.follow(before, leads, now, agentOf(h))
		l.follow(before, own && h.Proof != nil && h.Proof.Isolation != host.IsolationUnknown, now, proofOf(h))
		l.drift(h)
	}
	gone := func(a about) bool { return !there[a.host] }
	maps.DeleteFunc(l.said, func(a about, _ store.What) bool { return gone(a) })
	maps.DeleteFunc(l.seen, func(a about, _ since) bool { return gone(a) })
	maps.DeleteFunc(l.drifts, func(host string, _ host.Drift) bool { return !there[host] })
	l.refusals()
	l.drops(now)
}

// before is the last event of each host's switch, agent and proof.
func (l *Lookout) before() map[about]store.What {
	last := map[about]store.What{}
	all, _ := l.Log.All()
	for _, e := range all {
		if h := Of(e); len(h.Hosts) > 0 && partOf(h.What) != "" {
			last[about{h.Hosts[0], partOf(h.What)}] = h.What
		}
	}
	return last
}

// follow notes what is seen of something where that is not what the last event said. Who does not look after it
// forgets it: another controller writes of it meanwhile.
func (l *Lookout) follow(before map[about]store.What, looks bool, now time.Time, is sight) {
	at := about{is.Hosts[0], partOf(is.What)}
	if !looks {
		delete(l.said, at)
		delete(l.seen, at)
		return
	}
	last, said := l.said[at]
	if !said {
		last = before[at]
	}
	if last == is.What || last == "" && is.well {
		delete(l.seen, at)
		return
	}
	if l.seen[at].what != is.What {
		l.seen[at] = since{is.What, now}
	}
	if now.Sub(l.seen[at].at) < is.steady {
		return
	}
	l.said[at] = is.What
	delete(l.seen, at)
	l.Log.Note(is.Happening)
}

// drift notes what audits mended on a host since the last look.
func (l *Lookout) drift(h host.Status) {
	if h.Drift == nil {
		return
	}
	was := l.drifts[h.Name]
	l.drifts[h.Name] = *h.Drift
	missing, extra, changed := h.Drift.Missing-was.Missing, h.Drift.Extra-was.Extra, h.Drift.Changed-was.Changed
	if missing+extra+changed <= 0 {
		return
	}
	l.Log.Note(store.Happening{
		What: store.DriftMended, Object: "host " + h.Name, Hosts: []string{h.Name}, Text: "flows that others changed were put right",
		Detail: fmt.Sprintf("%d missing, %d extra, %d changed", missing, extra, changed),
	})
}

// refusals notes the attaches that limits refused since the last look.
func (l *Lookout) refusals() {
	sums, known := l.Refused()
	if !known {
		l.refused = nil
		return
	}
	byHost := func(a, b Refusal) int { return cmp.Compare(a.Host, b.Host) }
	for _, r := range slices.SortedStableFunc(maps.Keys(sums), byHost) {
		if n := sums[r] - l.refused[r]; l.refused != nil && sums[r] > l.refused[r] {
			l.Log.Note(store.Happening{
				What: store.AttachRefused, Object: "tenant " + r.Tenant, Tenant: r.Tenant, Hosts: []string{r.Host}, Text: r.Why, Detail: "last on host " + r.Host, Count: int(n),
			})
		}
	}
	l.refused = sums
}

// drops notes, once in a while, whose packets limits dropped since: one event for a limit, and not one for a packet.
func (l *Lookout) drops(now time.Time) {
	if now.Sub(l.counted) < dropInterval {
		return
	}
	l.counted = now
	sums, known := l.Dropped()
	if !known {
		l.dropped = nil
		return
	}
	for drop, sum := range sums {
		if before := l.dropped[drop]; l.dropped != nil && sum > before {
			l.Log.Note(store.Happening{
				What: store.TrafficRefused, Object: "tenant " + drop.Tenant, Tenant: drop.Tenant, Text: drop.Why,
				Detail: fmt.Sprintf("%d packets in a minute", sum-before),
			})
		}
	}
	l.dropped = sums
}
