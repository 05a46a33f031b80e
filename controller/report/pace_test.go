package report

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"sluice/controller/cluster"
	"sluice/store"
)

func TestReportNeeds(t *testing.T) {
	written := &store.StatusController{Floor: 10}
	at := func(floor, first, last store.Revision) draft {
		return draft{standing: standing{floor: &store.StatusController{Floor: floor}, first: first, last: last}}
	}
	with := func(d draft, change func(*draft)) draft {
		change(&d)
		return d
	}
	news, changes := func(d *draft) { d.news = true }, func(d *draft) { d.changes = true }
	for _, c := range []struct {
		name    string
		draft   draft
		written *store.StatusController
		want    int
	}{
		{"the first floor of all", at(12, 0, 0), nil, 1},
		{"nobody waits", at(12, 0, 0), written, writeBurst},
		{"it helps the one who waits", at(12, 12, 12), written, 1},
		{"it helps all who wait", at(14, 11, 13), written, 1},
		{"it helps some", at(12, 11, 13), written, 2},
		{"it helps none of those who wait", at(12, 13, 13), written, never},
		{"an exception comes or goes", with(at(12, 0, 0), news), written, 1},
		{"an exception comes, those who wait go on waiting", with(at(12, 13, 13), news), written, 1},
		{"an exception says more", with(at(12, 0, 0), changes), written, 2},
		{"an exception says more, and it helps all", with(at(12, 12, 12), changes), written, 1},
	} {
		if got := c.draft.needs(c.written); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestReportWaiting(t *testing.T) {
	r := New(Options{})
	state, port := store.NewState(), store.PortKey("h1", "alice", "default", "a1")
	for _, b := range []store.Batch{
		{Revision: 5, Events: []store.Event{{Key: store.TenantKey("alice"), Object: &store.Tenant{}}}},
		{Revision: 6, Events: []store.Event{{Key: port, Object: &store.Port{}}}},
		{Revision: 7, Events: []store.Event{{Key: port}}},
		{Revision: 8, Events: []store.Event{{Key: store.TenantKey("bob")}, {Key: port, Object: &store.Port{}}}},
	} {
		state.Apply(b)
		r.Observe(cluster.Update{State: state, Batch: b})
	}
	for _, step := range []struct{ floor, first, last store.Revision }{
		{5, 6, 8}, {6, 8, 8}, {7, 8, 8}, {9, 0, 0}, {9, 0, 0},
	} {
		r.vouched(step.floor)
		if first, last := r.waiting(); first != step.first || last != step.last {
			t.Errorf("with floor %d, %d to %d are waited for; want %d to %d", step.floor, first, last, step.first, step.last)
		}
	}
}

// demand is something to report, from a time on, that needs so many writes allowed.
type demand struct {
	at    time.Duration
	needs int
}

// replay is when reports would be written that tell of demands, and how long each waits. A
// report tells of all that is there to tell.
func replay(demands []demand, until time.Duration) (written, delays []time.Duration) {
	limit, start := rate.NewLimiter(writeRate, writeBurst), time.Unix(0, 0)
	var pending []demand
	for now := time.Duration(0); now < until; now += time.Millisecond {
		for len(demands) > 0 && demands[0].at <= now {
			pending, demands = append(pending, demands[0]), demands[1:]
		}
		if len(pending) == 0 {
			continue
		}
		least := slices.MinFunc(pending, func(a, b demand) int { return cmp.Compare(a.needs, b.needs) })
		if pauseUntil(limit, least.needs, start.Add(now)) > 0 {
			continue
		}
		limit.AllowN(start.Add(now), 1)
		written = append(written, now)
		for _, d := range pending {
			delays = append(delays, now-d.at)
		}
		pending = nil
	}
	return written, delays
}

// Whatever there is to report: ten writes in any second at most, and nothing waits for longer
// than half a second.
func TestReportsKeepTheLimit(t *testing.T) {
	const minute = time.Minute
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		var demands []demand
		for at := time.Duration(0); at < minute-time.Second; at += time.Duration(random.ExpFloat64() * float64(20+seed*10) * float64(time.Millisecond)) {
			demands = append(demands, demand{at.Truncate(time.Millisecond), 1 + random.IntN(writeBurst)})
		}
		written, delays := replay(demands, minute)
		if len(delays) != len(demands) || slices.Max(delays) > 500*time.Millisecond {
			t.Errorf("seed %d: %d of %d were reported, after %v at most", seed, len(delays), len(demands), slices.Max(delays))
		}
		for i := 10; i < len(written); i++ {
			if written[i]-written[i-10] <= time.Second {
				t.Errorf("seed %d: eleven writes from %v to %v", seed, written[i-10], written[i])
			}
		}
	}
}

// Containers that are attached, tried and detached one after the other: no attach waits,
// though each of them and each detach is something to report.
func TestAttachesOneByOneDoNotWait(t *testing.T) {
	const attaches, every = 100, 160 * time.Millisecond
	var demands []demand
	for n := range attaches {
		at := time.Duration(n) * every
		demands = append(demands, demand{at, 1}, demand{at + every/3, writeBurst})
	}
	_, delays := replay(demands, (attaches+10)*every)
	if len(delays) != len(demands) {
		t.Fatalf("%d of %d were reported", len(delays), len(demands))
	}
	for i, delay := range delays { // in the order of demands
		if demands[i].needs == 1 && delay > 0 {
			t.Errorf("attach %d waits for %v", i/2, delay)
		}
	}
}
