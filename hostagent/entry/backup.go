package entry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
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

// lent is a connection by a backup, in place of a gateway host.
type lent struct {
	net.Conn
	from string // the gateway host
	dead bool   // which was found dead when it opened
}

// takeBack ends a connection by a backup once its gateway host is alive again: the container's answers go there from then on, where nobody
// knows it. It stays where the backup became the gateway host.
func (e *Entry) takeBack(ctx context.Context, c *lent, route Route) {
	was := c.dead
	for e.o.Dead != nil {
		dead := e.o.Dead(c.from)
		if was && !dead {
			_ = c.Close()
			return
		}
		was = was || dead
		if !every(ctx, deadInterval) {
			return
		}
		if now := e.o.Table.now.Load().byKey[route.key()]; now == nil || now.Gateway != c.from {
			return
		}
	}
}
