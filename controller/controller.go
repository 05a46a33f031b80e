package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"sluice/controller/account"
	"sluice/controller/changes"
	"sluice/controller/cluster"
	"sluice/controller/dump"
	"sluice/controller/enrol"
	"sluice/controller/events"
	"sluice/controller/history"
	"sluice/controller/host"
	"sluice/controller/lead"
	"sluice/controller/name"
	"sluice/controller/proof"
	"sluice/controller/report"
	"sluice/controller/session"
	"sluice/controller/traffic"
	"sluice/controller/usage"
	"sluice/datapath"
	"sluice/metrics"
	"sluice/pki"
	"sluice/store"
	"sluice/store/etcd"
)

// ErrNameTaken ends a controller: a later one announced itself under the same name.
var ErrNameTaken = name.ErrTaken

// Store is what a controller needs of etcd: what its rooms need, and the watch.
type Store interface {
	name.Store
	enrol.Store
	session.Store
	account.Store
	report.Store
	lead.Store
	usage.Store
	traffic.Store
	history.Store
	events.Store
	Watch(ctx context.Context, handle func(store.Batch) error) error
}

// Options are what a controller needs. Zero durations and numbers take the defaults.
type Options struct {
	Name     string       // of live controllers of one name only the latest goes on
	Store    Store        // where desired state lives
	Trust    *etcd.Trust  // whether Store holds the store that is served; nil: it does
	OpenFlow net.Listener // where switches dial in
	Session  datapath.Options
	Live     store.LiveController // what others may know of this controller; New chooses its incarnation
	// Addresses are those of this controller's machine, now: gateway hosts close them. Nil: those of Live.
	Addresses func() []netip.Addr
	Registry  prometheus.Registerer
	Identity  *pki.Source // its certificate, of which metrics tell the end; nil: it has none
	// Authority signs the certificates of hosts that join; nil: its key is elsewhere. Etcd is what they
	// are told of where etcd is: URLs.
	Authority *pki.Authority
	Etcd      []string
	Log       *slog.Logger
	Audit     *slog.Logger // gets a line for what the leader removes by itself; nil: Log

	AuditInterval   time.Duration // between two audits of a switch; default 60 s
	CounterInterval time.Duration // reading of the accounting tables; default 2 s, negative: never
	Resyncs         int64         // full resyncs at one time; default 4
}

func (o Options) withDefaults() Options {
	if o.AuditInterval == 0 {
		o.AuditInterval = time.Minute
	}
	if o.CounterInterval == 0 {
		o.CounterInterval = 2 * time.Second
	}
	if o.Resyncs == 0 {
		o.Resyncs = 4
	}
	return o
}

// Controller programs the switches of the hosts that it masters. It holds the rooms, and no
// state of its own.
type Controller struct {
	opts        Options
	name        *name.Name
	picture     *cluster.Picture
	fleet       *host.Fleet
	sessions    *session.Server
	reports     *report.Reporter
	checkpoints *account.Checkpoints
	totals      *account.Totals
	prover      *proof.Prover
	meter       *traffic.Meter
	leader      *lead.Leader
	usage       *usage.Reader
	office      *enrol.Office
	changes     *changes.Window
	history     *history.Reader
	dumps       *dump.Shelf
	events      *events.Log
	lookout     *events.Lookout
}

