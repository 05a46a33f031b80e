package hostagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
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
}

// leavers are the limits of tenants that leave by this host, by the tenant's number.
type leavers map[uint32]store.Limits

// load reads what an earlier agent knew. What cannot be decoded is as good as none.
func (t *tenants) load() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := os.ReadFile(t.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read what the agent knew of tenants: %w", err)
	}
	if json.Unmarshal(b, &t.now) != nil {
		t.now = nil
	}
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
	if is != nil && maps.Equal(should, is) {
		return nil
	}
	b, err := json.Marshal(should)
	if err == nil {
		err = writeFile(t.file, b)
	}
	if err != nil {
		return fmt.Errorf("remember what tenants may take: %w", err)
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
