package lead

import (
	"testing"
	"testing/synctest"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

func TestTombstonesAreThoseOfDeletions(t *testing.T) {
	tenant, vlan := &store.Tenant{Number: 1}, &store.Network{Number: 2, Segmentation: store.SegmentationVLAN, Segment: 3}
	port := &store.Port{Number: 4}
	changes := []store.Change{
		{Key: store.TenantKey("alice"), Before: tenant},
		{Key: store.NetworkKey("alice", "default"), Before: vlan},
		{Key: store.PortKey("h1", "bob", "default", "b1"), Before: port, After: &store.Port{Number: 5}, Anew: true},
		{Key: store.PortKey("h1", "bob", "default", "b2"), Before: port, After: port},
		{Key: store.TenantKey("carol"), After: tenant},
		{Key: store.HostKey("h1"), Before: &store.Host{}},
	}
	follower := newTombstones(false)
	follower.note(changes, 7)
	if len(follower.known) > 0 {
		t.Errorf("who does not lead keeps %v", follower.known)
	}
	leader := newTombstones(true)
	leader.note(changes, 7)
	leader.note(changes[:1], 9) // made again, and deleted again
	if got := len(leader.known); got != 5 {
		t.Errorf("%d tombstones, want alice's number twice, her network's two, and b1's: %v", got, leader.known)
	}
	for _, step := range []struct {
		realized store.Revision
		passed   int
	}{{6, 0}, {7, 4}, {8, 0}, {9, 1}, {10, 0}} {
		passed := leader.passed(step.realized)
		if len(passed) != step.passed {
			t.Errorf("realized at %d: %v are passed, want %d", step.realized, passed, step.passed)
		}
		leader.forget(passed)
	}
}

// Who begins to lead searches once; who could not keep all searches again once there is room.
func TestTombstonesAreSearchedFor(t *testing.T) {
	number := func(n int) []etcd.Tombstone {
		return etcd.TombstonesOf(store.TenantKey("alice"), &store.Tenant{Number: uint32(n)}, 7)
	}
	l := newTombstones(true)
	if l.lacks() != maxTombstones {
		t.Errorf("a new leader searches for %d", l.lacks())
	}
	l.searched = time.Now()
	if l.lacks() != 0 {
		t.Errorf("who knows all searches for %d", l.lacks())
	}
	for n := range maxTombstones {
		l.add(number(n))
	}
	if l.lacks() != 0 || len(l.known) != maxTombstones {
		t.Errorf("with room for all, it searches for %d", l.lacks())
	}
	l.add(number(maxTombstones))
	if l.lacks() != 0 || len(l.known) != maxTombstones {
		t.Errorf("it searches for %d, without room for more", l.lacks())
	}
	l.forget(number(5))
	if l.lacks() != 1 {
		t.Errorf("with room for one, it searches for %d", l.lacks())
	}
}

// Even who knows all searches again after an hour.
func TestTombstonesAreSearchedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newTombstones(true)
		l.searched = time.Now()
		time.Sleep(time.Hour - 1)
		if l.lacks() != 0 {
			t.Error("it searches within the hour")
		}
		time.Sleep(time.Nanosecond)
		if l.lacks() != maxTombstones {
			t.Error("it does not search after an hour")
		}
	})
}
