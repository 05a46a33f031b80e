package hostagent

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"sluice/store"
)

// tenantsInterval is how often the tenants are read where no change is told.
const tenantsInterval = time.Minute

// tenants keeps the knowledge of the tenants that leave by this host, or drain here, and of what
// each of them may take here.
type tenants struct {
	host    string
	store   Store
	changed bell // rings when a tenant came, went or has other limits

	mu  sync.Mutex
	now leavers
	at  store.Revision // of what the last try read
	all int            // tenants of the cluster
}

// leavers are the limits of tenants that leave by this host, by the tenant's number.
type leavers map[uint32]store.Limits

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
	return leaversBy(t.host, gateways, all), nil
}

// leaversBy are the tenants that have a host among their gateway hosts.
func leaversBy(host string, gateways, all []store.Event) leavers {
	here := make(map[string]bool)
	for _, e := range gateways {
		if e.Object.(*store.Gateway).At(host) {
			here[e.Key.Tenant] = true
		}
	}
	found := make(leavers)
	for _, e := range all {
		if tenant := e.Object.(*store.Tenant); here[e.Key.Tenant] && tenant.Number >= 1 && tenant.Number <= store.MaxTenantNumber {
			found[tenant.Number] = tenant.Limits
		}
	}
	return found
}

func (t *tenants) makeSo(_ context.Context, should, is leavers) error {
	if maps.Equal(should, is) {
		return nil
	}
	t.mu.Lock()
	t.now = should
	t.mu.Unlock()
	t.changed.ring()
	return nil
}

// known is what was last read; nil: nothing was.
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
