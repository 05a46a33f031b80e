package lead

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/store"
)

// idleAsked is what the leader asked of etcd about idle tenants until a time.
func (l *led) idleAsked(until time.Duration) (calls []string) {
	l.Asked()
	l.Until(until)
	for _, call := range l.Asked() {
		_, call, _ = strings.Cut(call, ": ")
		call, _, _ = strings.Cut(call, ",")
		if strings.HasPrefix(call, "decide") || strings.HasPrefix(call, "delete") {
			calls = append(calls, call)
		}
	}
	return calls
}

// A tenant with a time to live is marked when it has no port, and removed with all that it has when that
// time has passed; a port, or a store that is in doubt, keeps it.
func TestIdleTenantsEnd(t *testing.T) {
	const ttl = 2 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		l := run(t)
		asked := func(what string, until time.Duration, want ...string) {
			t.Helper()
			if got := l.idleAsked(until); strings.Join(got, "; ") != strings.Join(want, "; ") {
				t.Errorf("%s: asked %q, want %q", what, got, want)
			}
		}
		port := store.PortKey("h1", "batch", "default", "p")
		network := func(name string, number uint32) store.Event {
			return put(store.NetworkKey("batch", name), &store.Network{Number: number})
		}
		l.apply(append(hosts(), tenant("forever", "h1", 1),
			put(store.TenantKey("batch"), &store.Tenant{Number: 2, Gateway: "h1", TTL: store.Duration(ttl)}), network("default", 3), network("db", 4),
			put(port, &store.Port{Number: 5}), put(store.GatewayKey("batch"), &store.Gateway{Active: "h1"}), put(store.GatewayKey("forever"), &store.Gateway{Active: "h1"}))...)
		l.elect(true)
		asked("while it has a port", time.Hour)
		l.apply(put(port, nil))
		asked("its last port went", time.Hour+2*time.Second, "decide: put idle/batch")
		mark := put(store.IdleKey("batch"), &store.Idle{Since: time.Now()})
		l.apply(mark)
		asked("within its time", time.Hour+ttl)
		l.apply(put(port, &store.Port{Number: 5}))
		asked("a port, and a mark from before", time.Hour+ttl+time.Minute, "delete idle/batch", "delete idle/batch")
		l.apply(put(port, nil), put(store.IdleKey("batch"), &store.Idle{Since: time.Now()}))
		l.apply(put(port, &store.Port{Number: 6}))
		l.apply(put(port, nil))
		asked("a port came and went between two looks", time.Hour+ttl+90*time.Second, "delete idle/batch", "delete idle/batch")
		l.apply(put(store.IdleKey("batch"), nil))
		asked("without a mark", time.Hour+ttl+2*time.Minute, "decide: put idle/batch", "decide: put idle/batch")
		l.apply(put(store.IdleKey("batch"), &store.Idle{Since: time.Now()}))
		l.doubt(true)
		asked("in doubt of the store", 2*(time.Hour+ttl))
		l.doubt(false)
		asked("its time is over", 2*(time.Hour+ttl)+30*time.Second,
			"decide: delete tenants/batch delete networks/batch/db delete networks/batch/default delete gateways/batch delete idle/batch")
		for _, says := range []string{`msg="removed a tenant that had no ports for its time to live" tenant=batch`, `msg=audit who="leader c1" object="tenant batch" outcome=done`, "ttl=2h0m0s"} {
			if !strings.Contains(l.log.String(), says) {
				t.Errorf("the log does not say %q: %s", says, l.log)
			}
		}
		l.stop()
	})
}

// Who was overtaken by a port says nothing; what fails is told, and the next tenant has its turn.
func TestIdleTenantThatCannotBeRemoved(t *testing.T) {
	for _, tc := range []struct {
		err   error
		tells bool
	}{{store.ErrInUse, false}, {store.ErrNotFound, false}, {errors.New("etcd is away"), true}} {
		synctest.Test(t, func(t *testing.T) {
			l := run(t)
			var events []store.Event
			for n, name := range []string{"a", "b"} {
				events = append(events, put(store.TenantKey(name), &store.Tenant{Number: uint32(n + 1), TTL: store.Duration(time.Minute)}), put(store.IdleKey(name), &store.Idle{Since: time.Now()}))
			}
			l.apply(append(hosts(), events...)...)
			l.elect(true)
			l.fails("decide:", tc.err)
			got := l.idleAsked(time.Minute)
			if len(got) != 2 || strings.Contains(l.log.String(), "cannot tidy") != tc.tells || strings.Contains(l.log.String(), "removed a tenant") {
				t.Errorf("%v: asked %q, and says %s", tc.err, got, l.log)
			}
			l.stop()
		})
	}
}

func (l *led) doubt(doubted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubted = doubted
}
