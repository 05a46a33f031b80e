package entry

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

var errNotReached = errors.New("the container is not reached")

// reachTime bounds how long a connection may take to open.
const reachTime = 5 * time.Second

// Reach opens connections to what routes lead to.
type Reach struct {
	Host string // this one
	// From is an address of this host, as which its kernel opens connections. Tenants do not route to the transit range.
	From netip.Addr
	// Believe is how a relay is dialled of a host that is to prove that it is that one; nil: none is.
	Believe func(host string) *tls.Config
	// Dead reports whether this host's switch finds another one dead, by its own probes, and of this host whether others find it dead, since its way out
	// is cut; nil: nobody probes.
	Dead func(host string) bool
}

// Open opens a connection by the tenant's gateway host, or by its backup where that one is dead: there the container's switch sends the
// answers.
func (o *Reach) Open(ctx context.Context, r Route) (net.Conn, error) {
	ctx, end := context.WithTimeout(ctx, reachTime)
	defer end()
	switch own := r.Gateway == o.Host; {
	case r.Backup == "" || own && !o.dead(o.Host):
		return o.by(ctx, r)
	case own:
		return o.byEither(ctx, r)
	}
	conn, err := o.whileAlive(ctx, r)
	dead := err != nil && (errors.Is(err, errDead) || o.dead(r.Gateway))
	if err == nil || !dead && !unheard(err) || ctx.Err() != nil {
		return conn, err
	}
	conn, failed := o.by(ctx, r.by(r.Backup))
	if failed != nil {
		return nil, fmt.Errorf("%w; by its backup: %w", err, failed)
	}
	return &lent{conn, r.Gateway, dead}, nil
}

// by opens a connection: by this host's kernel where it is the tenant's gateway host, or else by that host's relay.
func (o *Reach) by(ctx context.Context, r Route) (net.Conn, error) {
	switch {
	case r.Gateway == "":
		return nil, fmt.Errorf("%w: tenant %s has no gateway host", errNotReached, r.Tenant)
	case r.Gateway == o.Host:
		return o.open(ctx, r)
	case !r.Relay.IsValid() || o.Believe == nil:
		return nil, fmt.Errorf("%w: gateway host %s of tenant %s relays nothing, or this host has no certificate", errNotReached, r.Gateway, r.Tenant)
	}
	return o.ask(ctx, r)
}

// open opens a connection from this host's kernel.
func (o *Reach) open(ctx context.Context, r Route) (net.Conn, error) {
	if !r.Target.IsValid() {
		return nil, fmt.Errorf("%w: publication %s: this host has no slot for tenant %s yet: try again in a moment", errNotReached, r.key(), r.Tenant)
	}
	var d net.Dialer
	if o.From.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(o.From, 0))
	}
	conn, err := d.DialContext(ctx, "tcp", r.Target.String())
	if err != nil {
		return nil, fmt.Errorf("%w: publication %s: %w", errNotReached, r.key(), err)
	}
	return conn, nil
}

// ask asks the gateway host's relay for one.
func (o *Reach) ask(ctx context.Context, r Route) (net.Conn, error) {
	d := tls.Dialer{Config: o.Believe(r.Gateway)}
	if r.Backup != "" && r.Backup != r.Gateway {
		d.NetDialer = &net.Dialer{Timeout: unheardTime} // which leaves time for the backup
	}
	conn, err := d.DialContext(ctx, "tcp", r.Relay.String())
	if err != nil {
		return nil, fmt.Errorf("%w: relay of host %s: %w", errNotReached, r.Gateway, err)
	}
	stay := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	through, err := asked(conn, r)
	if stay(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: relay of host %s: %w", errNotReached, r.Gateway, err)
	}
	return through, nil
}

// The words of a relay. Who asks says one line, and gets one.
const (
	relayAsk = "relay1 %s %s %d\n"
	relayYes = "yes\n"
)

func asked(conn net.Conn, r Route) (net.Conn, error) {
	if _, err := fmt.Fprintf(conn, relayAsk, r.Tenant, r.Name, r.Created); err != nil {
		return nil, err
	}
	through := &through{conn, bufio.NewReaderSize(conn, maxRelayLine)}
	line, err := through.lines.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if string(line) != relayYes {
		return nil, fmt.Errorf("it says %q", strings.TrimSpace(string(line)))
	}
	return through, nil
}

// maxRelayLine bounds what a line of a relay may have.
const maxRelayLine = 512

// through is a connection of which the first line was read.
type through struct {
	net.Conn
	lines *bufio.Reader
}

func (t *through) Read(b []byte) (int, error) { return t.lines.Read(b) }
