package store

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Apply takes one batch and returns what it meant, presence changes last. Events of kinds
// that State does not keep, such as status, leave no change.
func (s *State) Apply(b Batch) []Change {
	s.former = former{}
	a := application{State: s, presence: map[Key]int{}, changes: make([]Change, 0, len(b.Events))}
	for _, e := range b.Events {
		if d := e.Key.Kind.describe(); d != nil {
			d.apply(&a, e)
		}
	}
	s.revision = max(s.revision, b.Revision)
	a.derivePresence()
	a.settle()
	return a.changes
}

// application is one run of Apply.
type application struct {
	*State
	changes  []Change
	presence map[Key]int // (host, network) touched -> ports before the batch
}

// touch notes how many ports a network had on a host before the batch.
func (a *application) touch(host string, network NetworkName) {
	here := Key{Kind: KindPresence, Host: host, Tenant: network.Tenant, Network: network.Network}
	if _, touched := a.presence[here]; !touched {
		a.presence[here] = len(a.PortsAt(host, network))
	}
}

// derivePresence compares each touched (host, network) with what it was before the batch.
func (a *application) derivePresence() {
	touched := slices.SortedFunc(maps.Keys(a.presence), func(k, l Key) int {
		return cmp.Or(strings.Compare(k.Host, l.Host), compareNetworkNames(k.NetworkName(), l.NetworkName()))
	})
	for _, key := range touched {
		before := a.presence[key]
		after := len(a.PortsAt(key.Host, key.NetworkName()))
		if (before == 0) == (after == 0) {
			continue
		}
		change := Change{Key: key}
		if before > 0 {
			change.Before = &Presence{Ports: before}
		} else {
			change.After = &Presence{Ports: after}
		}
		a.changes = append(a.changes, change)
	}
	a.noteStirred()
}

// settle packs what belongs to tenants that fell asleep, and unpacks what belongs to those that woke up: those of whose ports some, or
// of whose networks with ports some, came or went.
func (a *application) settle() {
	for key := range a.presence {
		a.settleTenant(key.Tenant)
	}
	for _, c := range a.changes {
		if c.Key.Kind == KindNetwork && len(a.HostsOf(c.Key.NetworkName())) > 0 {
			a.settleTenant(c.Key.Tenant)
		}
	}
}

func (a *application) settleTenant(tenant string) {
	awake := a.Awake(tenant)
	settle(&a.tenants.table, tenant, awake, TenantKey)
	settle(&a.gateways.table, tenant, awake, GatewayKey)
	for _, name := range a.networks.of(tenant) {
		settle(&a.networks.table, NetworkName{tenant, name}, awake, NetworkName.key)
	}
}

func settle[K comparable, T any](t *table[K, T], k K, awake bool, key func(K) Key) {
	if awake {
		t.wake(k)
	} else {
		t.lull(k, key)
	}
}
