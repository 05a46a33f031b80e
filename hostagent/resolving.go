package hostagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/datapath/ovsdb"
	"sluice/hostagent/api"
	"sluice/hostagent/resolver"
	"sluice/store"
)

// resolving is this host's resolver with what it needs of the host: names from the store, and a room to be asked in.
type resolving struct {
	o        Options
	log      *slog.Logger
	problems *problems
	names    *resolver.Names
	ports    *publishing // is told of ports too
	desks    *resolver.Resolver
	room     *room
	db       *ovsdb.DB // set by Run, before anything runs
}

func newResolving(o Options, upstream *resolver.Upstream, ports *publishing, problems *problems) *resolving {
	r := &resolving{o: o, log: o.Log.With("host", o.Host), problems: problems, ports: ports, names: resolver.NewNames(o.Host), room: newRoom()}
	r.desks = resolver.New(r.names, upstream, r.room.open, r.log)
	return r
}

// settleInterval is how often desks that nobody needs are looked for.
const settleInterval = time.Minute

// run follows the names of the store until ctx ends. The ports are followed without a resolver too: some publish.
func (r *resolving) run(ctx context.Context) error {
	if !r.o.Resolver {
		return ended(r.o.Store.Follow(ctx, store.KindPort, func(b store.Batch) error { r.ports.apply(b); return nil }))
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, kind := range resolver.Kinds() {
		g.Go(func() error {
			return r.o.Store.Follow(ctx, kind, func(b store.Batch) error {
				if kind == store.KindPort {
					r.ports.apply(b)
				}
				if r.names.Apply(kind, b) {
					r.settle()
				}
				return nil
			})
		})
	}
	g.Go(func() error {
		for ctx.Err() == nil {
			pause(ctx, settleInterval)
			r.settle()
		}
		return ctx.Err()
	})
	return ended(g.Wait())
}

// ended is why names are not followed any more; nil: the agent was told to stop.
func ended(err error) error {
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("names of ports: %w", err)
	}
	return nil
}

// settle opens the desks of the tenants that are here. Before the keeper has made the room there are none.
func (r *resolving) settle() {
	if r.room.built() {
		r.problems.report("resolver's desks", r.desks.Settle())
	}
}

// open opens the desk of a tenant whose first port comes, so that the container's first question finds it.
func (r *resolving) open(tenant string, who resolver.Asker) {
	if r.o.Resolver && r.room.built() {
		r.problems.report("resolver's desks", r.desks.Open(tenant, who))
	}
}

func (r *resolving) close() {
	r.desks.Close()
	r.room.close()
}

// dnsFor is what a container's resolv.conf should say; nil: this host has no resolver.
func (r *resolving) dnsFor(key store.Key, addresses []netip.Prefix) *api.DNS {
	if !r.o.Resolver {
		return nil
	}
	d := &api.DNS{Search: []string{key.Tenant + "." + strings.TrimSuffix(resolver.Zone, ".")}}
	for _, at := range []netip.Addr{store.Resolver4, store.Resolver6} {
		for _, a := range addresses {
			if a.Addr().Is4() == at.Is4() {
				d.Nameservers = append(d.Nameservers, at.String())
				break
			}
		}
	}
	return d
}

// status is how the resolver is doing; nil: this host has none.
func (r *resolving) status() *api.ResolverStatus {
	if !r.o.Resolver {
		return nil
	}
	c := r.desks.Counts()
	return &api.ResolverStatus{Tenants: c.Desks, Names: r.names.Count(), Questions: c.Questions, Forwarded: c.Forwarded,
		Cached: c.Cached, Limited: c.Limited, Failed: c.Failed}
}
