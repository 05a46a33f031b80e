package hostagent

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"sluice/hostagent/entry"
	"sluice/store"
)

// webRoutes keeps the table of routes that this host's entry and relay go by. What was read last outlives the agent, so that a restart
// while etcd is away takes nobody's page away.
type webRoutes struct {
	store Store
	file  string
	table *entry.Table
	late  bell // a request waits for a route that leads nowhere yet

	mu      sync.Mutex
	now     []entry.Route
	at      store.Revision // of what the last try read
	gateway int            // how many gateways the cluster has
}

// load reads what an earlier agent knew. What cannot be decoded is as good as none.
func (r *webRoutes) load() error {
	now, err := recall[[]entry.Route](r.file, "routes")
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = now
	r.table.Set(r.now)
	return nil
}

func (r *webRoutes) is(context.Context) ([]entry.Route, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, nil // which is replaced and never changed
}

// should be what etcd says now.
func (r *webRoutes) should(ctx context.Context) ([]entry.Route, error) {
	s, gateways, err := readPublished(ctx, r.store)
	if err != nil {
		return nil, err
	}
	list := entry.Routes(s)
	if err := r.relays(ctx, list); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.gateway = s.Revision(), gateways
	return list, nil
}

// relays fills in where the gateway hosts of routes relay.
func (r *webRoutes) relays(ctx context.Context, list []entry.Route) error {
	known := make(map[string]netip.AddrPort)
	for i := range list {
		route := &list[i]
		for _, host := range []string{route.Gateway, route.Backup} {
			if _, read := known[host]; read || host == "" {
				continue
			}
			o, _, err := r.store.Get(ctx, store.HostKey(host))
			if err != nil {
				return fmt.Errorf("read gateway host %s: %w", host, err)
			}
			known[host] = relayOf(o)
		}
		route.Relay, route.BackupRelay = known[route.Gateway], known[route.Backup]
	}
	return nil
}

// relayOf is where a host relays, if it is there and does.
func relayOf(o store.Object) (at netip.AddrPort) {
	if h, ok := o.(*store.Host); ok && h != nil && h.Relay != 0 && h.VTEP().IsValid() {
		at = netip.AddrPortFrom(h.VTEP(), h.Relay)
	}
	return at
}

func (r *webRoutes) makeSo(_ context.Context, should, is []entry.Route) error {
	if len(should) == len(is) && (len(is) == 0 || reflect.DeepEqual(should, is)) {
		return nil
	}
	if err := remember(r.file, "routes", should); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = slices.Clone(should)
	r.table.Set(r.now)
	return nil
}

// relayInterval is how often it is looked where gateway hosts relay, while there are routes.
const relayInterval = 10 * time.Second

// lateRest is between two reads while requests wait for a route that leads nowhere yet.
const lateRest = time.Second

// wait is the keeper's rhythm: it returns when a publication or a gateway changed, and in a cluster with many gateways sooner after that while
// a request waits for one.
func (r *webRoutes) wait(ctx context.Context) {
	r.mu.Lock()
	at, rest, limit := r.at, restInterval, tenantsInterval
	if len(r.now) > 0 {
		rest, limit = max(restInterval, restPerTenant*time.Duration(r.gateway)), max(relayInterval, 10*restPerTenant*time.Duration(r.gateway))
	}
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rested := time.After(lateRest)
	go func() {
		defer cancel()
		select {
		case <-r.late:
		case <-ctx.Done():
			return
		}
		select {
		case <-rested:
		case <-ctx.Done():
		}
	}()
	awaitRested(ctx, rest, limit, at, r.store.PublishedChanged)
}
