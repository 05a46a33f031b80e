package lead

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/store"
)

// portsOf are n ports on a host.
func portsOf(host string, n int) (list []store.Event) {
	for i := range n {
		number := uint32(host[len(host)-1])*1000 + uint32(i)
		list = append(list, put(store.PortKey(host, "alice", "default", fmt.Sprint("p", host, i)), &store.Port{Number: number, MAC: store.MACFromUint64(uint64(number))}))
	}
	return list
}

// cleared are the hosts whose ports were removed since this was last asked, with when and up to
// which revision.
func (l *led) cleared() (list []string) {
	for _, call := range l.Asked() {
		if at, what, _ := strings.Cut(call, ": "); strings.HasPrefix(what, "clear") {
			list = append(list, at+" "+strings.TrimSuffix(what, ", within 30s"))
		}
	}
	return list
}

func (l *led) wantsCleared(what string, want ...string) {
	l.t.Helper()
	if got := l.cleared(); !slices.Equal(got, want) {
		l.t.Errorf("%s %q were cleared, want %q", what, got, want)
	}
}

// says wants the leader to have so many problems, and one to contain a text.
func (l *led) says(what string, n int, text string) {
	l.t.Helper()
	problems := l.leader.Problems()
	if len(problems) != n || n > 0 && !slices.ContainsFunc(problems, func(p store.Problem) bool { return strings.Contains(p.Text, text) }) {
		l.t.Errorf("%s the problems are %v, want %d and one that says %q", what, problems, n, text)
	}
}

// since has the store be known to be right since then.
func (r *recorder) since(right time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.right = right
}

// leading is c1 as the leader; h1 is registered and has a hundred ports.
func leading(t *testing.T) *led {
	t.Helper()
	l := run(t)
	events := append(hosts(), portsOf("h1", 100)...)
	l.apply(events...)
	l.taken(all(events...)...)
	l.elect(true)
	return l
}

// The ports of a host whose key is absent, though nobody deleted the host, are removed only when
// it was absent for long enough.
func TestAbsentHostsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leading(t)
		l.apply(portsOf("h9", 2)...)
		l.Until(9 * time.Minute)
		l.says("while it waits", 1, "it is not registered, though nobody deleted it, and has 2 ports: they are removed at ")
		l.says("while it waits", 1, "`sluice host delete h9`")
		l.apply(put(store.HostKey("h9"), &store.Host{DatapathID: 9}))
		l.Until(11 * time.Minute)
		l.says("once it is back", 0, "")
		l.apply(put(store.HostKey("h9"), nil)) // seen a second later
		l.Until(21 * time.Minute)
		l.wantsCleared("until it was absent for ten minutes")
		l.Until(21*time.Minute + 30*time.Second)
		l.wantsCleared("then", "21m30s clear h9 at 4")
		l.apply(put(store.PortKey("h9", "alice", "default", "ph90"), nil), put(store.PortKey("h9", "alice", "default", "ph91"), nil))
		l.Until(23 * time.Minute)
		l.says("afterwards", 0, "")
		l.stop()
	})
}

// It is counted by one leader, while the store is known to be right.
func TestAbsencesAreCountedAnew(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*led) // nine minutes after the start; the host is seen to be gone at 30 s
		want string     // when its ports are removed
	}{
		{"by the same leader", func(*led) {}, "10m30s"},
		{"by a new leader", func(l *led) { l.elect(false); l.elect(true) }, "19m30s"},
		{"after the store was in doubt", func(l *led) {
			l.doubt(true)
			l.Until(9*time.Minute + 30*time.Second)
			l.doubt(false)
		}, "20m0s"},
		{"since the store is right", func(l *led) { l.since(time.Now()) }, "19m0s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := leading(t)
			l.apply(portsOf("h9", 2)...)
			l.Until(9 * time.Minute)
			l.wantsCleared(c.name + ", within nine minutes")
			c.do(l)
			l.Until(30 * time.Minute)
			if got := l.cleared(); len(got) == 0 || got[0] != c.want+" clear h9 at 2" {
				t.Errorf("%s: cleared %q, want first at %s", c.name, got, c.want)
			}
			l.stop()
		})
	}
}

