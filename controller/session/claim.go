package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"sluice/controller/cluster"
	"sluice/datapath"
	"sluice/store"
)

// orphanTime is how long a host may have no master before a controller other than the first
// choice claims it: the first choice may live, and yet not be reached by the switch.
const orphanTime = 5 * time.Second

// isMaster reports whether the picture says that this controller programs the host.
func (s *session) isMaster() (is bool) {
	s.srv.Picture.View(func(state *store.State) { is = cluster.IsMaster(state, s.srv.Controller, s.host.Name) })
	return is
}

// mayMaster decides from the picture whether this controller should claim the host: a live master
// keeps it, unless it says that it does not reach the switch; without one, rendezvous hashing over
// the live controllers decides, or whoever notices that the one chosen so does not come.
func (s *session) mayMaster() bool {
	if s.srv.Lease() == nil {
		return false
	}
	var live, first string
	var unreached bool
	s.srv.Picture.View(func(state *store.State) {
		live, first = contenders(state, s.host.Name)
		unreached = cluster.IsUnreached(state, s.host.Name)
	})
	if live != "" {
		s.orphaned = time.Time{}
		return live == s.srv.Controller || unreached
	}
	if s.orphaned.IsZero() {
		s.orphaned = time.Now()
	}
	return first == s.srv.Controller || time.Since(s.orphaned) >= orphanTime
}

// contenders are the live controller that programs a host, or else the one that should.
func contenders(s *store.State, host string) (master, first string) {
	recorded := ""
	if m := s.Master(host); m != nil {
		recorded = m.Value.Controller
	}
	var live []string
	for item := range s.LiveControllers() {
		if item.Key.Name == recorded {
			return recorded, ""
		}
		live = append(live, item.Key.Name)
	}
	return "", rendezvous(live, host)
}

// rendezvous is the controller with the highest hash for a host: when one controller goes,
// only its hosts move. Empty when none is live.
func rendezvous(controllers []string, host string) string {
	var best string
	var bestHash uint64
	for _, name := range controllers {
		digest := sha256.Sum256([]byte(name + "/" + host))
		if sum := binary.BigEndian.Uint64(digest[:]); best == "" || sum > bestHash {
			best, bestHash = name, sum
		}
	}
	return best
}

// claim makes the host this controller's. Where etcd does not answer, or holds another store than
// the one that is served, it goes on by its last claim.
func (s *session) claim(ctx context.Context) error {
	err := s.claimInEtcd(ctx)
	if (errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrHeld)) && s.stands() {
		return s.goOn(ctx, err)
	}
	return err
}

// settle claims a host anew that was programmed by its last known state, now that etcd answers: no
// floor vouches for it before.
func (s *session) settle(ctx context.Context) error {
	err := s.claim(ctx)
	if errors.Is(err, store.ErrConflict) && s.mayProgram() {
		s.log.Info("the claim waits for a new lease", "err", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return s.startOver(ctx)
}

// claimInEtcd takes the host in etcd, then on the switch: nothing is written before the switch
// accepted this controller as its master (OpenFlow 1.3, 6.3.6).
func (s *session) claimInEtcd(ctx context.Context) error {
	recorded, modified, err := s.recorded(ctx)
	if err != nil {
		return err
	}
	_, generation, err := s.sw.Role(ctx)
	if err != nil {
		return fmt.Errorf("host %s: ask the switch for its role: %w", s.host.Name, err)
	}
	_, latest := s.host.Generations()
	generation = max(recorded.Generation, generation, latest) + 1
	if err := s.record(ctx, generation, modified); err != nil {
		return err
	}
	if err := s.sw.Become(ctx, datapath.RoleMaster, generation); err != nil {
		return fmt.Errorf("host %s: become master with generation %d: %w", s.host.Name, generation, err)
	}
	s.srv.Fleet.BeginSeries(s.host)
	return s.srv.Checkpoints.Load(ctx, s.host.Name, s.host.Ledger)
}

// recorded reads the host's claim, linearizably, since the watch may lag behind. It fails where
// another live controller has it, and reaches the switch.
func (s *session) recorded(ctx context.Context) (recorded store.Master, modified store.Revision, err error) {
	object, modified, err := s.read(ctx)
	if err != nil || object == nil {
		return recorded, modified, err
	}
	recorded = *object.(*store.Master)
	if recorded.Controller == s.srv.Controller || recorded.Unreached {
		return recorded, modified, nil
	}
	if err := s.await(ctx, modified); err != nil { // who is live may be as new as the claim
		return recorded, modified, err
	}
	var live bool
	s.srv.Picture.View(func(state *store.State) { live = state.LiveController(recorded.Controller) != nil })
	if live {
		return recorded, modified, fmt.Errorf("host %s: %w: controller %s programs it", s.host.Name, store.ErrConflict, recorded.Controller)
	}
	return recorded, modified, nil
}

// read reads the host's claim. It does not wait for long where there is one to go on by.
func (s *session) read(ctx context.Context) (store.Object, store.Revision, error) {
	if s.stands() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, answerTime)
		defer cancel()
	}
	return s.srv.Store.Get(ctx, store.MasterKey(s.host.Name))
}

// record writes the claim and waits until this controller's own picture shows it, so that
// what is programmed next is not older than the claim.
func (s *session) record(ctx context.Context, generation uint64, modified store.Revision) error {
	lease := s.srv.Lease()
	if lease == nil {
		return errors.New("no lease in etcd yet")
	}
	claim := &store.Master{Controller: s.srv.Controller, Generation: generation}
	status := s.host.Disclaim()
	rev, err := s.srv.Reports.Claim(s.host.Name, status, func() (store.Revision, error) {
		return s.srv.Store.Claim(ctx, s.host.Name, claim, modified, lease.ID, status)
	})
	if err != nil {
		return err
	}
	s.host.Claimed(generation)
	return s.await(ctx, rev)
}

// watchTime bounds the wait for the watch to show what etcd holds already.
const watchTime = 10 * time.Second

func (s *session) await(ctx context.Context, rev store.Revision) error {
	ctx, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	return s.srv.Picture.Await(ctx, rev)
}
