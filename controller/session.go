package controller

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

var (
	errReplaced  = errors.New("the same switch dialled in again")
	errForgotten = errors.New("its host was deleted")
)

// session is one switch's life with this controller.
type session struct {
	c    *Controller
	host *host
	sw   *datapath.Switch
	log  *slog.Logger
	over chan struct{} // closed when nothing of the session runs any more

	left     *flows.Fingerprint // of what the switch holds unless someone else changes it; nil: not known
	watching bool               // the switch tells of changes that others make to its flows
	edited   bool               // it did, since the last audit
	orphaned time.Time          // since when its host has had no master; zero: it has one

	mu     sync.Mutex
	role   datapath.Role
	ofport map[string]uint32 // interface name -> OpenFlow port number
}

// serve runs a switch's session: it returns when the session is over.
func (c *Controller) serve(ctx context.Context, sw *datapath.Switch) {
	log := c.opts.Log.With("dpid", store.DatapathID(sw.DatapathID()).String())
	h := c.identify(ctx, store.DatapathID(sw.DatapathID()), log)
	if h == nil {
		return
	}
	s := &session{
		c: c, host: h, sw: sw, log: log.With("host", h.name),
		over: make(chan struct{}), ofport: map[string]uint32{},
	}
	defer close(s.over)
	if err := c.admit(ctx, s); err != nil {
		s.log.Info("switch turned away", "err", err)
		return
	}
	defer c.report.poke()
	defer h.detach()
	s.log.Info("switch connected", "remote", sw.RemoteAddr())
	c.report.poke()
	err := s.run(ctx)
	s.log.Info("switch gone", "err", err)
}

