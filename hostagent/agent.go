package hostagent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/datapath/ovsdb"
	"sluice/hostagent/api"
	"sluice/hostagent/resolver"
	"sluice/hostagent/socket"
	"sluice/pki"
	"sluice/store"
)

// Options say what an agent serves. Host, VTEP, Encap, OVSDB, Socket, StateDir, Store and
// Log are required.
type Options struct {
	Host         string     // this host's name, a DNS label
	VTEP         netip.Addr // tunnel address; an interface of this host has it
	Encap        string     // vxlan, geneve or gre
	DatapathType string     // system or netdev; empty: the switch's default
	OVSDB        string     // endpoint of the switch's database, such as unix:/run/openvswitch/db.sock
	RunDir       string     // OVS_RUNDIR, for the tunnel neighbours of the netdev datapath
	Controllers  []string   // OpenFlow targets, such as ssl:192.0.2.1:6653 or ssl:c1.example:6653
	Socket       string     // unix socket that the agent serves
	StateDir     string     // identity, journal, records of ports, and which store is served; kept over restarts
	// Adopt is the operator's word at the start: serve the store that etcd holds, whatever was
	// served before, and take this host's ports into it.
	Adopt bool
	// Quarantine is how long an interface must have belonged to no port before it is removed, in a
	// store known to be right; 0: 10 minutes.
	Quarantine time.Duration
	Trunk      string // physical interface by which frames of VLAN networks go between hosts; empty: none
	Uplink     string // interface by which tenants leave; empty: those of the default routes
	Gateway    bool   // may be a gateway host
	Weight     int    // share of tenants and of traffic that it is to have as one; 0: 1
	// ProbeOutside is an address outside that a gateway host pings: while it does not answer the host counts as dead; none: nobody is asked.
	ProbeOutside netip.Addr
	Identity     *pki.Source // this host's, which its switch shows to controllers; nil: none
	// Infrastructure is closed to tenants, beside the VTEP's own prefix and the addresses of all
	// hosts, controllers and Names.
	Infrastructure []netip.Prefix
	Names          []string       // etcd's members, by name or address
	Tables         map[int]string // names of the OpenFlow tables
	// Resolver says that this host answers its containers' questions for names. Upstream are the DNS servers that it
	// asks for all but tenants' own; none: those of the host.
	Resolver  bool
	Upstream  []string
	Entry     Entry // for what tenants publish by routes
	Store     Store
	Listening func() `json:"-"` // called once the socket takes requests; nil: nobody asks
	// Step is told each step of attaches and detaches, as tests need it that end the agent there; nil: nobody is.
	Step func(string) `json:"-"`
	Log  *slog.Logger
}

// Agent serves one host. Use New. Its parts lock themselves.
type Agent struct {
	o        Options
	log      *slog.Logger
	patience time.Duration // how long an attach waits for this host's flows

	problems       *problems
	registration   *registration
	mender         *mender
	alive          *alive
	underlay       *underlay
	ports          *ports
	infrastructure *infrastructure
	tenants        *tenants
	published      *published
	floating       *floating
	web            *webEntry
	routes         *webRoutes
	pace           *pace
	tally          *tally
	usage          *usage
	emptied        *emptied
	peers          *tunnelPeers
	resolving      *resolving
	probes         *probes
	tableDue       bell       // the nftables table is to be looked at
	trunkDue       bell       // the trunk has a next step
	refused        chan error // why the cluster may not have this host

	id      identity // this and what follows is set by Run, before anything runs
	journal *journal
	records *records
	serving *serving
	db      *ovsdb.DB
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
	upstream, err := resolver.NewUpstream(o.Upstream)
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", o.Host, err)
	}
	return newAgent(o, upstream), nil
}

