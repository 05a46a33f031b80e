package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/controller/account"
	"sluice/controller/cluster"
	"sluice/controller/dump"
	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/controller/report"
	"sluice/datapath"
	"sluice/metrics"
	"sluice/store"
	"sluice/store/etcd"
)

var (
	errReplaced  = errors.New("the same switch dialled in again")
	errForgotten = errors.New("its host was deleted")
)

// Store is what sessions need of etcd.
type Store interface {
	Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error)
	PutIf(ctx context.Context, key store.Key, o store.Object, modified store.Revision, lease clientv3.LeaseID) (store.Revision, error)
	Claim(ctx context.Context, host string, claim *store.Master, modified store.Revision, lease clientv3.LeaseID, status *store.StatusHost) (store.Revision, error)
}

// Options are what sessions stand on. All are required.
type Options struct {
	Controller  string // its name
	Picture     *cluster.Picture
	Fleet       *host.Fleet
	Reports     *report.Reporter
	Prover      *proof.Prover
	Checkpoints *account.Checkpoints
	Dumps       *dump.Shelf // of what was read of switches
	Store       Store
	Lease       func() *etcd.Lease // under which hosts are claimed; nil: none yet
	Metrics     *metrics.Set
	Log         *slog.Logger

	AuditInterval   time.Duration // between two audits of a switch
	CounterInterval time.Duration // between two readings of its counters; negative: never
	Resyncs         int64         // full resyncs at one time
}

// Server runs the sessions of all switches that dial in.
type Server struct {
	Options
	turns     turns
	impostors impostors

	mu       sync.Mutex
	sessions map[*host.Host]*session
	unknown  map[store.DatapathID]unknown

	nextUnknown int // order of the next one
}

// New makes a server without sessions.
func New(o Options) *Server {
	return &Server{
		Options: o, turns: newTurns(o.Resyncs, turnTime),
		sessions: map[*host.Host]*session{}, unknown: map[store.DatapathID]unknown{},
	}
}

// Serve runs a switch's session: it returns when the session is over.
func (srv *Server) Serve(ctx context.Context, sw *datapath.Switch) {
	id := store.DatapathID(sw.DatapathID())
	log := srv.Log.With("dpid", id.String())
	h := srv.identify(ctx, id, sw, log)
	if h == nil || !srv.believes(sw, h, log) {
		return
	}
	s := newSession(srv, h, sw, log.With("host", h.Name))
	defer close(s.over)
	if err := srv.admit(ctx, s); err != nil {
		s.log.Info("switch turned away", "err", err)
		return
	}
	sw.Recognized()
	defer srv.Reports.Poke()
	defer srv.end(s)
	s.log.Info("switch connected", "remote", sw.RemoteAddr())
	srv.Reports.Poke()
	err := s.run(ctx)
	s.log.Info("switch gone", "err", err)
}

// identify waits until a host with that datapath id is registered. Until then the switch
// is listed as unknown and gets nothing. Before the state was read every switch is unknown,
// which says nothing about it.
func (srv *Server) identify(ctx context.Context, id store.DatapathID, sw *datapath.Switch, log *slog.Logger) *host.Host {
	select {
	case <-srv.Picture.Loaded():
	case <-ctx.Done():
		return nil
	}
	for first := true; ; first = false {
		changed := srv.Fleet.Changed()
		if h := srv.hostByDatapath(id); h != nil {
			if !first {
				srv.countUnknown(id, -1, "")
			}
			return h
		}
		if first {
			srv.tellUnknown(ctx, id, sw, log)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			srv.countUnknown(id, -1, "")
			return nil
		}
	}
}

// tellUnknown notes a switch that belongs to no host, and says so in the log while few do.
func (srv *Server) tellUnknown(ctx context.Context, id store.DatapathID, sw *datapath.Switch, log *slog.Logger) {
	shows := ""
	if c := sw.Certificate(); c != nil {
		shows = shownIn(c)
	}
	level := slog.LevelDebug
	if srv.countUnknown(id, 1, shows) {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, "a switch with an unknown datapath id dialled in; it gets no flows until its host registers", "shows", shows, "remote", sw.RemoteAddr())
}

func (srv *Server) hostByDatapath(id store.DatapathID) (h *host.Host) {
	srv.Picture.View(func(s *store.State) {
		if item := s.HostByDatapath(id); item != nil {
			h = srv.Fleet.Get(item.Key.Host)
		}
	})
	return h
}

// admit makes s its host's session. A switch that dials in twice has lost the first
// connection without our noticing: that session is ended, and must be over before this one
// begins, since both would take the same marks.
func (srv *Server) admit(ctx context.Context, s *session) error {
	for {
		older, err := srv.begin(s)
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

// begin needs no older session, which it returns, and a host that is still registered.
func (srv *Server) begin(s *session) (older *session, err error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if !srv.Fleet.Has(s.host) { // else Observe finds the session when the host goes
		return nil, errForgotten
	}
	if older := srv.sessions[s.host]; older != nil {
		return older, nil
	}
	srv.sessions[s.host] = s
	s.host.Connect()
	return nil, nil
}

func (srv *Server) end(s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s.host)
	s.host.Disconnect()
}

// Observe ends the sessions of hosts that were deleted. It is an observer of the picture, after
// the fleet.
func (srv *Server) Observe(u cluster.Update) {
	deleted := func(c store.Change) bool { return c.Key.Kind == store.KindHost && c.After == nil }
	if !slices.ContainsFunc(u.Changes, deleted) {
		return
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for h, s := range srv.sessions {
		if !srv.Fleet.Has(h) {
			s.sw.Close(errForgotten)
		}
	}
}

// of is a host's session, or nil.
func (srv *Server) of(h *host.Host) *session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.sessions[h]
}

// Roles counts the sessions by this controller's role, as metrics name the roles.
func (srv *Server) Roles() map[string]int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	count := map[string]int{}
	for _, s := range srv.sessions {
		count[roleNames[s.getRole()]]++
	}
	return count
}

// roleNames are the roles as metrics show them.
var roleNames = map[datapath.Role]string{
	datapath.RoleNoChange: "none", datapath.RoleEqual: "equal",
	datapath.RoleMaster: "master", datapath.RoleSlave: "slave",
}
