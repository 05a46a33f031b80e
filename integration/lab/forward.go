package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// forwardFD is the first of the listeners that a forwarder inherits.
const forwardFD = 3

// Backend is who answers behind the forwarder: one of the lab's processes, at an address
// inside its namespace. With TLS the forwarder speaks it, and whoever dialled in on the loopback
// need not.
type Backend struct {
	Process, Address string
	TLS              bool
}

func (b Backend) String() string {
	if b.TLS {
		return b.Process + "@" + tlsPrefix + b.Address
	}
	return b.Process + "@" + b.Address
}

const tlsPrefix = "tls:"

func parseBackends(text string) ([]Backend, error) {
	var all []Backend
	for one := range strings.SplitSeq(text, ",") {
		process, at, ok := strings.Cut(one, "@")
		if !ok {
			return nil, fmt.Errorf("backend %q: write it as PROCESS@IP:PORT, or PROCESS@tls:IP:PORT", one)
		}
		at, secure := strings.CutPrefix(at, tlsPrefix)
		all = append(all, Backend{process, at, secure})
	}
	return all, nil
}

// Forward carries connections from listeners that this process inherited, file descriptor 3
// and up. Each listener has an entry of to: backends with commas, of which the first that
// answers gets a connection. It returns when ctx ends, or when the lab no longer knows this
// process: then nobody else would end it.
func Forward(ctx context.Context, to []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer cancel()
		return whileRecorded(ctx, "forward")
	})
	for i, text := range to {
		backends, err := parseBackends(text)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(forwardFD+i), text)
		l, err := net.FileListener(f)
		if err != nil {
			return fmt.Errorf("inherited listener %d, for %s: %w", i, text, err)
		}
		f.Close()
		context.AfterFunc(ctx, func() { l.Close() })
		g.Go(func() error { return forwardAll(ctx, l, backends) })
	}
	return g.Wait()
}

// whileRecorded returns when ctx ends or another process, or none, is recorded under name.
func whileRecorded(ctx context.Context, name string) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if rec, _ := lookup(name); rec.PID != os.Getpid() {
				return nil
			}
		}
	}
}

func forwardAll(ctx context.Context, l net.Listener, backends []Backend) error {
	for {
		in, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept for %v: %w", backends, err)
		}
		go func() {
			defer in.Close()
			out, err := dialFirst(ctx, backends)
			if err != nil {
				return // the caller sees a closed connection, as with any dead server
			}
			defer out.Close()
			join(in.(*net.TCPConn), out)
		}()
	}
}

// dialFirst connects to the first backend that answers. A process that is paused is passed
// over: the kernel would answer for it.
func dialFirst(ctx context.Context, backends []Backend) (connection, error) {
	var errs []error
	for _, b := range backends {
		if rec, alive := lookup(b.Process); !alive || paused(rec.PID) {
			errs = append(errs, fmt.Errorf("%s does not run", b.Process))
			continue
		}
		conn, err := b.dial(ctx)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (b Backend) dial(ctx context.Context) (connection, error) {
	conn, err := DialIn(ctx, processNS(b.Process), "tcp", b.Address)
	if err != nil {
		return nil, err
	}
	if !b.TLS {
		return conn.(*net.TCPConn), nil
	}
	secure, err := overTLS(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// connection can be ended in one direction.
type connection interface {
	net.Conn
	CloseWrite() error
}

// join copies both ways until both directions are over.
func join(a, b connection) {
	var wg sync.WaitGroup
	pump := func(dst, src connection) {
		_, _ = io.Copy(dst, src) // either end may break off: that is its right
		_ = dst.CloseWrite()
	}
	wg.Go(func() { pump(a, b) })
	wg.Go(func() { pump(b, a) })
	wg.Wait()
}

// DialIn connects from inside a namespace. The address is an IP address and port: a name
// would be looked up outside.
func DialIn(ctx context.Context, ns, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := InNamespace(ns, func() (err error) {
		d := net.Dialer{Timeout: 5 * time.Second}
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// CountReceived accepts one connection and tells, when it is over, how many bytes came; those
// before an error count.
func CountReceived(l net.Listener) <-chan int64 {
	got := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- 0
			return
		}
		defer c.Close()
		n, _ := io.Copy(io.Discard, c) // what came before an error is what counts
		got <- n
	}()
	return got
}

// ListenIn opens a listener inside a namespace; it accepts from any thread.
func ListenIn(ctx context.Context, ns, network, address string) (net.Listener, error) {
	var l net.Listener
	err := InNamespace(ns, func() (err error) {
		var lc net.ListenConfig
		l, err = lc.Listen(ctx, network, address)
		return err
	})
	return l, err
}
