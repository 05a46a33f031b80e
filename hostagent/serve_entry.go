package hostagent

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"sluice/hostagent/entry"
	"sluice/pki"
	"sluice/store"
)

// Entry says how a host takes requests for what tenants publish by routes.
type Entry struct {
	Listen       string              // ADDRESS:PORT; empty: it takes none
	Certificates *entry.Certificates // nil: in the clear
	Login        *entry.Login        // nil: nobody is asked
	// RelayPort is where a gateway host relays for the entries of other hosts; 0: it does not.
	RelayPort uint16
}

// webEntry is this host's entry and its relay.
type webEntry struct {
	o        Options
	log      *slog.Logger
	problems *problems
	table    *entry.Table
	dead     func(host string) bool // by this host's probes
	entry    *entry.Entry
	callers  callers
}

func newWebEntry(o Options, p *problems, dead func(host string) bool) *webEntry {
	w := &webEntry{o: o, log: o.Log.With("host", o.Host), problems: p, table: entry.NewTable(), dead: dead, callers: callers{store: o.Store, known: make(map[string]*store.Host)}}
	w.entry = entry.New(entry.Options{Table: w.table, Reach: w.reach().Open, Dead: dead, Login: o.Entry.Login, Certificates: o.Entry.Certificates, Log: w.log})
	return w
}

// relays reports whether this host relays: who asks and who answers prove which hosts they are.
func (o Options) relays() bool { return o.Gateway && o.Entry.RelayPort != 0 && o.Identity != nil }

// needsRoutes reports whether this host goes by routes.
func (o Options) needsRoutes() bool { return o.Entry.Listen != "" || o.relays() }

func (w *webEntry) reach() *entry.Reach {
	r := &entry.Reach{Host: w.o.Host, From: w.o.VTEP, Dead: w.dead}
	if !w.o.VTEP.Is4() {
		r.From = firstIPv4()
	}
	if w.o.Identity != nil {
		r.Believe = w.o.Identity.ClientOfHost
	}
	return r
}

// firstIPv4 is an address of this host, if it has any.
func firstIPv4() netip.Addr {
	all, _ := hostAddresses()
	for _, a := range all {
		if a.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// serveEntry takes requests until ctx ends.
func (w *webEntry) serveEntry(ctx context.Context) {
	if w.o.Entry.Listen != "" {
		w.serve(ctx, "entry", w.o.Entry.Listen, w.entry.Serve)
	}
}

// serveRelay relays until ctx ends.
func (w *webEntry) serveRelay(ctx context.Context) {
	if !w.o.relays() {
		return
	}
	relay := &entry.Relay{Table: w.table, Reach: w.reach(), Config: w.o.Identity.Server(tls.RequireAndVerifyClientCert), Host: w.callers.host, Log: w.log}
	w.serve(ctx, "relay", net.JoinHostPort(w.o.VTEP.String(), strconv.Itoa(int(w.o.Entry.RelayPort))), relay.Serve)
}

// serve listens, however long that takes, and serves.
func (w *webEntry) serve(ctx context.Context, what, at string, serve func(context.Context, net.Listener) error) {
	for ctx.Err() == nil {
		_ = w.problems.retry(ctx, what, func() error {
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
			if err != nil {
				return err
			}
			w.problems.report(what, nil)
			return serve(ctx, l)
		})
	}
}

// callers knows which hosts are believed. Agents may not read who is enrolled: a host that was let in says itself, in its record, since
// when its certificate is valid, and whose record is gone is none.
type callers struct {
	store Store
	mu    sync.Mutex
	known map[string]*store.Host // as etcd said last: it may be away
}

// host is the host of a connection's other end, by its certificate.
func (c *callers) host(ctx context.Context, conn *tls.Conn) (string, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return "", err
	}
	certificate := conn.ConnectionState().PeerCertificates[0]
	who, err := pki.Of(certificate)
	if err != nil {
		return "", err
	}
	if who.Role != pki.RoleHost {
		return "", fmt.Errorf("its certificate is of %s, which is no host", who)
	}
	return who.Name, c.believes(ctx, who.Name, certificate.NotBefore)
}

// learn keeps what etcd says of all hosts: while it is away others ask a backup's relay for the first time.
func (c *callers) learn(hosts []store.Event) {
	known := make(map[string]*store.Host, len(hosts))
	for _, e := range hosts {
		known[e.Key.Host], _ = e.Object.(*store.Host)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known = known
}

// callerTime bounds how long etcd is asked for a host: it may be away, and who asks waits.
const callerTime = time.Second

func (c *callers) believes(ctx context.Context, host string, validFrom time.Time) error {
	asking, end := context.WithTimeout(ctx, callerTime)
	defer end()
	o, _, err := c.store.Get(asking, store.HostKey(host))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.known[host], _ = o.(*store.Host)
	}
	switch h := c.known[host]; {
	case h == nil:
		return fmt.Errorf("no host %s is known", host)
	case validFrom.Before(h.Certified):
		return fmt.Errorf("host %s has a newer certificate than that of %s", host, validFrom)
	}
	return nil
}
