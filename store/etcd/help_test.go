package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/etcd/freeport"
)

// deadline bounds what a test waits for; no test asserts how long anything took.
const deadline = 60 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// serve starts an embedded server in a directory of its own.
func serve(t testing.TB) *Embedded {
	t.Helper()
	return serveIn(t, t.TempDir())
}

func serveIn(t testing.TB, dir string) *Embedded {
	t.Helper()
	e, err := StartEmbedded(testContext(t), EmbedOptions{Dir: dir, ClientURL: freeport.URL(t), PeerURL: freeport.URL(t), Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func connect(t testing.TB, endpoints ...string) *Client {
	t.Helper()
	c, err := Connect(testContext(t), Options{Endpoints: endpoints, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// start is a client of a fresh server.
func start(t testing.TB) *Client {
	t.Helper()
	return connect(t, serve(t).Endpoints()...)
}

// testLog writes to the test's own log while the test runs.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t.Context(), t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct {
	ctx context.Context
	t   testing.TB
}

func (w testWriter) Write(b []byte) (int, error) {
	if w.ctx.Err() == nil {
		w.t.Logf("%s", b)
	}
	return len(b), nil
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(texts))
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// register registers a host that is a gateway, and returns its create revision.
func register(t testing.TB, c *Client, name string) store.Revision {
	t.Helper()
	r, err := c.RegisterHost(testContext(t), name, hostObject(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r.Created
}

// vtepOf is another address for each name.
func vtepOf(name string) netip.Addr {
	hash := store.HostHash(name)
	return netip.AddrFrom4([4]byte{172, 30, byte(hash >> 8), byte(hash)})
}

func hostObject(name string) store.Host {
	return store.Host{
		Incarnation: "incarnation of " + name, DatapathID: store.DatapathID(store.HostHash(name)) + 1, VTEPs: []netip.Addr{vtepOf(name)},
		Gateway: true, Encap: "vxlan", UnderlayMTU: 1500, Infrastructure: prefixes("172.30.0.0/24"),
	}
}

func createTenant(t testing.TB, c *Client, s store.TenantSpec) store.Revision {
	t.Helper()
	rev, err := c.CreateTenant(testContext(t), s)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func uid() string {
	b := make([]byte, store.UIDLength)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz234567"[rand.IntN(32)]
	}
	return string(b)
}

func portSpec(host, tenant, name string) store.PortSpec {
	return store.PortSpec{Host: host, Tenant: tenant, Network: store.DefaultNetwork, Name: name, UID: uid()}
}

func createPort(t testing.TB, c *Client, s store.PortSpec) store.Item[store.Port] {
	t.Helper()
	p, err := c.CreatePort(testContext(t), s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// keysUnder are the paths under a prefix, without store.Prefix.
func keysUnder(t testing.TB, c *Client, prefix string) []string {
	t.Helper()
	taken, err := c.etcd.Get(testContext(t), store.Prefix+prefix, prefixed("/")[0])
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, kv := range taken.Kvs {
		out = append(out, string(kv.Key[len(store.Prefix):]))
	}
	return out
}

func get[T any](t testing.TB, c *Client, key store.Key) *T {
	t.Helper()
	o, _, err := c.Get(testContext(t), key)
	if err != nil || o == nil {
		t.Fatalf("get %s: %v, %v", key, o, err)
	}
	return any(o).(*T)
}

// together runs n functions at once and returns their errors.
func together(n int, f func(i int) error) []error {
	type done struct {
		i   int
		err error
	}
	results := make(chan done)
	for i := range n {
		go func() { results <- done{i, f(i)} }()
	}
	errs := make([]error, n)
	for range n {
		d := <-results
		errs[d.i] = d.err
	}
	return errs
}

func numbered(i int) string { return fmt.Sprintf("n%03d", i) }
