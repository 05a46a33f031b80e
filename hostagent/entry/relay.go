package entry

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"sluice/store"
)

// Relay opens connections to what routes lead to for the entries of other hosts.
type Relay struct {
	Table *Table
	Reach *Reach
	// Config is this host's, which asks for the certificate of who dials; Host tells whose that is, if it is a host that is believed.
	Config *tls.Config
	Host   func(ctx context.Context, conn *tls.Conn) (host string, err error)
	Log    *slog.Logger
}

// maxRelayed bounds the connections of one tenant at one relay.
const maxRelayed = 4096

// Serve relays until ctx ends. It closes the listener, and what is relayed.
func (r *Relay) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	crowd := newCrowd(maxRelayed)
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("relay: %w", err)
		case err != nil: // such as too many open files: that passes
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go r.relay(ctx, tls.Server(conn, r.Config), crowd)
	}
}

// relay serves one connection.
func (r *Relay) relay(ctx context.Context, conn *tls.Conn, crowd *crowd) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.NetConn().Close() })()
	_ = conn.SetDeadline(time.Now().Add(reachTime))
	host, err := r.Host(ctx, conn)
	if err != nil {
		r.Log.Warn("who asked to relay is not believed", "address", conn.RemoteAddr(), "err", err)
		return
	}
	lines := bufio.NewReaderSize(conn, maxRelayLine)
	route, err := r.asked(lines)
	if err != nil {
		r.Log.Debug("not relayed", "host", host, "err", err)
		fmt.Fprintf(conn, "no: %v\n", err)
		return
	}
	leave, ok := crowd.enter(route.Tenant)
	if !ok {
		fmt.Fprintf(conn, "no: tenant %s has too many connections\n", route.Tenant)
		return
	}
	defer leave()
	to, err := r.Reach.open(ctx, r.Table.led(ctx, route, r.Reach.Host).by(r.Reach.Host))
	if err != nil {
		fmt.Fprintf(conn, "no: %v\n", err)
		return
	}
	defer to.Close()
	defer context.AfterFunc(route.visits.ctx, func() { abort(conn); _ = to.Close() })()
	if _, err := io.WriteString(conn, relayYes); err != nil {
		return
	}
	_ = conn.SetDeadline(time.Time{})
	splice(&through{conn, lines}, conn, to)
}

// asked is the route of which an entry asks.
func (r *Relay) asked(lines *bufio.Reader) (*standing, error) {
	line, err := lines.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	var tenant, name string
	var created store.Revision
	if _, err := fmt.Sscanf(string(line), relayAsk, &tenant, &name, &created); err != nil {
		return nil, fmt.Errorf("it does not say what to relay: %w", err)
	}
	route := r.Table.now.Load().byKey[Route{Tenant: tenant, Name: name}.key()]
	if route == nil || route.Created != created {
		return nil, fmt.Errorf("%w: %s/%s", errNoRoute, tenant, name)
	}
	return route, nil
}

// halfCloser is a connection of which one direction may end.
type halfCloser interface{ CloseWrite() error }

// splice copies both ways until both ended. Where the container breaks off, who asked gets no end that looks whole.
func splice(from io.Reader, back *tls.Conn, to net.Conn) {
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(to, from)
		if c, ok := to.(halfCloser); ok {
			_ = c.CloseWrite()
		}
	})
	both.Go(func() {
		if _, err := io.Copy(back, to); err != nil {
			abort(back)
			_ = to.Close()
			return
		}
		_ = back.CloseWrite()
	})
	both.Wait()
}

// abort ends a connection at once: the other end reads an error, and not an end.
func abort(conn *tls.Conn) {
	if tcp, ok := conn.NetConn().(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.NetConn().Close()
}
