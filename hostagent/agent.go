package hostagent

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/datapath/ovsdb"
	"sluice/hostagent/api"
	"sluice/store"
	"sluice/store/etcd"
)

// Options say what an agent serves. Host, VTEP, Encap, OVSDB, Socket, StateDir, Store and
// Log are required.
type Options struct {
	Host         string     // this host's name, a DNS label
	VTEP         netip.Addr // tunnel address; an interface of this host holds it
	Encap        string     // vxlan, geneve or gre
	DatapathType string     // system or netdev; empty: the switch's default
	OVSDB        string     // endpoint of the switch's database, such as unix:/run/openvswitch/db.sock
	RunDir       string     // OVS_RUNDIR, for the tunnel neighbours of the netdev datapath
	Controllers  []string   // OpenFlow targets, such as tcp:192.0.2.1:6653
	Socket       string     // unix socket that the agent serves
	StateDir     string     // identity and journal; kept over restarts
	Uplink       string     // interface to the outside, for people; the kernel routes
	Gateway      bool       // may be a gateway host
	// Infrastructure is closed to tenants, beside the VTEP's own prefix.
	Infrastructure []netip.Prefix
	Tables         map[int]string // names of the OpenFlow tables
	Store          *etcd.Client
	Log            *slog.Logger
}

// mendInterval is how often the agent compares the host with what it should be.
const mendInterval = 10 * time.Second

// Agent serves one host. Use New.
type Agent struct {
	o        Options
	patience time.Duration // how long an attach waits for this host's flows
	log      *slog.Logger
	id       identity
	db       *ovsdb.DB
	journal  *journal
	nudge    chan struct{} // asks the mend loop to run now
	up       chan struct{} // closed once bridge and gateway were made

	mu           sync.Mutex
	underlay     underlay
	registration *etcd.Registration // nil while not registered
	clean        bool               // leftovers were removed since registration
	ports        int
	live         []string          // hosts whose agents were alive at the last look
	problems     map[string]string // by what was tried
	peers        int               // registered hosts whose tunnel address is resolved
	lost         map[string]bool   // ports whose interface vanished, by interface: told once
}

// New checks the options; it touches nothing yet.
func New(o Options) (*Agent, error) {
	if err := store.ValidateName(o.Host); err != nil {
		return nil, fmt.Errorf("host %q: %w", o.Host, err)
	}
	if !o.VTEP.IsValid() {
		return nil, fmt.Errorf("host %s: no tunnel address given", o.Host)
	}
	if _, ok := tunnelOverhead[o.Encap]; !ok {
		known := slices.Sorted(maps.Keys(tunnelOverhead))
		return nil, fmt.Errorf("host %s: unknown encapsulation %q: use one of %v", o.Host, o.Encap, known)
	}
	return &Agent{
		o: o, log: o.Log.With("host", o.Host), patience: ownTimeout,
		nudge: make(chan struct{}, 1), up: make(chan struct{}),
		problems: make(map[string]string), lost: make(map[string]bool),
	}, nil
}

// Run serves until ctx ends. What it made stays: containers keep their network while no
// agent runs. It fails at once when another agent has the host's name, the state directory
// or the socket; anything else it tries again.
func (a *Agent) Run(ctx context.Context) error {
	unlock, err := lockDir(a.o.StateDir)
	if err != nil {
		return err
	}
	defer unlock()
	if a.id, err = loadIdentity(a.o.StateDir, a.o.Host); err != nil {
		return err
	}
	if a.journal, err = openJournal(a.o.StateDir); err != nil {
		return err
	}
	listener, err := listen(a.o.Socket)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := a.openSwitch(ctx); err != nil {
		return err
	}
	defer a.db.Close()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.serve(ctx, listener) })
	g.Go(func() error { return a.register(ctx) })
	g.Go(func() error { return a.mend(ctx) })
	g.Go(func() error { return a.warm(ctx) })
	return g.Wait()
}

// openSwitch connects to the switch's database, however long that takes.
func (a *Agent) openSwitch(ctx context.Context) error {
	return a.retry(ctx, "open vswitch", func() error {
		db, err := ovsdb.Dial(ctx, a.o.OVSDB, a.log)
		a.db = db
		return err
	})
}

// Status is how the agent is doing.
func (a *Agent) Status() api.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := api.Status{
		Host: a.o.Host, Incarnation: a.id.incarnation, DatapathID: a.id.datapath.String(),
		VTEP: a.o.VTEP.String(), Encap: a.o.Encap, Gateway: a.o.Gateway,
		MTU:        a.mtu(store.SegmentationTunnel),
		Registered: a.registration != nil, Ports: a.ports, Peers: a.peers,
	}
	for _, what := range slices.Sorted(maps.Keys(a.problems)) {
		s.Problems = append(s.Problems, what+": "+a.problems[what])
	}
	return s
}

// report keeps a failure for Status and logs it when it is new, and when it is over.
func (a *Agent) report(what string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, had := a.problems[what]
	switch {
	case err == nil && had:
		delete(a.problems, what)
		a.log.Info("recovered", "what", what)
	case err != nil && before != err.Error():
		a.problems[what] = err.Error()
		a.log.Error("failed, will try again", "what", what, "err", err)
	}
}

// wake lets the mend loop run now.
func (a *Agent) wake() {
	select {
	case a.nudge <- struct{}{}:
	default:
	}
}
