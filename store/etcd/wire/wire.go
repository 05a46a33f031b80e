// Package wire stands between an etcd and one of its clients in a test, which can cut the two apart
// and join them again. Only tests import it.
package wire

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Wire is one connection's way through the test.
type Wire struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	cut      bool
	open     map[net.Conn]bool
}

// To is a wire to a server's URL, until the test ends.
func To(t testing.TB, server string) *Wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{listener: l, target: strings.TrimPrefix(server, "http://"), open: map[net.Conn]bool{}}
	go w.serve()
	t.Cleanup(func() { l.Close(); w.Cut() })
	return w
}

// URL is where the client reaches the server through the wire.
func (w *Wire) URL() string { return "http://" + w.listener.Addr().String() }

func (w *Wire) serve() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.target)
		if err != nil || !w.keep(client, server) {
			client.Close()
			continue
		}
		go pipe(client, server)
		go pipe(server, client)
	}
}

// keep remembers a pair of connections, unless the wire is cut.
func (w *Wire) keep(client, server net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		server.Close()
		return false
	}
	w.open[client], w.open[server] = true, true
	return true
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from) // ends with either
	to.Close()
	from.Close()
}

// Cut ends all connections and refuses new ones.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.open {
		c.Close()
	}
	clear(w.open)
}

// Join lets connections through again.
func (w *Wire) Join() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}
