package lead

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice/controller/balance"
	"sluice/controller/traffic"
	"sluice/store"
)

// outlooks answers what the leader asks of its traffic: plan says which moves are due, of those that do not rest.
type outlooks struct {
	mu       sync.Mutex
	plan     []string // "TENANT FROM TO"
	hottest  float64
	measured time.Duration
	tooLarge []string
	err      error
	starts   []float64 // what was asked
	view     func(func(*store.State))
}

func (o *outlooks) ask(_ context.Context, q traffic.Question) (traffic.Outlook, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.starts = append(o.starts, q.Start)
	out := traffic.Outlook{Measured: o.measured, Hosts: []traffic.HostLoad{{Host: "h1", Weight: 1, Load: o.hottest}, {Host: "h2", Weight: 1}}}
	out.Plan = balance.Plan{Before: 2, After: 2, TooLarge: o.tooLarge, Loads: map[string]float64{"h1": o.hottest, "h2": 0}}
	for _, line := range o.plan {
		f := strings.Fields(line)
		rests := false
		o.view(func(s *store.State) { rests = q.Rests(f[0], s.Gateway(f[0]).Value) })
		if !rests && len(out.Moves) < q.Most {
			out.Moves = append(out.Moves, balance.Move{Tenant: f[0], From: f[1], To: f[2]})
		}
	}
	return out, o.err
}

func (o *outlooks) say(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

// asked are the starts since the last time.
func (o *outlooks) asked() (list []float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	list, o.starts = o.starts, nil
	return list
}

// balancing is a leader of two gateway hosts and ten tenants, all on h1, whose gateways balance says to move to h2.
func balancingLeader(t *testing.T, settings store.Balance) (*led, *outlooks) {
	t.Helper()
	o := &outlooks{hottest: 1e9, measured: time.Hour}
	l := run(t, o.ask)
	o.view = l.picture.View
	events := []store.Event{put(store.SettingsKey(), &store.Settings{Balance: settings})}
	for n, h := range []string{"h1", "h2"} {
		events = append(events, put(store.HostKey(h), &store.Host{DatapathID: store.DatapathID(n + 1), Gateway: true}), put(store.LiveHostKey(h), &store.LiveHost{}))
	}
	for n := range 10 {
		name := fmt.Sprint("t", n)
		events = append(events, tenant(name, "auto", uint32(n+1)), put(store.GatewayKey(name), &store.Gateway{Active: "h1", Epoch: 1, Since: time.Now()}))
		o.plan = append(o.plan, name+" h1 h2")
	}
	l.apply(events...)
	l.elect(true)
	l.Asked()
	return l, o
}

// decided are the gateways of which moves were written since it was last asked.
func (l *led) decided() (tenants []string) {
	for _, line := range l.Asked() {
		if _, what, is := strings.Cut(line, "decide: put gateways/"); is {
			tenants = append(tenants, strings.TrimSuffix(what, ", within 5s"))
		}
	}
	return tenants
}

func (l *led) wantsMoves(what string, want ...string) {
	l.t.Helper()
	if got := l.decided(); fmt.Sprint(got) != fmt.Sprint(want) {
		l.t.Errorf("%s: moves of %v, want %v", what, got, want)
	}
}

// settle has gateways be where they were to move, as of now.
func (l *led) settle(tenants ...string) {
	for _, name := range tenants {
		l.apply(put(store.GatewayKey(name), &store.Gateway{Active: "h2", Epoch: 2, Since: time.Now(), Balanced: true}))
	}
	l.Asked()
}

// The leader makes moves some at one time, no more than the budget of an hour, and each tenant's again after its cool-down.
func TestBalanceKeepsToItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := balancingLeader(t, store.Balance{Auto: true, AtOnce: 2, PerHour: 3, CoolDown: 7200})
		l.Until(10 * time.Second)
		l.wantsMoves("at first", "t0", "t1")
		if n := testutil.ToFloat64(l.leader.Balanced); n != 2 {
			t.Errorf("%v moves are counted", n)
		}
		for _, name := range []string{"t0", "t1"} {
			l.apply(put(store.GatewayKey(name), &store.Gateway{Active: "h1", Epoch: 1, Move: &store.Move{To: "h2", Since: now(), Balanced: true}}))
		}
		l.Until(time.Minute)
		l.wantsMoves("while two are under way")
		l.settle("t0", "t1")
		l.Until(70 * time.Second)
		l.wantsMoves("once they are there", "t2")
		l.settle("t2")
		l.Until(time.Hour)
		l.wantsMoves("within the hour")
		l.Until(time.Hour + 65*time.Second)
		l.wantsMoves("an hour after the first two", "t3", "t4")
		l.stop()
	})
}

// Nothing moves unasked, before it was measured for a window, and where no host has much to do. Once some moved the goal is lower.
func TestBalanceWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, o := balancingLeader(t, store.Balance{AtOnce: 1})
		l.Until(time.Minute)
		if asked := o.asked(); len(asked) > 0 {
			t.Errorf("unasked it looked: %v", asked)
		}
		o.say(func() { o.measured, o.tooLarge = time.Minute, []string{"t9"} })
		l.apply(put(store.SettingsKey(), &store.Settings{Balance: store.Balance{Auto: true, AtOnce: 1}}))
		l.Until(2 * time.Minute)
		l.wantsMoves("before it was measured for long enough")
		o.say(func() { o.measured, o.hottest = time.Hour, 1000 })
		l.Until(3 * time.Minute)
		l.wantsMoves("with little traffic")
		if p := l.leader.Problems(); len(p) > 0 {
			t.Errorf("the problems are %v", p)
		}
		o.say(func() { o.err = errors.New("etcd is away") })
		l.Until(4 * time.Minute)
		o.say(func() { o.err, o.hottest = nil, 1e9 })
		o.asked()
		l.Until(4*time.Minute + 20*time.Second)
		l.wantsMoves("in the end", "t0", "t1")
		if got := fmt.Sprint(o.asked()); got != fmt.Sprint([]float64{balance.Start, balance.Stop}) {
			t.Errorf("it asked for moves above %s", got)
		}
		if p := l.leader.Problems(); len(p) != 1 || p[0].Object != "gateways/t9" || !strings.Contains(p[0].Text, "more than a gateway host's share") {
			t.Errorf("the problems are %v", p)
		}
		l.apply(put(store.SettingsKey(), &store.Settings{}))
		l.Until(5 * time.Minute)
		if p := l.leader.Problems(); len(p) > 0 {
			t.Errorf("off, the problems are %v", p)
		}
		l.stop()
	})
}

// A move that is refused, or given up, is not tried again before the tenant's cool-down is over.
func TestBalanceDoesNotInsist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, o := balancingLeader(t, store.Balance{Auto: true, AtOnce: 1, CoolDown: 600})
		o.say(func() { o.plan = o.plan[:1] })
		l.fails("decide:", errors.New("etcd is away"))
		l.Until(9 * time.Minute)
		l.wantsMoves("refused", "t0")
		if n := testutil.ToFloat64(l.leader.Balanced); n != 0 || !strings.Contains(l.log.String(), "cannot move a gateway") {
			t.Errorf("%v moves are counted; the log says %s", n, l.log)
		}
		l.fails("decide:", nil)
		l.Until(10*time.Minute + 20*time.Second)
		l.wantsMoves("after its cool-down", "t0")
		l.stop()
	})
}