// While the store is not known to be right nothing is removed, and nothing is asked of it for that.
func TestNothingIsTidiedInAStoreInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leading(t)
		l.doubt(true)
		l.apply(portsOf("h9", 2)...)
		l.apply(tenant("alice", "h1", 1), put(store.GatewayKey("alice"), &store.Gateway{Active: "h1"}))
		l.apply(put(store.TenantKey("alice"), nil))
		l.Asked()
		l.Until(time.Hour)
		l.wants("while in doubt")
		l.stop()
	})
}

// Where so many ports are concerned that rather their hosts were lost, it takes a word.
func TestAbsentHostsWithManyPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leading(t)
		l.apply(append(portsOf("h8", 8), portsOf("h9", 13)...)...)
		l.Until(time.Hour)
		l.wantsCleared("without a word")
		l.says("then", 2, "they are kept, since such hosts have 21 of all 121 ports (`sluice tidy hosts` lists all of these): start its agent, or remove them now with `sluice host delete h8`")
		l.apply(put(store.PortKey("h8", "alice", "default", "ph80"), nil))
		l.Until(time.Hour + time.Second)
		l.wantsCleared("when they are few enough", "1h0m1s clear h8 at 3", "1h0m1s clear h9 at 3")
		l.stop()
	})
	for _, c := range []struct {
		absent, all int
		many        bool
	}{{20, 20, false}, {21, 209, true}, {21, 210, false}, {100, 1000, false}, {101, 1000, true}, {0, 0, false}} {
		if tooMany(c.absent, c.all) != c.many {
			t.Errorf("%d of %d: %v", c.absent, c.all, !c.many)
		}
	}
}

// The operator's word clears a host at once, however many its ports: those made until the word. What
// was made under the name since waits like any other.
func TestFarewellIsAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := leading(t)
		l.keeps(store.Event{Key: store.FarewellKey("h9"), Object: &store.Farewell{}, Modified: 4})
		l.apply(portsOf("h9", 200)...)
		l.Until(30 * time.Second)
		l.wantsCleared("at once", "30s clear h9 at 4")
		l.says("meanwhile", 0, "")
		l.apply()
		l.apply()
		l.apply(put(store.PortKey("h9", "alice", "default", "later"), &store.Port{Number: 7}))
		l.Until(time.Minute)
		l.says("of one that was made since", 1, "they are kept")
		l.stop()
	})
}

// A farewell goes 30 days after it was said, once every host is past its revision; the leader alone
// removes it, in a store that is known to be right.
func TestFarewellsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t) // of no ports: a day of looks at them takes long
		l.apply(hosts()...)
		l.elect(true)
		farewell := func(host string, at store.Revision, said time.Duration) store.Event {
			return store.Event{Key: store.FarewellKey(host), Object: &store.Farewell{At: l.Start.Add(said - 30*24*time.Hour + 12*time.Hour)}, Modified: at}
		}
		h7 := farewell("h7", 1001, 0)
		l.keeps(farewell("h8", 4, 0), farewell("h9", 5, time.Hour), h7)
		only := func(what string, want ...string) {
			t.Helper()
			got := slices.DeleteFunc(l.Asked(), func(call string) bool { return !strings.Contains(call, "forget") })
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		l.Until(12*time.Hour - 1)
		only("before 30 days")
		l.doubt(true)
		l.Until(12 * time.Hour)
		only("in a store in doubt")
		l.doubt(false)
		l.Until(18 * time.Hour)
		only("then", "18h0m0s: forget [h8 h9], within 30s")
		if says := l.log.String(); !strings.Contains(says, `msg="forgot the farewell to a host that did not come back" host=h9`) {
			t.Errorf("the log says %s", says)
		}
		l.keeps(h7)
		l.reached(1001)
		l.fails("forget", fmt.Errorf("etcd is away"))
		l.Until(24 * time.Hour)
		only("once every host is past it", "24h0m0s: forget [h7], within 30s")
		if says := l.log.String(); !strings.Contains(says, "cannot forget farewells") {
			t.Errorf("the log says %s", says)
		}
		l.elect(false)
		l.Until(31 * time.Hour)
		only("when another leads")
		l.stop()
	})
}
