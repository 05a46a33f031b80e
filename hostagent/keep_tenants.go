package hostagent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice/store"
)

// tenantsInterval is how often the tenants are read where no change is told.
const tenantsInterval = time.Minute

// tenants keeps the knowledge of the tenants that leave by this host, or drain here, and of what
// each of them may take here. It outlives the agent, so that a restart while etcd is away changes no limit.
type tenants struct {
	host    string
	store   Store
	file    string
	changed bell // rings when a tenant came, went or has other limits

	mu  sync.Mutex
	now leavers        // nil: nothing was read, ever
	at  store.Revision // of what the last try read
	all int            // tenants of the cluster
	// ending are the tenants whose connections end here, and to which no host sends new ones, by name.
	ending map[string]ending
}

// ending is a tenant that drains here.
type ending struct {
	slot  uint32
	epoch uint64 // of its gateway
}

// leavers are the tenants that leave by this host, by the slot that each has here.
type leavers map[uint32]leaver

// leaver is a tenant that leaves by this host, with what it may take.
type leaver struct {
	store.Limits
	// Number is the tenant's; 0: that of the slot.
	Number uint32 `json:"number,omitempty"`
}

// number is that of the tenant with a slot here. Of one that is not known any more it is the slot's, as a rule.
func (l leavers) number(slot uint32) uint32 { return cmp.Or(l[slot].Number, slot) }

// byNumber is what is known of slots, of the tenants that have them.
func byNumber[V any](l leavers, bySlot map[uint32]V) map[uint32]V {
	found := make(map[uint32]V, len(bySlot))
	for slot, v := range bySlot {
		found[l.number(slot)] = v
	}
	return found
}

// load reads what an earlier agent knew.
func (t *tenants) load() error {
	now, err := recall[leavers](t.file, "tenants")
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = now
	return nil
}

func (t *tenants) is(context.Context) (leavers, error) { return t.known(), nil }

// should be what etcd says now.
func (t *tenants) should(ctx context.Context) (leavers, error) {
	gateways, at, err := t.store.List(ctx, store.KindGateway)
	if err != nil {
		return nil, fmt.Errorf("list gateways: %w", err)
	}
	all, _, err := t.store.List(ctx, store.KindTenant)
	if err != nil {
		return nil, fmt.Errorf("list tenants: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at, t.all = at, len(all)
	s := store.NewState()
	s.Apply(store.Batch{Revision: at, Events: slices.Concat(all, gateways)})
	now, ending := leaversAt(s, t.host)
	t.ending = ending
	return now, nil
}

// leaversAt are the tenants that have a host among their gateway hosts, by their slots there, and those of them that drain
// there and to which no host sends new connections.
func leaversAt(s *store.State, host string) (all leavers, drain map[string]ending) {
	all, drain = make(leavers), make(map[string]ending)
	for _, name := range s.TenantsVia(host) {
		t, g := s.Tenant(name), s.Gateway(name).Value
		if t == nil {
			continue
		}
		slot := s.Slot(host, t)
		if slot == 0 {
			continue
		}
		all[slot] = leaver{Limits: t.Value.Limits}
		if t.Value.Number != slot {
			all[slot] = leaver{t.Value.Limits, t.Value.Number}
		}
		if slices.Contains(g.Draining, host) && g.Ending[host].Quiet {
			drain[name] = ending{slot, g.Epoch}
		}
	}
	return all, drain
}

// drains are the tenants that drain here.
func (t *tenants) drains() map[string]ending {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ending // which is replaced and never changed
}

func (t *tenants) makeSo(_ context.Context, should, is leavers) error {
	if is != nil && maps.Equal(should, is) {
		return nil
	}
	if err := remember(t.file, "what tenants may take", should); err != nil {
		return err
	}
	t.mu.Lock()
	t.now = should
	t.mu.Unlock()
	t.changed.ring()
	return nil
}

// nameTenantsKnown is what keepers call that it is known what tenants may take.
const nameTenantsKnown = "known tenants"

// told reports whether anything was ever read.
func (t *tenants) told() bool { return t.known() != nil }

// known is what was last read, also by an earlier agent; nil: nothing was.
func (t *tenants) known() leavers {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// wait is the keeper's rhythm: it returns when a tenant or a gateway changed.
func (t *tenants) wait(ctx context.Context) {
	t.mu.Lock()
	at, rest := t.at, max(restInterval, restPerTenant*time.Duration(t.all))
	t.mu.Unlock()
	awaitRested(ctx, rest, tenantsInterval, at, t.store.EgressChanged)
}

// restPerTenant spaces the reads of all tenants, of which there may be tens of thousands.
const restPerTenant = time.Millisecond
