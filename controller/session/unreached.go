package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/controller/cluster"
	"sluice/store"
)

const (
	// reachTime is how long this controller may have no session with the switch of a host that it
	// holds before others may claim the host.
	reachTime = 5 * time.Second
	// reachTick is how often it looks.
	reachTick = time.Second
)

// Keep says of hosts that this controller holds and does not reach, in their claims, that it does
// not, until ctx ends: their switches may be connected to another controller. Where nobody
// else has a session the claim stays.
func (srv *Server) Keep(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reachTick):
		}
		if err := srv.offer(ctx); err != nil && ctx.Err() == nil {
			srv.Log.Warn("cannot tell other controllers which hosts this one does not reach, trying again", "err", err)
		}
	}
}

// offer writes the claims of hosts that are newly unreached.
func (srv *Server) offer(ctx context.Context) error {
	lease := srv.Lease()
	if lease == nil {
		return nil
	}
	for _, claim := range srv.unreached() {
		master := *claim.Value
		master.Unreached = true
		_, err := srv.Store.PutIf(ctx, claim.Key, &master, claim.Modified, lease.ID)
		switch {
		case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound): // another's by now, or the host's end
			continue
		case err != nil:
			return fmt.Errorf("host %s: %w", claim.Key.Host, err)
		}
		srv.Log.Info("no session with the host's switch: other controllers may claim the host", "host", claim.Key.Host)
	}
	return nil
}

// unreached are the claims of this controller's to hosts whose switches it does not reach, but for
// those that say so.
func (srv *Server) unreached() (claims []store.Item[store.Master]) {
	srv.Picture.View(func(s *store.State) {
		for h := range srv.Fleet.Mastered(s) {
			if h.Gone() >= reachTime && !cluster.IsUnreached(s, h.Name) {
				claims = append(claims, *s.Master(h.Name))
			}
		}
	})
	return claims
}