// newAgent makes the parts.
func newAgent(o Options, upstream *resolver.Upstream) *Agent {
	log := o.Log.With("host", o.Host)
	a := &Agent{
		o: o, log: log, patience: ownTimeout,
		problems: newProblems(log), registration: &registration{},
		underlay: &underlay{vtep: o.VTEP, encap: o.Encap}, peers: newTunnelPeers(o), tableDue: newBell(), trunkDue: newBell(),
		refused: make(chan error, 1),
	}
	a.underlay.changed = a.tableDue
	a.mender = newMender(a.problems, a.registration.registered, func() bool { return a.tenants.told() })
	a.infrastructure = newInfrastructure(o, a.problems, a.tableDue)
	a.tenants = &tenants{host: o.Host, store: o.Store, file: filepath.Join(o.StateDir, "tenants.json"), changed: a.mender.nudge}
	a.published = &published{host: o.Host, store: o.Store, ports: newPublishing(), file: filepath.Join(o.StateDir, "published.json"), changed: a.tableDue, moved: newBell(), problems: a.problems, listens: listening}
	a.probes = newProbes(o, a.problems, a.mender.wake)
	a.floating = newFloating(o, a, log)
	a.web = newWebEntry(o, a.problems, a.probes.deadOrCut)
	a.probes.learn = a.web.callers.learn
	a.routes = &webRoutes{store: o.Store, file: filepath.Join(o.StateDir, "routes.json"), table: a.web.table, late: newBell()}
	a.web.table.Late = a.routes.late.ring
	a.pace = newPace()
	a.tally = newTally(o.StateDir)
	a.resolving = newResolving(o, upstream, a.published.ports, a.problems)
	a.usage = &usage{
		o: o, tenants: a.tenants, infrastructure: a.infrastructure, registration: a.registration, tally: a.tally, resolving: a.resolving, web: a.web, damped: a.probes.dampedHosts, every: usageInterval,
	}
	a.emptied = &emptied{o: o, tenants: a.tenants, registration: a.registration}
	a.alive = &alive{store: o.Store, problems: a.problems}
	a.ports = &ports{
		host: o.Host, store: o.Store, registration: a.registration, reached: o.reached, log: log, gone: make(map[string]bool),
		failed: make(map[string]error), quarantine: cmp.Or(o.Quarantine, defaultQuarantine),
	}
	return a
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
	if err := errors.Join(a.infrastructure.load(), a.tenants.load(), a.published.load(), a.routes.load(), a.tally.load()); err != nil {
		return err
	}
	if a.journal, err = openJournal(a.o.StateDir); err != nil {
		return err
	}
	if a.records, err = openRecords(a.o.StateDir); err != nil {
		return err
	}
	if err := a.serveStore(); err != nil {
		return err
	}
	listener, err := socket.Listen(a.o.Socket)
	if err != nil {
		return err
	}
	defer listener.Close()
	if a.o.Listening != nil {
		a.o.Listening()
	}
	if err := a.openSwitch(ctx); err != nil {
		return err
	}
	defer a.db.Close()

	a.ports.db, a.ports.journal, a.ports.records, a.ports.serving = a.db, a.journal, a.records, a.serving
	a.resolving.db, a.probes.db = a.db, a.db
	defer a.resolving.close()
	a.mender.keepers = a.keepers()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.serve(ctx, listener) })
	g.Go(func() error { return a.serving.run(ctx, a.problems) })
	g.Go(func() error { a.serving.asker.run(ctx, a.mender.wake); return nil })
	g.Go(func() error { return a.register(ctx) })
	g.Go(func() error { a.mender.run(ctx); return nil })
	g.Go(func() error { a.alive.run(ctx); return nil })
	g.Go(func() error { a.probes.watch(ctx); return nil })
	g.Go(func() error { a.probes.busy(ctx); return nil })
	g.Go(func() error { a.probes.damp(ctx); return nil })
	g.Go(func() error { a.probes.wayOut.run(ctx); return nil })
	g.Go(func() error { return a.resolving.run(ctx) })
	g.Go(func() error { a.floating.run(ctx); return nil })
	g.Go(func() error { a.web.serveEntry(ctx); return nil })
	g.Go(func() error { a.web.serveRelay(ctx); return nil })
	g.Go(func() error { nftablesNotifications.listen(ctx, a.tableDue); return nil })
	g.Go(func() error { a.hearEdits(ctx); return nil })
	g.Go(func() error { addressNotifications.listen(ctx, a.mender.nudge); return nil })
	g.Go(func() error { addressNotifications.listen(ctx, a.tableDue); return nil }) // which has no floating address that the host gets itself
	err = g.Wait()
	a.serving.asker.end(a.log)
	return err
}

// openSwitch connects to the switch's database, however long that takes.
func (a *Agent) openSwitch(ctx context.Context) error {
	return a.problems.retry(ctx, "open vswitch", func() error {
		db, err := ovsdb.Dial(ctx, a.o.OVSDB, a.log)
		a.db = db
		return err
	})
}

// editPause is between two rounds that edits of the switch's database ask for: who edits again
// and again must not keep the agent busy.
const editPause = 100 * time.Millisecond

// hearEdits wakes the mend loop when somebody else changed what the agent made in the switch.
func (a *Agent) hearEdits(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-a.db.Edited():
			a.mender.wake()
			pause(ctx, editPause)
		}
	}
}

// Status is how the agent is doing.
func (a *Agent) Status() api.Status {
	return api.Status{
		Host: a.o.Host, Incarnation: a.id.incarnation, DatapathID: a.id.datapath.String(),
		VTEP: a.o.VTEP.String(), Encap: a.o.Encap, Gateway: a.o.Gateway,
		MTU:        a.underlay.containerMTU(store.SegmentationTunnel),
		Registered: a.registration.registered(), Ports: a.ports.counted(), Peers: a.peers.counted(),
		Problems: a.problems.list(),
		Store:    a.serving.status(),
		Resolver: a.resolving.status(),
	}
}