// admit makes s its host's session. A switch that dials in twice has lost the first
// connection without our noticing: that session is ended, and must be over before this one
// begins, since both would take the same marks.
func (c *Controller) admit(ctx context.Context, s *session) error {
	for {
		older, err := c.attach(s)
		if older == nil {
			return err
		}
		older.sw.Close(errReplaced)
		select {
		case <-older.over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// attach needs no older session, which it returns, and a host that is still registered.
func (c *Controller) attach(s *session) (older *session, err error) {
	c.mu.RLock() // so that who deletes the host finds the session
	defer c.mu.RUnlock()
	if c.hosts[s.host.name] != s.host {
		return nil, errForgotten
	}
	return s.host.attach(s), nil
}

// identify waits until a host with that datapath id is registered. Until then the switch
// is listed as unknown and gets nothing. Before the state was read every switch is unknown,
// which says nothing about it.
func (c *Controller) identify(ctx context.Context, id store.DatapathID, log *slog.Logger) *host {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil
	}
	for first := true; ; first = false {
		changed := c.hostsChanged.wait()
		if h := c.hostByDatapath(id); h != nil {
			if !first {
				c.countUnknown(id, -1)
			}
			return h
		}
		if first {
			c.countUnknown(id, 1)
			log.Warn("a switch with an unknown datapath id dialled in; it gets no flows until its host registers")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.countUnknown(id, -1)
			return nil
		}
	}
}

func (c *Controller) hostByDatapath(id store.DatapathID) *host {
	c.mu.RLock()
	defer c.mu.RUnlock()
	item := c.state.HostByDatapath(id)
	if item == nil {
		return nil
	}
	return c.hosts[item.Key.Host]
}

func (c *Controller) countUnknown(id store.DatapathID, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unknown[id] += by; c.unknown[id] <= 0 {
		delete(c.unknown, id)
	}
	c.report.poke()
}

// run alternates between being the switch's master and watching another master.
func (s *session) run(ctx context.Context) error {
	retry := backoff.NewExponentialBackOff()
	for ctx.Err() == nil {
		changed := s.host.claims.wait()
		if !s.mayMaster() {
			if err := s.follow(ctx, changed); err != nil {
				return err
			}
			continue
		}
		err := s.master(ctx)
		switch {
		case err == nil:
			retry.Reset()
			continue
		case errors.Is(err, datapath.ErrStale):
			return err // an equal may write: the session must end
		case s.sw.Err() != nil:
			return s.sw.Err()
		case ctx.Err() != nil:
			return ctx.Err()
		}
		s.log.Warn("not the switch's master", "err", err)
		select {
		case <-changed:
		case <-time.After(retry.NextBackOff()):
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// follow stays a slave until something about the claims changes. A slave can read.
func (s *session) follow(ctx context.Context, changed <-chan struct{}) error {
	if s.getRole() != datapath.RoleSlave {
		_, generation, err := s.sw.Role(ctx)
		if err != nil {
			return err
		}
		if err := s.sw.Become(ctx, datapath.RoleSlave, generation); err != nil {
			return err
		}
		s.setRole(datapath.RoleSlave)
	}
	var neglected <-chan time.Time
	if !s.orphaned.IsZero() {
		neglected = time.After(orphanTime - time.Since(s.orphaned))
	}
	for {
		select {
		case <-changed:
			return nil
		case <-neglected:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-s.sw.Events():
			if !open {
				return s.sw.Err()
			}
		}
	}
}

// master claims the host, becomes the switch's master and programs it until it is no
// longer the master (nil: look again) or an error.
func (s *session) master(ctx context.Context) error {
	if err := s.claim(ctx); err != nil {
		return err
	}
	s.setRole(datapath.RoleMaster)
	defer s.setRole(datapath.RoleEqual)
	s.log.Info("programming the switch")
	if err := s.watch(ctx); err != nil {
		return err
	}
	if err := s.startOver(ctx); err != nil {
		return err
	}
	return s.program(ctx)
}

// watch has the switch tell of changes that others make to its flows; the next audit heeds them.
func (s *session) watch(ctx context.Context) error {
	err := s.sw.WatchFlows(ctx)
	s.watching = err == nil
	var refusal *openflow.Error
	if errors.As(err, &refusal) {
		s.log.Info("the switch does not tell of changes by others: each audit reads all its flows", "err", err)
		return nil
	}
	return err
}

// startOver reads the ports afresh and asks for a resync.
func (s *session) startOver(ctx context.Context) error {
	if _, err := s.readPorts(ctx); err != nil {
		return err
	}
	s.host.markAll(s.c.revision())
	s.host.wakeUp()
	return nil
}

// program keeps the switch right.
func (s *session) program(ctx context.Context) error {
	audit := time.NewTimer(spread(s.host.name, s.c.opts.AuditInterval))
	defer audit.Stop()
	counters := time.NewTimer(spread(s.host.name, s.c.opts.CounterInterval))
	defer counters.Stop()
	if s.c.opts.CounterInterval < 0 {
		counters.Stop() // a timer that was stopped is never received from
	}
	for {
		changed := s.host.claims.wait()
		if !s.c.masters(s.host.name) {
			return nil
		}
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case event, open := <-s.sw.Events():
			if !open {
				return s.sw.Err()
			}
			if _, lost := event.(datapath.Overflow); lost {
				audit.Reset(0) // flows may be among what was not told
			}
			err = s.handle(ctx, event)
		case <-s.sw.Edited():
			s.edited = true
		case <-s.host.wake:
			err = s.realize(ctx)
		case <-audit.C:
			var next time.Duration
			next, err = s.auditIfRoom(ctx)
			audit.Reset(next)
		case <-counters.C:
			counters.Reset(s.c.opts.CounterInterval)
			err = s.readCounters(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) handle(ctx context.Context, event datapath.Event) error {
	switch e := event.(type) {
	case datapath.PortEvent:
		s.portChanged(e)
	case datapath.FlowRemoved:
		s.flowGone(e)
	case datapath.Demoted:
		return datapath.ErrDemoted
	case datapath.Overflow:
		return s.catchUp(ctx)
	}
	return nil
}

// catchUp learns what lost events would have told. The audit that follows finds the flows
// among it, and counts them as drift.
func (s *session) catchUp(ctx context.Context) error {
	role, _, err := s.sw.Role(ctx)
	if err != nil {
		return err
	}
	if role != datapath.RoleMaster {
		return datapath.ErrDemoted
	}
	s.edited = true
	changed, err := s.readPorts(ctx)
	for _, name := range changed {
		s.c.markPort(s.host, name)
	}
	return err
}

// readPorts notes the numbers of all ports, and returns the names of those that came, went or
// were renumbered.
func (s *session) readPorts(ctx context.Context) (changed []string, err error) {
	ports, err := s.sw.Ports(ctx)
	if err != nil {
		return nil, err
	}
	now := make(map[string]uint32, len(ports))
	for _, p := range ports {
		now[p.Name] = p.Number
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.ofport
	s.ofport = now
	for name, number := range now {
		if was, had := before[name]; !had || was != number {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, has := now[name]; !has {
			changed = append(changed, name)
		}
	}
	return changed, nil
}

// portChanged notes an interface that came, went or was renumbered, and marks what it carries.
func (s *session) portChanged(e datapath.PortEvent) {
	if s.learn(e) {
		s.c.markPort(s.host, e.Port.Name)
	}
}

// learn notes a port's number and tells whether that was news.
func (s *session) learn(e datapath.PortEvent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, had := s.ofport[e.Port.Name]
	if e.Reason != datapath.PortDeleted {
		s.ofport[e.Port.Name] = e.Port.Number
		return !had || before != e.Port.Number
	}
	if before != e.Port.Number {
		return false // the name has another number by now
	}
	delete(s.ofport, e.Port.Name)
	return had
}

func (c *Controller) markPort(h *host, iface string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	rev := c.state.Revision()
	mark := func(slice flows.Slice) { h.mark(slice, rev) }
	if all := flows.AffectedPort(c.state, h.name, iface, mark); all {
		h.markAll(rev)
	}
	h.wakeIfMarked()
}

// view is the switch as the compiler sees it.
func (s *session) view() flows.Switch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return flows.Switch{Host: s.host.name, OFPort: maps.Clone(s.ofport)}
}

func (s *session) getRole() datapath.Role {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role
}

func (s *session) setRole(r datapath.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role = r
}
