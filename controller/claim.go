package controller

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"sluice/datapath"
	"sluice/store"
)

// orphanTime is how long a host may have no master before a controller other than the first
// choice claims it: the first choice may live, and yet not be reached by the switch.
const orphanTime = 5 * time.Second

// mayMaster decides from the state whether this controller should claim the host: its holder
// keeps it while alive; without one, rendezvous hashing over the live controllers decides, or
// whoever notices that the one chosen so does not come.
func (s *session) mayMaster() bool {
	if s.c.lease.current() == nil {
		return false
	}
	holder, first := s.c.contenders(s.host.name)
	if holder != "" {
		s.orphaned = time.Time{}
		return holder == s.c.opts.Name
	}
	if s.orphaned.IsZero() {
		s.orphaned = time.Now()
	}
	return first == s.c.opts.Name || time.Since(s.orphaned) >= orphanTime
}

// contenders are the live controller that holds a host, or else the one that should.
func (c *Controller) contenders(host string) (holder, first string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	held := ""
	if m := c.state.Master(host); m != nil {
		held = m.Value.Controller
	}
	var live []string
	for item := range c.state.LiveControllers() {
		if item.Key.Name == held {
			return held, ""
		}
		live = append(live, item.Key.Name)
	}
	return "", rendezvous(live, host)
}

// rendezvous is the controller with the highest hash for a host: when one controller goes,
// only its hosts move. Empty when none is live.
func rendezvous(controllers []string, host string) string {
	best, bestHash := "", uint64(0)
	for _, name := range controllers {
		digest := sha256.Sum256([]byte(name + "/" + host))
		if sum := binary.BigEndian.Uint64(digest[:]); best == "" || sum > bestHash {
			best, bestHash = name, sum
		}
	}
	return best
}

// masters tells whether the state still says that this controller programs the host.
func (c *Controller) masters(host string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.mastersLocked(host)
}

func (c *Controller) mastersLocked(host string) bool {
	m := c.state.Master(host)
	return m != nil && m.Value.Controller == c.opts.Name
}

// anothersLocked tells whether another controller masters the host: what this one knows of
// what it holds is of before.
func (c *Controller) anothersLocked(host string) bool {
	m := c.state.Master(host)
	return m != nil && m.Value.Controller != c.opts.Name
}

// claim takes the host in etcd, then on the switch: nothing is written before the switch
// accepted this controller as its master (OpenFlow 1.3, 6.3.6).
func (s *session) claim(ctx context.Context) error {
	held, modified, err := s.held(ctx)
	if err != nil {
		return err
	}
	_, generation, err := s.sw.Role(ctx)
	if err != nil {
		return fmt.Errorf("host %s: ask the switch for its role: %w", s.host.name, err)
	}
	generation = max(held.Generation, generation) + 1
	if err := s.record(ctx, generation, modified); err != nil {
		return err
	}
	if err := s.sw.Become(ctx, datapath.RoleMaster, generation); err != nil {
		return fmt.Errorf("host %s: become master with generation %d: %w", s.host.name, generation, err)
	}
	s.startSeries()
	return s.c.loadCounters(ctx, s.host)
}

// held reads who holds the host, linearizably: the watch may lag behind.
func (s *session) held(ctx context.Context) (store.Master, store.Revision, error) {
	key := store.MasterKey(s.host.name)
	object, modified, err := s.c.opts.Store.Get(ctx, key)
	if err != nil {
		return store.Master{}, 0, err
	}
	if object == nil {
		return store.Master{}, 0, nil
	}
	held := *object.(*store.Master)
	if held.Controller == s.c.opts.Name {
		return held, modified, nil
	}
	if err := s.reached(ctx, modified); err != nil { // who is live may be as new as the claim
		return held, 0, err
	}
	if s.c.isLive(held.Controller) {
		return held, modified, fmt.Errorf("host %s: %w: controller %s holds it", s.host.name, store.ErrConflict, held.Controller)
	}
	return held, modified, nil
}

func (c *Controller) isLive(controller string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.LiveController(controller) != nil
}

// record writes the claim and waits until this controller's own state shows it, so that
// what is programmed next is not older than the claim.
func (s *session) record(ctx context.Context, generation uint64, modified store.Revision) error {
	lease := s.c.lease.current()
	if lease == nil {
		return errors.New("no lease in etcd yet")
	}
	claim := &store.Master{Controller: s.c.opts.Name, Generation: generation}
	status := s.host.disclaim()
	s.c.report.order.RLock()
	rev, err := s.c.opts.Store.Claim(ctx, s.host.name, claim, modified, lease.ID, status)
	if err == nil {
		s.c.report.wrote(s.host.name, status)
	}
	s.c.report.order.RUnlock()
	if err != nil {
		return err
	}
	return s.reached(ctx, rev)
}

// watchTime bounds the wait for the watch to show what etcd holds already.
const watchTime = 10 * time.Second

// reached waits until the state is at least at rev, that of a claim to this host.
func (s *session) reached(ctx context.Context, rev store.Revision) error {
	ctx, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	for {
		changed := s.host.claims.wait()
		if s.c.revision() >= rev {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the watch of etcd is at revision %d, not yet at %d: %w", s.c.revision(), rev, ctx.Err())
		}
	}
}
