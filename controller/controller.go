package controller

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"sluice/datapath"
	"sluice/metrics"
	"sluice/store"
	"sluice/store/etcd"
)

// Options are what a controller needs. Zero durations and numbers take the defaults.
type Options struct {
	Name     string       // of live controllers of one name only the latest goes on
	Store    *etcd.Client // where desired state lives
	OpenFlow net.Listener // where switches dial in
	Session  datapath.Options
	Live     store.LiveController // what others may know of this controller; New chooses its incarnation
	Registry prometheus.Registerer
	Log      *slog.Logger

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

// Controller programs the switches of the hosts that it masters.
type Controller struct {
	opts         Options
	metrics      *metrics.Set
	turns        turns
	lease        holder        // under which hosts are claimed
	hostsChanged broadcast     // a host came, went or changed
	placing      broadcast     // a tenant may lack its gateway
	freed        chan struct{} // something was deleted; holds one
	uncounted    chan struct{} // a counting flow is gone; holds one
	ready        chan struct{} // closed when the state was first read
	report       report

	mu       sync.RWMutex // guards what follows; compile under RLock, apply under Lock
	state    *store.State
	loaded   bool
	named    store.Revision // of this controller's last announcement; 0: before the first
	hosts    map[string]*host
	unknown  map[store.DatapathID]int // sessions by datapath id that no host has
	seen     []seen                   // revisions not yet realized, oldest first
	doubts   doubts                   // tenants whose gateway is to be looked at
	unplaced map[string]store.Problem // by tenant: no gateway host fits

	tombstones tombstones // of what is gone, while this controller leads
}

// New makes a controller; Run starts it.
func New(o Options) (*Controller, error) {
	o = o.withDefaults()
	o.Live.Incarnation = strings.ToLower(rand.Text())
	c := &Controller{
		opts:      o,
		turns:     newTurns(o.Resyncs, turnTime),
		freed:     make(chan struct{}, 1),
		uncounted: make(chan struct{}, 1),
		ready:     make(chan struct{}),
		state:     store.NewState(),
		hosts:     map[string]*host{},
		unknown:   map[store.DatapathID]int{},
		unplaced:  map[string]store.Problem{},
	}
	c.doubts.noteAll()
	c.report.excepted = map[string]*store.StatusHost{}
	set, err := metrics.New(o.Registry, c.snapshot)
	if err != nil {
		return nil, fmt.Errorf("controller %s: register metrics: %w", o.Name, err)
	}
	c.metrics = set
	return c, nil
}

// Run works until ctx ends, or until a part fails for good; that error names the part. It
// fails with ErrNameTaken once a later controller announced itself under the same name.
func (c *Controller) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return part("watch etcd", c.opts.Store.Watch(ctx, c.apply)) })
	g.Go(func() error { return part("stay alive in etcd", c.stayAlive(ctx)) })
	g.Go(func() error { return part("report to etcd", c.reportLoop(ctx)) })
	g.Go(func() error { return part("lead", c.lead(ctx)) })
	g.Go(func() error { return part("checkpoint counters", c.checkpointLoop(ctx)) })
	g.Go(func() error {
		return part("serve OpenFlow", datapath.Serve(ctx, c.opts.OpenFlow, c.opts.Session, c.serve))
	})
	err := g.Wait()
	if ctx.Err() != nil && context.Cause(ctx) == context.Canceled {
		return nil
	}
	return err
}

func part(what string, err error) error {
	if err == nil || errors.Is(err, ErrNameTaken) { // the whole controller's, whichever part found out
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Ready is closed when the state was first read from etcd.
func (c *Controller) Ready() <-chan struct{} { return c.ready }
