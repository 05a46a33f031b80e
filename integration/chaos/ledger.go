package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// standing is what is known of an object of the workload.
type standing string

const (
	made    standing = "made"    // acknowledged: it must be there
	removed standing = "removed" // acknowledged: it must not be there
	unsure  standing = "unsure"  // asked for and not acknowledged, or being asked for
)

// ledger is every object of the workload with what was acknowledged of it. No name is used
// twice. A name is a kind and an object: tenant chaos-t1.
type ledger struct {
	mu      sync.Mutex
	objects map[string]standing
}

func newLedger() *ledger { return &ledger{objects: map[string]standing{}} }

func (l *ledger) note(name string, s standing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.objects[name] = s
}

func (l *ledger) copy() map[string]standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.objects)
}

// compare holds what was read against what stood acknowledged before the reading began and
// still does after it.
func (l *ledger) compare(before map[string]standing, read map[string]bool) error {
	now := l.copy()
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		switch is := now[name]; {
		case is != before[name]:
		case is == made && !read[name]:
			wrong = append(wrong, name+" was acknowledged and is gone")
		case is == removed && read[name]:
			wrong = append(wrong, name+" is there though its removal was acknowledged")
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("an acknowledged write is lost: %s", strings.Join(wrong, "; "))
	}
	return nil
}
