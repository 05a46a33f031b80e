package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice/controller/cluster"
	"sluice/flows"
	"sluice/store"
)

// readTime bounds the reading of the checkpoints, where etcd is away.
const readTime = 2 * time.Second

// Totals are the sums of all hosts, which the leader alone shows, so that each is one series however many
// controllers there are. They are what the checkpoints in etcd say: what is shown once is never taken back, whoever
// leads next and whoever programs a host next. It is safe for concurrent use.
type Totals struct {
	Picture *cluster.Picture
	Store   Store
	// Leads reports whether this controller is the leader.
	Leads func() bool

	mu    sync.Mutex // one reads at a time
	at    store.Revision
	hosts map[string]written
}

// written is a host's checkpoint, as of a revision.
type written struct {
	*store.StatusCounters
	at store.Revision
}

// Shown is what the leader shows; empty on other controllers.
type Shown struct {
	Classes  map[flows.Class]Sum // of all hosts
	Gateways map[Gateway]Sum     // of each host alone
}

// Gateway is a tenant's way through one gateway host in one direction.
type Gateway struct {
	Tenant          uint32 // number
	Host, Direction string
}

// Sums are the sums of all hosts, as etcd has them now. What passed a gateway host is shown of that host alone: of all
// hosts it is there by other scopes.
func (t *Totals) Sums(ctx context.Context) (Shown, error) {
	hosts, err := t.checkpoints(ctx)
	if err != nil {
		return Shown{}, fmt.Errorf("read the sums of tenants: %w", err)
	}
	if hosts == nil {
		return Shown{}, nil
	}
	return add(hosts, t.created(hosts)), nil
}

// checkpoints are those of all hosts, as etcd has them now; nil where this controller does not lead.
func (t *Totals) checkpoints(ctx context.Context) (map[string]written, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.Leads() {
		t.at, t.hosts = 0, nil
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	err := t.read(ctx)
	return maps.Clone(t.hosts), err
}

// read reads the checkpoints that were written since they were last read.
func (t *Totals) read(ctx context.Context) error {
	events, now, err := t.Store.Counters(ctx, t.at)
	if err == nil && now < t.at { // another store, which counts anew
		t.at = 0
		events, now, err = t.Store.Counters(ctx, 0)
	}
	if err != nil {
		return err
	}
	if t.at == 0 {
		t.hosts = map[string]written{}
	}
	for _, e := range events {
		if saved, ok := e.Object.(*store.StatusCounters); ok {
			t.hosts[e.Key.Host] = written{saved, e.Modified}
		}
	}
	t.at = now
	return nil
}

// add adds up what is of tenants that there are, by when these were created.
func add(hosts map[string]written, created map[uint32]store.Revision) Shown {
	shown := Shown{map[flows.Class]Sum{}, map[Gateway]Sum{}}
	for host, w := range hosts {
		for _, c := range w.Counters {
			began, exists := created[c.Tenant]
			sum := Sum{c.Packets + c.LastPackets, c.Bytes + c.LastBytes}
			if !exists || began > w.at || sum == (Sum{}) { // it is of one that had the number before, or nothing
				continue
			}
			if class := classOf(c); class.Scope == flows.ScopeGateway {
				shown.Gateways[Gateway{class.Tenant, host, class.Direction}] = sum
			} else {
				addTo(shown.Classes, class, sum)
			}
		}
	}
	return shown
}

// created is when the tenants of checkpoints were, by number. 0 is nobody, who always was.
func (t *Totals) created(hosts map[string]written) map[uint32]store.Revision {
	created := map[uint32]store.Revision{}
	for _, w := range hosts {
		for _, c := range w.Counters {
			created[c.Tenant] = 0
		}
	}
	numbers := slices.Collect(maps.Keys(created))
	t.Picture.Each(len(numbers), func(s *store.State, i int) {
		tenant := s.TenantByNumber(numbers[i])
		switch {
		case tenant != nil:
			created[numbers[i]] = tenant.Created
		case numbers[i] != 0:
			delete(created, numbers[i])
		}
	})
	return created
}
