package entry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// This file has entries go by a tenant's backup while its gateway host is dead and the leader has not acted yet. Switches send the container's
// answers there by their own probes, so the same probes say when an entry does.

const (
	// deadInterval is between two looks at probes.
	deadInterval = 100 * time.Millisecond
	// unheardTime is how long a gateway host that has a backup may take to answer where no probe says more.
	unheardTime = 2 * time.Second
)

var errDead = errors.New("this host's probes find it dead")

// dead reports whether this host's switch finds another one dead.
func (o *Reach) dead(host string) bool { return o.Dead != nil && o.Dead(host) }

// whileAlive opens a connection by the gateway host, and gives up once that one is found dead.
func (o *Reach) whileAlive(ctx context.Context, r Route) (net.Conn, error) {
	failed := fmt.Errorf("%w: gateway host %s: %w", errNotReached, r.Gateway, errDead)
	if o.dead(r.Gateway) {
		return nil, failed
	}
	opening, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		for every(opening, deadInterval) {
			if o.dead(r.Gateway) {
				end(failed)
			}
		}
	}()
	conn, err := o.by(opening, r)
	if err != nil && errors.Is(context.Cause(opening), errDead) {
		return nil, failed
	}
	return conn, err
}

// byEither opens a connection where this host is the gateway host, and its way out is cut. Containers on other hosts answer to the backup then, and
// those on this host to its own kernel: of two connections one opens.
func (o *Reach) byEither(ctx context.Context, r Route) (net.Conn, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	type opened struct {
		net.Conn
		from string
		err  error
	}
	ways := make(chan opened, 2)
	open := func(r Route, from string) {
		conn, err := o.by(ctx, r)
		ways <- opened{conn, from, err}
	}
	go open(r, "")
	go open(r.by(r.Backup), r.Gateway)
	first := <-ways
	if first.err == nil {
		go func() {
			if second := <-ways; second.err == nil {
				second.Close()
			}
		}()
		return &lent{first.Conn, first.from, true}, nil
	}
	second := <-ways
	if second.err != nil {
		return nil, errors.Join(first.err, second.err)
	}
	return &lent{second.Conn, second.from, true}, nil
}

// every waits, and reports whether ctx goes on.
func every(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// unheard reports whether a host did not answer at all: one that refuses is alive.
func unheard(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.ETIMEDOUT)
}

// lent is a connection by a backup, in place of a gateway host, or one by this host that opened though its way out is cut.
type lent struct {
	net.Conn
	from string // the gateway host; empty: it is by this one
	dead bool   // which was found dead when it opened
}

// wires are the open connections of an entry to containers.
type wires struct {
	mu   sync.Mutex
	open map[*noted]wire
}

// wire says of a connection by what host it goes.
type wire struct {
	publication string // the key of its route
	by          string // the host
	from        string // the gateway host in whose place that is; empty: it is that one
	dead        bool   // the gateway host was found dead since it opened; of one by that host, when it opened
}

func (w *wires) add(n *noted, its wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[n] = its
}

func (w *wires) remove(n *noted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, n)
}

// watch ends connections that are of no use any more, until ctx ends.
func (e *Entry) watch(ctx context.Context) {
	for e.o.Dead != nil && every(ctx, deadInterval) {
		for _, n := range e.wires.useless(e.o.Table.now.Load(), asking(e.o.Dead)) {
			n.breakOff()
		}
	}
}

// breakOff closes a connection so that whoever reads gets no end that looks whole.
func (n *noted) breakOff() {
	conn := n.Conn
	if c, ok := conn.(*lent); ok {
		conn = c.Conn
	}
	if c, ok := conn.(*through); ok {
		if secured, ok := c.Conn.(*tls.Conn); ok {
			abort(secured)
		}
	}
	_ = n.Close()
}

// asking asks once of each host.
func asking(dead func(host string) bool) func(string) bool {
	known := map[string]bool{}
	return func(host string) bool {
		if _, asked := known[host]; !asked {
			known[host] = dead(host)
		}
		return known[host]
	}
}

// useless are connections of which the container's answers go elsewhere: those by a host that is dead while there is a backup that is not, but for those
// that opened then,
// and those by a backup once the gateway host is alive again. The latter stay where the backup became the gateway host.
func (w *wires) useless(routes *index, dead func(host string) bool) (all []*noted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n, its := range w.open {
		route := routes.byKey[its.publication]
		switch {
		case route == nil:
		case its.from == "":
			if opened := its.dead && route.Gateway == its.by; !opened && route.Backup != "" && route.Backup != its.by && dead(its.by) && !dead(route.Backup) {
				all = append(all, n)
			}
		case route.Gateway == its.from:
			isDead := dead(its.from)
			if its.dead && !isDead {
				all = append(all, n)
			}
			its.dead = its.dead || isDead
			w.open[n] = its
		}
	}
	return all
}
