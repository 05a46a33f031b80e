package lead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/controller/cluster"
	"sluice/store"
)

// idlers are the tenants with a time to live of which something is to be written.
type idlers struct {
	sleeping []string // have no port, and no mark says since when
	awake    []string // have ports, and a mark that says that they have none
	over     []string // their time to live has passed
}

// idlersOf looks at the tenants with a time to live. woken are the revisions at which ports last came to them.
func idlersOf(s *store.State, now time.Time, woken map[string]store.Revision) (found idlers) {
	for _, name := range s.MortalTenants() {
		t, mark := s.Tenant(name), s.IdleSince(name)
		switch {
		case mark != nil && (s.TenantPorts(name) > 0 || woken[name] > mark.Modified):
			found.awake = append(found.awake, name)
		case s.TenantPorts(name) > 0:
		case mark == nil:
			found.sleeping = append(found.sleeping, name)
		case !now.Before(s.Ends(t)):
			found.over = append(found.over, name)
		}
	}
	return found
}

// noteWoken keeps in mind when ports come to tenants with a time to live: one that came and went
// between two looks makes the tenant's time begin anew. The caller has locked l.mu.
func (l *Leader) noteWoken(u cluster.Update) {
	for _, c := range u.Changes {
		switch {
		case c.Key.Kind == store.KindTenant && c.After == nil:
			delete(l.woken, c.Key.Tenant)
		case c.Key.Kind == store.KindPort && (c.Before == nil || c.Anew):
			if t := u.State.Tenant(c.Key.Tenant); t != nil && t.Value.TTL > 0 {
				l.woken[c.Key.Tenant] = u.Batch.Revision
			}
		}
	}
}

// endIdle notes which tenants with a time to live have no ports, and removes those that had none for
// that time. Each write is refused where a port came meanwhile.
func (l *Leader) endIdle(ctx context.Context) error {
	var found idlers
	l.Picture.View(func(s *store.State) {
		l.mu.Lock()
		defer l.mu.Unlock()
		found = idlersOf(s, time.Now(), l.woken)
	})
	for _, tenant := range found.awake {
		if _, err := l.Store.Delete(ctx, store.IdleKey(tenant)); err != nil {
			return err
		}
	}
	for _, tenant := range found.sleeping {
		request := func(s *store.State) (store.Proposal, error) { return store.ProposeIdle(s, tenant, time.Now().UTC()) }
		if _, err := l.Store.Decide(ctx, request, store.NeededForIdle(tenant)...); err != nil && !overtaken(err) {
			return fmt.Errorf("note that tenant %s has no ports: %w", tenant, err)
		}
	}
	var errs []error
	for _, tenant := range found.over {
		if err := l.end(ctx, tenant); err != nil && !overtaken(err) {
			errs = append(errs, fmt.Errorf("remove tenant %s, whose time to live has passed: %w", tenant, err))
		}
	}
	return errors.Join(errs...)
}

// end removes a tenant with its networks, and tells of it.
func (l *Leader) end(ctx context.Context, tenant string) error {
	var gone []any
	request := func(s *store.State) (store.Proposal, error) {
		p, err := store.ProposeEnd(s, tenant, time.Now())
		if err == nil {
			gone = epitaph(s, tenant)
		}
		return p, err
	}
	rev, err := l.Store.Decide(ctx, request, store.NeededToEnd(tenant)...)
	if err != nil {
		return err
	}
	args := append([]any{"tenant", tenant, "rev", rev}, gone...)
	l.Log.Info("removed a tenant that had no ports for its time to live", args...)
	l.Audit.Info("audit", append([]any{"who", "leader " + l.Controller, "object", "tenant " + tenant, "outcome", "done"}, args...)...)
	return nil
}

// epitaph is what a line about a tenant that goes says of it, so that it can be made again.
func epitaph(s *store.State, tenant string) []any {
	t := s.Tenant(tenant)
	networks := map[string]*store.Network{}
	for n := range s.NetworksOf(tenant) {
		networks[n.Key.Network] = n.Value
	}
	return []any{"since", s.IdleSince(tenant).Value.Since, "ttl", t.Value.TTL, "was", t.Value, "networks", networks}
}

// overtaken reports whether a write was refused since the tenant got a port, or is gone.
func overtaken(err error) bool {
	return errors.Is(err, store.ErrInUse) || errors.Is(err, store.ErrNotFound)
}
