package lead

import (
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// searchInterval is how often the leader searches etcd for tombstones that it does not know
	// of: an object may have come and gone while its watch was cut off.
	searchInterval = time.Hour
	// maxTombstones bounds those that it keeps in mind while a host is away; the others are
	// searched for once there is room.
	maxTombstones = 10_000
)

// tombstones are what the leader knows of numbers that objects had which are gone: so that
// what a deletion costs does not grow with what is there.
type tombstones struct {
	known    map[etcd.Tombstone]struct{} // nil: this controller does not lead, and keeps none
	searched time.Time                   // when all of them were known; zero: etcd may hold others
}

func newTombstones(leads bool) tombstones {
	if !leads {
		return tombstones{}
	}
	return tombstones{known: map[etcd.Tombstone]struct{}{}}
}

// lacks is how many are to be searched for: none, unless it is time and there is room.
func (t *tombstones) lacks() int {
	if time.Since(t.searched) < searchInterval {
		return 0
	}
	return maxTombstones - len(t.known)
}

// note adds what the changes of one revision left.
func (t *tombstones) note(changes []store.Change, at store.Revision) {
	for _, change := range changes {
		if change.After == nil || change.Anew {
			t.add(etcd.TombstonesOf(change.Key, change.Before, at))
		}
	}
}

func (t *tombstones) add(list []etcd.Tombstone) {
	if t.known == nil {
		return
	}
	for _, s := range list {
		if len(t.known) >= maxTombstones {
			t.searched = time.Time{}
			return
		}
		t.known[s] = struct{}{}
	}
}

// passed are those that a host which is realized at a revision holds no flows of.
func (t *tombstones) passed(realized store.Revision) []etcd.Tombstone {
	var list []etcd.Tombstone
	for s := range t.known {
		if s.Freed <= realized {
			list = append(list, s)
		}
	}
	return list
}

func (t *tombstones) forget(list []etcd.Tombstone) {
	for _, s := range list {
		delete(t.known, s)
	}
}
