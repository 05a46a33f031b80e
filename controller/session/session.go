package session

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// session is one switch's life with this controller.
type session struct {
	srv  *Server
	host *host.Host
	sw   *datapath.Switch
	log  *slog.Logger
	over chan struct{} // closed when nothing of the session runs any more
	// proof is that of the flows that the switch holds, while this controller is its master.
	proof *proof.Watch

	// These are the session's own goroutine's.
	meters   meters             // what is known of the switch's
	expected *flows.Fingerprint // of what the switch holds unless someone else changes it; nil: not known
	watching bool               // the switch tells of changes that others make to its flows
	edited   bool               // it did, since the last audit
	audits   schedule
	orphaned time.Time // since when its host has had no master; zero: it has one

	mu   sync.Mutex
	role datapath.Role
}

func newSession(srv *Server, h *host.Host, sw *datapath.Switch, log *slog.Logger) *session {
	s := &session{srv: srv, host: h, sw: sw, log: log, over: make(chan struct{})}
	s.proof = srv.Prover.Watch(h, s.readFlows, log)
	return s
}

// run alternates between being the switch's master and watching another master.
func (s *session) run(ctx context.Context) error {
	for ctx.Err() == nil {
		changed := s.host.Mastership.Wait()
		if !s.mayMaster() {
			if err := s.follow(ctx, changed); err != nil {
				return err
			}
			continue
		}
		claimed, err := s.claimAtLast(ctx)
		if claimed {
			if err = s.master(ctx); err != nil {
				err = s.pause(ctx, err, s.host.Mastership.Wait(), newRetry().NextBackOff())
			}
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// claimAtLast claims the host, again and again, until it is this controller's or is not to be any more.
func (s *session) claimAtLast(ctx context.Context) (claimed bool, err error) {
	retry := newRetry()
	for {
		changed := s.host.Mastership.Wait()
		if !s.mayMaster() {
			return false, nil
		}
		err := s.claim(ctx)
		if err == nil {
			return true, nil
		}
		if err := s.pause(ctx, err, changed, retry.NextBackOff()); err != nil {
			return false, err
		}
	}
}

// newRetry is how long a session pauses between claims that fail: short enough that a switch does
// not wait for long once etcd is back.
func newRetry() *backoff.ExponentialBackOff {
	retry := backoff.NewExponentialBackOff()
	retry.MaxInterval = 5 * time.Second
	return retry
}

// pause waits after this controller did not become, or stay, the switch's master. It returns an
// error where the session ends with that.
func (s *session) pause(ctx context.Context, why error, changed <-chan struct{}, long time.Duration) error {
	switch {
	case errors.Is(why, datapath.ErrStale):
		return why // an equal may write: the session must end
	case s.sw.Err() != nil:
		return s.sw.Err()
	case ctx.Err() != nil:
		return ctx.Err()
	}
	s.log.Warn("not the switch's master", "err", why)
	select {
	case <-changed:
	case <-time.After(long):
	case <-ctx.Done():
	}
	return nil
}

// follow stays a slave until something about the mastership changes. A slave reads: it knows
// the switch's ports, so that it can say which flows the switch should hold.
func (s *session) follow(ctx context.Context, changed <-chan struct{}) error {
	if s.getRole() != datapath.RoleSlave {
		if err := s.becomeSlave(ctx); err != nil {
			return err
		}
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
		case event, open := <-s.sw.Events():
			if !open {
				return s.sw.Err()
			}
			if e, ok := event.(datapath.PortEvent); ok {
				s.learn(e)
			}
		}
	}
}

// becomeSlave also tells the switch the highest generation that this controller knows: one that
// was restarted has forgotten it, and would take a master that was replaced long ago.
func (s *session) becomeSlave(ctx context.Context) error {
	_, generation, err := s.sw.Role(ctx)
	if err != nil {
		return err
	}
	_, latest := s.host.Generations()
	if err := s.sw.Become(ctx, datapath.RoleSlave, max(generation, latest)); err != nil {
		return err
	}
	s.setRole(datapath.RoleSlave)
	s.host.GiveUp()
	_, err = s.readPorts(ctx)
	return err
}

// master programs the switch, whose master it has become, until it is that no longer (nil: look
// again) or an error.
func (s *session) master(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.setRole(datapath.RoleMaster)
	defer s.setRole(datapath.RoleEqual)
	s.log.Info("programming the switch")
	if err := s.watch(ctx); err != nil {
		return err
	}
	if err := s.startOver(ctx); err != nil {
		return err
	}
	defer s.prove(ctx)()
	return s.program(ctx)
}

// prove begins to prove what the switch holds; end waits until nothing of that runs any more.
func (s *session) prove(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.proof.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// readFlows reads the flows of some cookies that the switch holds now; nil: all of them.
func (s *session) readFlows(ctx context.Context, cookies []uint64, yield func(*openflow.FlowStats) bool) error {
	if cookies == nil {
		return s.readAll(ctx, yield)
	}
	return s.sw.Flows(ctx, cookies, yield)
}

// readAll reads all flows, and keeps them for who asks when the switch is away.
func (s *session) readAll(ctx context.Context, yield func(*openflow.FlowStats) bool) error {
	record, whole := s.srv.Dumps.Record(s.host.Name), true
	err := s.sw.Flows(ctx, nil, func(f *openflow.FlowStats) bool {
		record.Add(f)
		whole = yield(f)
		return whole
	})
	if err != nil || !whole {
		return err
	}
	if err := record.Keep(time.Now().UTC()); err != nil {
		s.log.Warn("what the switch holds was read and is not kept", "err", err)
	}
	return nil
}

// watch has the switch tell of changes that others make to its flows; an audit comes soon after.
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
	s.host.MarkAll(s.srv.Picture.Revision())
	s.host.Wake.Set()
	return nil
}

// program keeps the switch right.
func (s *session) program(ctx context.Context) error {
	s.audits = schedule{interval: s.srv.AuditInterval, due: time.Now().Add(spread(s.host.Name, s.srv.AuditInterval))}
	audit := time.NewTimer(0)
	defer audit.Stop()
	counters := time.NewTimer(spread(s.host.Name, s.srv.CounterInterval))
	defer counters.Stop()
	if s.srv.CounterInterval < 0 {
		counters.Stop() // a timer that was stopped is never received from
	}
	answers := s.etcdAnswers(ctx)
	for {
		changed := s.host.Mastership.Wait()
		if !s.mayProgram() {
			return nil
		}
		audit.Reset(time.Until(s.audits.due))
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case event, open := <-s.sw.Events():
			if !open {
				return s.sw.Err()
			}
			err = s.handle(ctx, event)
		case <-s.sw.Edited():
			s.edited = true
			s.audits.edited(time.Now())
			s.proof.Edited()
		case <-s.host.Wake:
			err = s.realize(ctx)
		case <-audit.C:
			err = s.auditIfRoom(ctx)
		case <-counters.C:
			counters.Reset(s.srv.CounterInterval)
			err = s.readCounters(ctx)
		case <-answers:
			err = s.settle(ctx)
			answers = s.etcdAnswers(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// spread is a host's place in an interval, always the same: so that what is done with every
// host at one interval is not done with all of them at once.
func spread(host string, interval time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(host))
	return time.Duration(h.Sum32()%1000) * interval / 1000
}

func (s *session) handle(ctx context.Context, event datapath.Event) error {
	switch e := event.(type) {
	case datapath.PortEvent:
		if s.learn(e) {
			s.markPort(e.Port.Name)
		}
	case datapath.FlowRemoved:
		if s.host.Ledger.Removed(&e.FlowStats) {
			s.srv.Checkpoints.FlowGone()
		}
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
	s.audits.lost(time.Now())
	s.proof.Edited()
	changed, err := s.readPorts(ctx)
	for _, name := range changed {
		s.markPort(name)
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
	return s.host.SetPorts(now), nil
}

// learn notes that a port came, went or was renumbered, and reports whether that is news.
func (s *session) learn(e datapath.PortEvent) bool {
	if e.Reason == datapath.PortDeleted {
		return s.host.PortGone(e.Port.Name, e.Port.Number)
	}
	return s.host.PortIs(e.Port.Name, e.Port.Number)
}

func (s *session) markPort(iface string) {
	s.srv.Picture.View(func(state *store.State) { s.host.MarkPort(state, iface) })
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
