package enrol

import (
	"context"
	"errors"
	"time"

	"sluice/controller/cluster"
	"sluice/store"
)

const (
	// keepInterval is how often etcd's users are compared where nothing points to a change.
	keepInterval = 10 * time.Minute
	// keepAgain is when to try again what failed.
	keepAgain = 5 * time.Second
)

// Observe notes that a host was enrolled, or is not any more. It is an observer of the picture.
func (o *Office) Observe(u cluster.Update) {
	for _, change := range u.Changes {
		if change.Key.Kind == store.KindEnrolment || change.Key.Kind == store.KindInvitation {
			o.changed.Set()
		}
	}
}

// Keep keeps etcd's users in line with the hosts that are enrolled, and removes invitations that have
// expired, until ctx ends. Several controllers may do it at once: each brings about the same.
func (o *Office) Keep(ctx context.Context) error {
	select {
	case <-o.Picture.Loaded():
	case <-ctx.Done():
		return nil
	}
	keep := o.Store.AuditUsers // by those of an older version, hosts may do less
	for ctx.Err() == nil {
		next := keepInterval
		err := errors.Join(keep(ctx, o.enrolled()), o.removeExpired(ctx))
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, store.ErrNotAllowed): // the operator keeps them
			o.Log.Warn("etcd's users are left as they are", "err", err)
		default:
			o.Log.Warn("cannot keep etcd's users, trying again", "err", err)
			next = keepAgain
		}
		select {
		case <-ctx.Done():
		case <-o.changed:
			if err == nil {
				keep = o.Store.KeepUsers
			}
		case <-time.After(next):
			keep = o.Store.AuditUsers
		}
	}
	return nil
}

// enrolled are the names of the hosts that are.
func (o *Office) enrolled() (hosts []string) {
	o.Picture.View(func(s *store.State) {
		for e := range s.Enrolments() {
			hosts = append(hosts, e.Key.Host)
		}
	})
	return hosts
}

func (o *Office) removeExpired(ctx context.Context) error {
	var errs []error
	for _, key := range o.expired(time.Now()) {
		_, err := o.Store.Decide(ctx, func(s *store.State) (store.Proposal, error) { return store.ProposeDelete(s, key) }, key.String())
		if err != nil && !errors.Is(err, store.ErrNotFound) { // another controller was faster
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (o *Office) expired(now time.Time) (keys []store.Key) {
	o.Picture.View(func(s *store.State) {
		for i := range s.Invitations() {
			if now.After(i.Value.Expires) {
				keys = append(keys, i.Key)
			}
		}
	})
	return keys
}
