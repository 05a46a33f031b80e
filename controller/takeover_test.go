package controller_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice/store"
)

// alias is another name of a controller's socket, so that a switch dials it twice.
func alias(t *testing.T, target string) string {
	t.Helper()
	path := strings.TrimPrefix(target, "unix:")
	if err := os.Symlink(path, path+"-again"); err != nil {
		t.Fatal(err)
	}
	return target + "-again"
}

// A switch that dials in again and again, each time ending the session before, is
// programmed all the same, and right once it stops.
func TestSessionsReplaceEachOther(t *testing.T) {
	b := newBench(t)
	c := b.start("c1", "c1.sock")
	b.bridge(c.target, alias(t, c.target))
	b.register()
	b.tenant("alice")
	for n := range 4 {
		b.realized(b.port("alice", fmt.Sprint("a", n), strings.Repeat(string(rune('a'+n)), 12), true))
	}
	b.ovs.VSCtl("set-controller", store.BridgeName, c.target)
	last := b.port("alice", "last", "zzzzzzzzzzzz", true)
	b.realized(last)
	b.eventually("the host is realized", func() bool { return c.Hosts()[0].State == store.HostRealized })
	b.inSync(c)
}

// A host that the hash gives to a live controller which its switch does not reach is
// claimed by the one that it does reach.
func TestUnreachedControllerLeavesItsHosts(t *testing.T) {
	for _, reached := range []string{"c1", "c2"} {
		t.Run(reached, func(t *testing.T) {
			b := newBench(t)
			both := map[string]*running{"c1": b.start("c1", "c1.sock"), "c2": b.start("c2", "c2.sock")}
			b.eventually("both are live", func() bool {
				live := 0
				both[reached].View(func(s *store.State) {
					for range s.LiveControllers() {
						live++
					}
				})
				return live == 2
			})
			b.register()
			b.bridge(both[reached].target)
			b.tenant("alice")
			b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
			b.inSync(both[reached])
		})
	}
}

// A switch that dialled in before its host's delete and registration is served afterwards.
func TestHostIsDeletedAndRegisteredAnew(t *testing.T) {
	b, c, _ := newProgrammed(t)
	if _, err := b.store.DeleteHost(b.ctx, host); err != nil {
		t.Fatal(err)
	}
	b.eventually("the host is forgotten", func() bool { return len(c.Hosts()) == 0 })
	b.register()
	b.realized(b.port("alice", "a1", "bbbbbbbbbbbb", true))
	b.inSync(c)
}
