package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Bounds of a server: who is slow, silent or long-winded is cut off, and takes little while it lasts.
const (
	headerTime     = 10 * time.Second // until the header of a request is there
	readTime       = 30 * time.Second // until all of it is
	writeTime      = 2 * time.Minute  // until its answer is sent
	idleTime       = 2 * time.Minute  // between two requests of one connection
	shutdownTime   = 3 * time.Second  // for requests in flight when the server ends
	maxHeader      = 32 << 10         // bytes of a request's header
	maxConnections = 2048
)

// Serve answers HTTP until ctx ends, then lets running requests end. With a configuration it speaks
// TLS.
func Serve(ctx context.Context, l net.Listener, h http.Handler, secure *tls.Config, log *slog.Logger) error {
	connections := newConnections(maxConnections)
	server := &http.Server{
		Handler: connections.during(h), BaseContext: func(net.Listener) context.Context { return ending(ctx) }, ConnContext: connections.remember, ConnState: connections.changed,
		TLSConfig: secure, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // one connection, one request
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		stopped <- server.Shutdown(bounded)
	}()
	if err := serve(server, l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("API at %s: %w", l.Addr(), err)
	}
	if err := <-stopped; err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("API at %s: stop: %w", l.Addr(), err)
	}
	return nil
}

func serve(server *http.Server, l net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(l, "", "")
	}
	return server.Serve(l)
}

// connections bounds how many there are. Where there are more, the one goes that has been without a
// whole request for longest: who sends requests is served, however many others only hold a
// connection or send one byte a second.
type connections struct {
	most int

	mu    sync.Mutex
	all   int
	quiet []net.Conn // none of whose requests is being answered, longest first
}

func newConnections(most int) *connections { return &connections{most: most} }

type connKey struct{}

// remember puts the connection of a request into its context.
func (c *connections) remember(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// during keeps a connection while a request of it is answered.
func (c *connections) during(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connKey{}).(net.Conn); ok {
			c.busy(conn)
			defer c.free(conn)
		}
		next.ServeHTTP(w, r)
	})
}

func (c *connections) busy(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet = slices.DeleteFunc(c.quiet, func(q net.Conn) bool { return q == conn })
}

func (c *connections) free(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet = append(c.quiet, conn)
}

// changed counts connections that come and go, as an http.Server tells it.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if oldest := c.come(conn); oldest != nil {
			oldest.Close() // that it is closed is told too
		}
	case http.StateClosed, http.StateHijacked:
		c.busy(conn)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
	}
}

// come counts a new connection and returns the one that is to go for it, or nil.
func (c *connections) come(conn net.Conn) (oldest net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all++
	if c.all > c.most && len(c.quiet) > 0 {
		oldest, c.quiet = c.quiet[0], c.quiet[1:]
	}
	c.quiet = append(c.quiet, conn)
	return oldest
}