// New makes a controller; Run starts it.
func New(o Options) (*Controller, error) {
	o = o.withDefaults()
	c := &Controller{opts: o, picture: cluster.New(), changes: changes.New(changes.Kinds()...), history: history.New(o.Store), dumps: dump.New(), name: name.New(o.Name, o.Live, o.Addresses, o.Store, o.Log)}
	set, err := metrics.New(o.Registry, c.snapshot)
	if err != nil {
		return nil, fmt.Errorf("controller %s: register metrics: %w", o.Name, err)
	}
	c.opts.Session.Crowded = set.Crowded.Inc
	c.fleet = host.NewFleet(o.Name, set)
	c.checkpoints = account.New(account.Checkpoints{Picture: c.picture, Store: o.Store, Log: o.Log, Mastered: c.ledgers, Ledgers: c.allLedgers})
	c.reports = report.New(report.Options{
		Controller: o.Name, Picture: c.picture, Fleet: c.fleet, Store: o.Store, Realize: set.Realize, Log: o.Log,
		Problems: c.problems, Unknown: c.Unknown,
	})
	c.meter = traffic.New(traffic.Options{Picture: c.picture, Store: o.Store, Log: o.Log})
	c.leader = lead.New(lead.Options{
		Controller: o.Name, Picture: c.picture, Store: o.Store, Log: o.Log, Audit: cmp.Or(o.Audit, o.Log), Changed: c.reports.Poke,
		Mended: set.Mended, Balanced: set.Balanced, Outlook: c.meter.Outlook,
	})
	c.events = events.New(events.Options{Controller: o.Name, Store: o.Store, Log: o.Log, Leads: c.leader.Leads, Noted: set.Noted, Lost: set.Lost})
	c.lookout = events.NewLookout(events.LookoutOptions{Log: c.events, Hosts: c.Hosts, Refused: c.refused, Dropped: c.dropped})
	c.totals = &account.Totals{Picture: c.picture, Store: o.Store, Leads: c.leader.Leads}
	c.usage = usage.New(usage.Options{Picture: c.picture, Store: o.Store, Log: o.Log, Mastered: c.ledgers, Leads: c.leader.Leads})
	c.office = enrol.New(enrol.Options{Controller: o.Name, Authority: o.Authority, Etcd: o.Etcd, Picture: c.picture, Store: o.Store, Log: o.Log})
	c.prover = proof.New(proof.Options{Picture: c.picture, Interval: max(o.AuditInterval, proof.LeastInterval), Changed: c.proofChanged})
	c.sessions = session.New(session.Options{
		Controller: o.Name, Picture: c.picture, Fleet: c.fleet, Reports: c.reports, Prover: c.prover, Checkpoints: c.checkpoints, Dumps: c.dumps,
		Store: o.Store, Lease: c.name.Lease, Metrics: set, Log: o.Log,
		AuditInterval: o.AuditInterval, CounterInterval: o.CounterInterval, Resyncs: o.Resyncs,
	})
	c.picture.Observe(c.checkpoints.Observe, c.fleet.Observe, c.sessions.Observe, c.leader.Observe, c.office.Observe, c.reports.Observe, c.prover.Observe, c.changes.Observe, c.dumps.Observe, c.lookout.Observe)
	return c, nil
}

// Changes are the last ones of objects that people see.
func (c *Controller) Changes() *changes.Window { return c.changes }

// Events are what happened, for operators.
func (c *Controller) Events() *events.Log { return c.events }

// proofChanged tells of another outcome of a proof.
func (c *Controller) proofChanged() {
	c.reports.Poke()
	c.lookout.Poke()
}

// Office enrols hosts and renews certificates.
func (c *Controller) Office() *enrol.Office { return c.office }

// Run works until ctx ends, or until a part fails for good; that error names the part. It
// fails with ErrNameTaken once a later controller announced itself under the same name.
func (c *Controller) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for what, run := range map[string]func(context.Context) error{
		"know the store":      c.knowStore,
		"watch etcd":          func(ctx context.Context) error { return c.opts.Store.Watch(ctx, c.take) },
		"stay alive in etcd":  func(ctx context.Context) error { return c.name.Keep(ctx, c.fleet.WakeMasterships) },
		"report to etcd":      c.reports.Keep,
		"lead":                c.leader.Run,
		"keep etcd's users":   c.office.Keep,
		"checkpoint counters": c.checkpoints.Keep,
		"read usage":          c.usage.Keep,
		"measure traffic":     c.meter.Keep,
		"keep events":         c.events.Keep,
		"look out":            c.lookout.Keep,
		"offer hosts":         c.sessions.Keep,
		"serve OpenFlow": func(ctx context.Context) error {
			return datapath.Serve(ctx, c.opts.OpenFlow, c.opts.Session, c.sessions.Serve)
		},
	} {
		g.Go(func() error { return part(what, run(ctx)) })
	}
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return nil
	}
	return err
}

// knowStore keeps judging which store etcd holds. While it is not the one that is served nothing
// is read or written, so that no host is claimed and no switch touched but for what the picture
// of the right one says.
func (c *Controller) knowStore(ctx context.Context) error {
	if c.opts.Trust == nil {
		return nil
	}
	go c.standBack(ctx)
	return c.opts.Trust.Run(ctx)
}

// standBack gives all hosts up while the store is for newer programs than this one: it claims none, and
// newer controllers shall not wait for it to end. Until one of them takes a switch over, its flows
// are kept as they were last known.
func (c *Controller) standBack(ctx context.Context) {
	for ctx.Err() == nil {
		changed := c.opts.Trust.Changed()
		if c.opts.Trust.State().Verdict == store.Newer {
			c.name.Release()
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

func part(what string, err error) error {
	if err == nil || errors.Is(err, ErrNameTaken) { // the whole controller's, whichever part found out
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// take takes one batch of the watch: the picture stays at what it was while the name was this
// controller's.
func (c *Controller) take(b store.Batch) error {
	if err := c.name.Check(b); err != nil {
		return err
	}
	large := len(b.Events) > largeBatch
	if err := c.picture.Apply(b); err != nil {
		return err
	}
	if large {
		go debug.FreeOSMemory()
	}
	return nil
}

// largeBatch is from how many events on the memory that they took is given back to the machine at once: a list of a large store takes several
// times what the picture keeps of it, and Go would keep that room for garbage.
const largeBatch = 100_000
