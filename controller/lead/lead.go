// Package lead is what only one controller of a cluster may do: choose gateway hosts, and remove
// from etcd what nobody needs any more.
//
// In the loop it stands beside the programming: it observes the picture, and what it writes comes
// back through the watch like anybody's change.
//
// Its controller learns of its fall later than etcd, so every write must be guarded by what it
// presumes; and it must never move a gateway that fits, nor touch what a live host owns.
package lead

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/controller/cluster"
	"sluice/controller/signal"
	"sluice/controller/traffic"
	"sluice/store"
	"sluice/store/etcd"
)

// Store is what the leader needs of etcd.
type Store interface {
	Elect(ctx context.Context, name, id string) <-chan bool
	PutIf(ctx context.Context, key store.Key, o store.Object, modified store.Revision, lease clientv3.LeaseID) (store.Revision, error)
	RealizedEverywhere(ctx context.Context) (store.Revision, error)
	Tombstones(ctx context.Context, limit int) (list []etcd.Tombstone, more bool, err error)
	ReleaseTombstones(ctx context.Context, list []etcd.Tombstone) (released int, err error)
	ClearHost(ctx context.Context, name string, at store.Revision) (store.Revision, error)
	ExtendChain(ctx context.Context) error
	List(ctx context.Context, kind store.Kind, prefix ...string) ([]store.Event, store.Revision, error)
	Trusted() (since time.Time, right bool)
	Allocs(ctx context.Context, after string) (page []etcd.AllocKey, next string, err error)
	RestoreTaken(ctx context.Context, objects []store.Event) (restored []etcd.Mended, err error)
	ForgetFarewells(ctx context.Context, farewells []store.Event) (hosts []string, err error)
	Reached(ctx context.Context) (map[string]etcd.Reach, error)
	FreeStrays(ctx context.Context, strays []etcd.AllocKey) (freed []etcd.Mended, err error)
	Decide(ctx context.Context, request func(*store.State) (store.Proposal, error), needs ...string) (store.Revision, error)
	Delete(ctx context.Context, key store.Key) (store.Revision, error)
}

// Options are what leading stands on. All are required.
type Options struct {
	Controller string // its name
	Picture    *cluster.Picture
	Store      Store
	Log        *slog.Logger
	Audit      *slog.Logger           // gets a line for what the leader removes by itself
	Changed    func()                 // called when Problems may be others
	Mended     *prometheus.CounterVec // taken values that were put right, by how
	Balanced   prometheus.Counter     // moves that it asked for so that gateway hosts carry alike
	// Outlook is what gateway hosts carry, and which moves would have them carry alike.
	Outlook func(context.Context, traffic.Question) (traffic.Outlook, error)
}

// Leader stands for election and does the leader's work while it leads.
type Leader struct {
	Options
	placing signal.Broadcast // a tenant may lack its gateway
	deleted signal.Flag      // something was deleted

	mu         sync.Mutex
	doubts     doubts                    // tenants whose gateway is to be looked at
	unplaced   map[string]store.Problem  // by tenant: no gateway host fits
	tombstones tombstones                // of what is gone, while this controller leads
	woken      map[string]store.Revision // by tenant with a time to live: when a port last came
	later      []string                  // tenants that are to move once others have
	waiting    map[string]struct{}       // tenants that are to move to a host once that is ready
	unswept    []string                  // tenants that are still to be looked at, where all are
	slotless   map[string]struct{}       // tenants for which a gateway host has no slot left

	hostProblems  store.Problems // hosts that are absent
	strayProblems store.Problems // values that no object has
	flapProblems  store.Problems // gateway hosts to which nobody goes for a while

	backupless      map[string]store.Problem // by tenant: its gateway has no backup
	balanceProblems store.Problems           // tenants that are too large for a gateway host

	// hosts are those that are absent. It is Run's alone, as are allocs, moves, balancing, slots and flaps.
	hosts     absences
	allocs    allocs
	moves     moves
	balancing balancing
	slots     slots
	flaps     flaps
}

// New makes a leader that Run runs.
func New(o Options) *Leader {
	l := &Leader{Options: o, deleted: signal.NewFlag(), unplaced: map[string]store.Problem{}, backupless: map[string]store.Problem{}, woken: map[string]store.Revision{}, slotless: map[string]struct{}{}, waiting: map[string]struct{}{}, flaps: flaps{}}
	l.doubts.noteAll()
	return l
}

// Observe notes the tenants that a batch casts doubt on, and what it deleted. It is an observer
// of the picture.
func (l *Leader) Observe(u cluster.Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tombstones.note(u.Changes, u.Batch.Revision)
	l.noteWoken(u)
	if slices.ContainsFunc(u.Changes, func(c store.Change) bool { return c.After == nil }) {
		l.deleted.Set()
	}
	placing := false
	for _, change := range u.Changes {
		placing = l.doubts.change(change) || placing
		placing = l.noteSlots(u.State, change) || placing
	}
	if placing {
		l.placing.Send()
	}
}

// Problems are those of the tenants for which no gateway host fits, and of what is absent.
func (l *Leader) Problems() store.Problems {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Concat(slices.Collect(maps.Values(l.unplaced)), slices.Collect(maps.Values(l.backupless)), l.hostProblems, l.strayProblems, l.balanceProblems, l.flapProblems)
}

// Run leads whenever this controller is elected, until ctx ends.
func (l *Leader) Run(ctx context.Context) error {
	select {
	case <-l.Picture.Loaded():
	case <-ctx.Done():
		return nil
	}
	leads := false
	elected := l.Store.Elect(ctx, "leader", l.Controller)
	tidy := time.NewTicker(tidyInterval)
	defer tidy.Stop()
	stamps := time.NewTicker(stampInterval)
	defer stamps.Stop()
	audits := time.NewTicker(auditInterval)
	defer audits.Stop()
	farewells := time.NewTicker(farewellInterval)
	defer farewells.Stop()
	balances := time.NewTicker(balanceInterval)
	defer balances.Stop()
	var soon <-chan time.Time
	for {
		changed := l.placing.Wait()
		var due, alive, calm <-chan time.Time
		if leads {
			alive = l.takeOver(ctx)
			l.placeGateways(ctx)
			due, calm = l.bringOn(ctx), l.flaps.over(now())
			l.tell(&l.flapProblems, l.flaps.problems(now()))
		}
		select {
		case <-ctx.Done():
			return nil
		case now, open := <-elected:
			if !open {
				return nil
			}
			leads = now
			l.begin(leads)
			l.stamp(ctx)
			l.audit(ctx)
		case <-changed:
		case <-due:
		case <-alive:
		case <-calm:
		case <-l.deleted:
			soon = time.After(tidyDelay)
			continue
		case <-soon:
			soon = nil
			l.tidy(ctx)
		case <-tidy.C:
			l.tidy(ctx)
		case <-audits.C:
			l.audit(ctx)
		case <-farewells.C:
			l.forgetFarewells(ctx)
		case <-stamps.C:
			l.stamp(ctx)
		case <-balances.C:
			if leads {
				l.balance(ctx)
			}
		}
	}
}

// begin forgets what an earlier term knew: while another led, nobody here looked.
func (l *Leader) begin(leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubts.noteAll()
	l.tombstones = newTombstones(leads)
	l.hosts, l.hostProblems = absences{}, nil
	l.allocs, l.strayProblems = allocs{}, nil
	l.moves, l.later = moves{}, nil
	l.balancing, l.balanceProblems = balancing{}, nil
	clear(l.backupless)
	clear(l.flaps)
	l.flapProblems = nil
	l.Log.Info("leadership", "leading", leads)
}
