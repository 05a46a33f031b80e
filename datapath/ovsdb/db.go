package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-logr/logr"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
)

// DB is a connection to one Open_vSwitch database. It reconnects by itself; a call made
// meanwhile waits, until its context ends. Its methods may be called concurrently.
type DB struct {
	endpoint string
	log      *slog.Logger
	cancel   context.CancelFunc
	stopped  chan struct{}
	edits    *edits

	mu      sync.Mutex
	conn    client.Client // nil: not connected
	changed chan struct{} // closed, and replaced, when a row or the connection changes
}

// ErrClosed is the error of every call on a closed DB.
var ErrClosed = errors.New("OVSDB connection closed")

// reconnectDelay bounds the back-off between attempts to connect.
const reconnectDelay = time.Second

// Dial connects to the database at endpoint, such as unix:/run/openvswitch/db.sock, and
// fails when the first attempt does.
func Dial(ctx context.Context, endpoint string, log *slog.Logger) (*DB, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &DB{
		endpoint: endpoint, log: log, cancel: cancel,
		stopped: make(chan struct{}), changed: make(chan struct{}), edits: newEdits(),
	}
	lost, err := d.connect(ctx, life)
	if err != nil {
		cancel()
		return nil, err
	}
	go d.keepConnected(life, lost)
	return d, nil
}

// Close ends the connection. Calls under way return ErrClosed.
func (d *DB) Close() {
	d.cancel()
	<-d.stopped
}

// connect makes one attempt. The channel it returns is closed when that connection is lost.
func (d *DB) connect(ctx, life context.Context) (lost <-chan struct{}, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("OVSDB at %s: %w", d.endpoint, err)
		}
	}()
	m, err := databaseModel()
	if err != nil {
		return nil, err
	}
	quiet := logr.Discard() // errors are returned; the rest is the library's own affair
	c, err := client.NewOVSDBClient(m, client.WithEndpoint(d.endpoint), client.WithLogger(&quiet))
	if err != nil {
		return nil, err
	}
	failed := make(chan struct{})
	lost = watchLoss(life, c, failed)
	if err := d.populate(ctx, c); err != nil {
		close(failed)
		return nil, err
	}
	d.setConn(c)
	return lost, nil
}

// populate fills the client's copy of the rows.
func (d *DB) populate(ctx context.Context, c client.Client) error {
	if err := c.Connect(ctx); err != nil {
		return err
	}
	c.Cache().AddEventHandler(d.notifier())
	c.Cache().AddEventHandler(d.edits.handler())
	if _, err := c.Monitor(ctx, monitor(c)); err != nil {
		c.Close()
		return err
	}
	d.edits.ring()
	return nil
}

// watchLoss listens before the connection is made: the library's notification is not kept
// for a listener that comes late.
func watchLoss(life context.Context, c client.Client, failed <-chan struct{}) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-c.DisconnectNotify():
		case <-failed:
		case <-life.Done():
		}
	}()
	return gone
}

func monitor(c client.Client) *client.Monitor {
	r, b, p := &rootRow{}, &bridgeRow{}, &portRow{}
	i, o, t, s := &interfaceRow{}, &controllerRow{}, &tableRow{}, &sslRow{}
	return c.NewMonitor(
		client.WithTable(r, &r.Bridges, &r.NextCfg, &r.CurCfg, &r.SSL),
		client.WithTable(b, &b.Name, &b.DatapathType, &b.FailMode, &b.Protocols, &b.Controllers,
			&b.Ports, &b.FlowTables, &b.OtherConfig),
		client.WithTable(p, &p.Name, &p.Interfaces),
		client.WithTable(i, &i.Name, &i.Type, &i.Options, &i.ExternalIDs, &i.BFD, &i.BFDStatus, &i.MAC, &i.MTURequest,
			&i.OFPortRequest, &i.OFPort, &i.Error),
		client.WithTable(o, &o.Target, &o.ConnectionMode, &o.MaxBackoff, &o.InactivityProbe, &o.IsConnected),
		client.WithTable(t, &t.Name),
		client.WithTable(s, &s.PrivateKey, &s.Certificate, &s.CACert, &s.Bootstrap),
	)
}

// keepConnected reconnects until life ends. libovsdb's own reconnection is not used: it
// gives up with a panic and goes on after Close.
func (d *DB) keepConnected(life context.Context, lost <-chan struct{}) {
	defer close(d.stopped)
	for {
		<-lost
		if c := d.setConn(nil); c != nil && life.Err() != nil {
			c.Close()
		}
		if life.Err() != nil {
			return
		}
		d.log.Warn("OVSDB connection lost, reconnecting", "endpoint", d.endpoint)
		var err error
		if lost, err = d.reconnect(life); err != nil {
			return
		}
		d.log.Info("OVSDB connected again", "endpoint", d.endpoint)
	}
}

func (d *DB) reconnect(life context.Context) (<-chan struct{}, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = reconnectDelay / 20
	pause.MaxInterval = reconnectDelay
	attempt := func() (<-chan struct{}, error) {
		ctx, cancel := context.WithTimeout(life, 5*reconnectDelay)
		defer cancel()
		return d.connect(ctx, life)
	}
	return backoff.Retry(life, attempt, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
}

// setConn replaces the connection, wakes all who wait, and returns the one before.
func (d *DB) setConn(c client.Client) client.Client {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.conn
	d.conn = c
	d.wake()
	return before
}

func (d *DB) wake() {
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *DB) notifier() cache.EventHandler {
	wake := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.wake()
	}
	return &cache.EventHandlerFuncs{
		AddFunc:    func(string, model.Model) { wake() },
		UpdateFunc: func(string, model.Model, model.Model) { wake() },
		DeleteFunc: func(string, model.Model) { wake() },
	}
}

// await calls check, with the current connection, whenever something changed, until it says
// that it is done or fails; rows torn by an update are no failure.
func (d *DB) await(ctx context.Context, check func(c client.Client) (done bool, err error)) error {
	for {
		d.mu.Lock()
		c, changed := d.conn, d.changed
		d.mu.Unlock()
		if c != nil {
			if done, err := check(c); !errors.Is(err, errTorn) && (done || err != nil) {
				return err
			}
		}
		select {
		case <-changed:
		case <-d.stopped:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
