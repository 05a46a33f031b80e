package hostagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"sluice/store"
)

// tally counts what this host refused to tenants by their limits, in sums that never go back: they
// outlive the agent, and the nftables table that counts some of them.
type tally struct {
	file string

	mu      sync.Mutex
	tenants map[uint32]refusals // by number
	changed bool                // since it was written
}

// refusals are what limits refused to one tenant.
type refusals struct {
	Ports    uint64 `json:"ports,omitempty"`    // attaches, by the limit of ports
	NewPorts uint64 `json:"newPorts,omitempty"` // attaches, by that of new ports a second
	// Drops are packets that nftables tables dropped which are gone, Listed those that the one counts
	// that is there.
	Drops  uint64 `json:"drops,omitempty"`
	Listed uint64 `json:"listed,omitempty"`
}

func newTally(stateDir string) *tally {
	return &tally{file: filepath.Join(stateDir, "refused.json"), tenants: make(map[uint32]refusals)}
}

// load reads what an earlier agent counted. What cannot be decoded is as good as none.
func (t *tally) load() error {
	b, err := os.ReadFile(t.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read what was refused to tenants: %w", err)
	}
	var tenants map[uint32]refusals
	if json.Unmarshal(b, &tenants) != nil || tenants == nil {
		tenants = make(map[uint32]refusals)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tenants = tenants
	return nil
}

// save writes what was counted, before anybody is told of it.
func (t *tally) save() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.changed {
		return nil
	}
	b, err := json.Marshal(t.tenants)
	if err == nil {
		err = writeFile(t.file, b)
	}
	if err != nil {
		return fmt.Errorf("keep what was refused to tenants: %w", err)
	}
	t.changed = false
	return nil
}

// change changes the refusals of a tenant.
func (t *tally) change(tenant uint32, how func(*refusals)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changeLocked(tenant, how)
}

func (t *tally) changeLocked(tenant uint32, how func(*refusals)) {
	is := t.tenants[tenant]
	should := is
	if how(&should); should != is {
		t.tenants[tenant], t.changed = should, true
	}
}

// port notes an attach that was refused by the limit of ports, newPort one by that of new ports.
func (t *tally) port(tenant uint32)    { t.change(tenant, func(r *refusals) { r.Ports++ }) }
func (t *tally) newPort(tenant uint32) { t.change(tenant, func(r *refusals) { r.NewPorts++ }) }

// listed notes what the nftables table counts now of all tenants. Where it counts less than it did, it
// is another table.
func (t *tally) listed(packets map[uint32]uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for tenant := range t.withThose(packets) {
		t.changeLocked(tenant, func(r *refusals) {
			if packets[tenant] < r.Listed {
				r.Drops += r.Listed
			}
			r.Listed = packets[tenant]
		})
	}
}

// withThose are the tenants that are known, and others. The caller has locked t.mu.
func (t *tally) withThose(others map[uint32]uint64) map[uint32]bool {
	all := make(map[uint32]bool, len(t.tenants))
	for tenant := range t.tenants {
		all[tenant] = true
	}
	for tenant := range others {
		all[tenant] = true
	}
	return all
}

// anew notes that the nftables table was written anew, and counts from 0.
func (t *tally) anew() error {
	t.mu.Lock()
	for tenant := range t.tenants {
		t.changeLocked(tenant, func(r *refusals) { r.Drops, r.Listed = r.Drops+r.Listed, 0 })
	}
	t.mu.Unlock()
	return t.save()
}

// forget forgets tenants that are gone: their numbers will be given to others.
func (t *tally) forget(there map[uint32]bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for tenant := range t.tenants {
		if !there[tenant] {
			delete(t.tenants, tenant)
			t.changed = true
		}
	}
}

// empty reports whether nothing was ever refused.
func (t *tally) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.tenants) == 0
}

// addTo adds what was refused to what is used.
func (t *tally) addTo(used map[uint32]store.Used) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for tenant, r := range t.tenants {
		u := used[tenant]
		u.Add(store.Used{KernelDrops: r.Drops + r.Listed, PortsRefused: r.Ports, NewPortsRefused: r.NewPorts})
		used[tenant] = u
	}
}
