package hostagent

import (
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
	// Questions for names, by that of questions a second.
	Questions uint64 `json:"questions,omitempty"`
	// Drops are packets that nftables tables dropped which are gone, Listed those that the one counts
	// that is there.
	Drops  uint64 `json:"drops,omitempty"`
	Listed uint64 `json:"listed,omitempty"`
	// Answers are no refusals, but sums that outlive the agent as well: of HTTP requests by the tenant's routes.
	Answers store.Answers `json:"answers,omitzero"`
}

func newTally(stateDir string) *tally {
	return &tally{file: filepath.Join(stateDir, "refused.json"), tenants: make(map[uint32]refusals)}
}

// load reads what an earlier agent counted.
func (t *tally) load() error {
	tenants, err := recall[map[uint32]refusals](t.file, "what was refused to tenants")
	if err != nil {
		return err
	}
	if tenants == nil {
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
	if err := remember(t.file, "what was refused to tenants", t.tenants); err != nil {
		return err
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

// questions notes questions for names that were refused since it was told last.
func (t *tally) questions(refused map[uint32]uint64) {
	for tenant, n := range refused {
		t.change(tenant, func(r *refusals) { r.Questions += n })
	}
}

// answers notes HTTP requests that were answered since it was told last.
func (t *tally) answers(answered map[uint32]store.Answers) {
	for tenant, n := range answered {
		t.change(tenant, func(r *refusals) { r.Answers.Add(n) })
	}
}

// atLeast has the sums of a tenant begin where others ended, where they are less.
func (t *tally) atLeast(tenant uint32, told store.Used) {
	t.change(tenant, func(r *refusals) {
		r.Ports, r.NewPorts, r.Questions = max(r.Ports, told.PortsRefused), max(r.NewPorts, told.NewPortsRefused), max(r.Questions, told.QuestionsRefused)
		r.Drops = max(r.Drops+r.Listed, told.KernelDrops) - r.Listed
		for i := range r.Answers {
			r.Answers[i] = max(r.Answers[i], told.Answers[i])
		}
	})
}

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
		u.Add(store.Used{KernelDrops: r.Drops + r.Listed, PortsRefused: r.Ports, NewPortsRefused: r.NewPorts, QuestionsRefused: r.Questions, Answers: r.Answers})
		used[tenant] = u
	}
}
