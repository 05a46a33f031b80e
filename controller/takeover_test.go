package controller_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice/controller"
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
	if _, err := b.store.DeleteHost(b.ctx, h1); err != nil {
		t.Fatal(err)
	}
	b.eventually("the host is forgotten", func() bool { return len(c.Hosts()) == 0 })
	b.register()
	b.realized(b.port("alice", "a1", "bbbbbbbbbbbb", true))
	b.inSync(c)
}

// A controller that starts under the name of one that lives takes its place, and the older
// one ends and says why. No flow changes.
func TestLaterControllerTakesTheName(t *testing.T) {
	b, first, _ := newProgrammed(t)
	before := b.dump()
	second := b.start("c1", "again.sock")
	b.ovs.VSCtl("set-controller", store.BridgeName, first.target, second.target)
	err := <-first.ended
	if !errors.Is(err, controller.ErrNameTaken) || !strings.HasPrefix(err.Error(), "controller c1: ") || !strings.Contains(err.Error(), "--name") {
		t.Errorf("the older one ended with: %v", err)
	}
	b.tookOver(second, before)
	b.realized(b.port("alice", "a2", "bbbbbbbbbbbb", true))
	b.inSync(second)
}

// Of controllers that start under one name at one time exactly one goes on.
func TestOneOfManyKeepsTheName(t *testing.T) {
	b := newBench(t)
	const many = 4
	left, ended := map[*running]bool{}, make(chan *running, many)
	why := make(chan error, many)
	var targets []string
	for i := range many {
		c := b.start("c1", fmt.Sprintf("c1-%d.sock", i))
		left[c], targets = true, append(targets, c.target)
		go func() { why <- <-c.ended; ended <- c }()
	}
	b.bridge(targets...)
	b.register()
	b.tenant("alice")
	for range many - 1 {
		if err := <-why; !errors.Is(err, controller.ErrNameTaken) {
			t.Errorf("one of the name ended with: %v", err)
		}
		delete(left, <-ended)
	}
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	for c := range left {
		b.inSync(c)
	}
	select {
	case err := <-why:
		t.Errorf("the last one ended too: %v", err)
	default:
	}
}

// A controller that was killed leaves its live key and its claims under a lease; its
// successor waits for neither. Here the lease never ends, so that who waits never gets on.
func TestSuccessorDoesNotWaitForTheLease(t *testing.T) {
	b := newBench(t)
	b.register()
	lease, err := b.store.GrantLease(b.ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Close()
	killed := &store.LiveController{Incarnation: "killed", OpenFlow: "192.0.2.1:6653", API: "http://127.0.0.1:8080"}
	if _, err := b.store.PutIf(b.ctx, store.LiveControllerKey("c1"), killed, 0, lease.ID); err != nil {
		t.Fatal(err)
	}
	behind := &store.StatusHost{State: store.HostBehind}
	if _, err := b.store.Claim(b.ctx, h1, &store.Master{Controller: "c1", Generation: 7}, 0, lease.ID, behind); err != nil {
		t.Fatal(err)
	}
	c := b.start("c1", "c1.sock")
	b.bridge(c.target)
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	b.inSync(c)
}
