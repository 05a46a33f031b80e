package entry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/pki"
	"sluice/store"
)

// mute is where connections open and nobody says a word, as at a host that has just lost its power.
func mute(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return netip.MustParseAddrPort(l.Addr().String())
}

// probes are what a host's probes say of others, and how often they were asked.
type probes struct {
	found atomic.Bool
	asked atomic.Int32
}

func (p *probes) dead(string) bool {
	p.asked.Add(1)
	return p.found.Load()
}

// failing is a route of h1 with the backup h2, which relays, and from where h3 goes there.
func failing(t *testing.T) (r Route, from *Reach, p *probes) {
	t.Helper()
	cluster, table := newHosts(t), NewTable()
	h2, h3 := cluster.of(t, pki.Host("h2")), cluster.of(t, pki.Host("h3"))
	r = Route{Tenant: "alice", Name: "w", Created: 7, Gateway: "h1", Relay: mute(t), Target: mute(t), Backup: "h2", BackupTarget: echo(t), Route: store.Route{Host: "alice.example", Path: "/"}}
	table.Set([]Route{r})
	r.BackupRelay = relayingAs(t, "h2", h2, table, func(string) error { return nil })
	p = &probes{}
	return r, &Reach{Host: "h3", Believe: h3.ClientOfHost, Dead: p.dead}, p
}

// What a dead gateway host would carry goes by the relay of its backup, which knows the container by its own address.
func TestBackupIsReached(t *testing.T) {
	r, from, p := failing(t)
	for what, tt := range map[string]struct {
		before, after bool // found dead: when it begins, once it has waited
		dead          func(string) bool
	}{
		"it was found dead":                     {true, true, p.dead},
		"it is found dead meanwhile":            {false, true, p.dead},
		"nobody probes it, and it says no word": {},
		"its probes are late":                   {false, false, p.dead},
	} {
		p.found.Store(tt.before)
		p.asked.Store(0)
		reach := &Reach{Host: from.Host, Believe: from.Believe, Dead: tt.dead}
		if tt.before != tt.after {
			go func() {
				for p.asked.Load() == 0 {
					time.Sleep(time.Millisecond)
				}
				p.found.Store(tt.after)
			}()
		}
		conn, err := reach.Open(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		c, ok := conn.(*lent)
		if !ok || c.from != "h1" {
			t.Fatalf("%s: the connection is %T", what, conn)
		}
		both(t, c.Conn)
	}
}

// A gateway host that answers is alive: what it refuses nobody else is asked for. Nor is anybody where this host is the gateway host.
func TestBackupIsNotAskedInstead(t *testing.T) {
	r, from, p := failing(t)
	closed := netip.MustParseAddrPort("127.0.0.1:1")
	r.Relay = closed
	conn, err := from.Open(t.Context(), r)
	if err == nil || !errors.Is(err, errNotReached) || strings.Contains(err.Error(), "backup") {
		t.Errorf("a host that refuses: %v, %v", conn, err)
	}
	own, at := &Reach{Host: "h1", Dead: p.dead}, r
	at.Target = closed
	p.found.Store(true)
	if conn, err := own.Open(t.Context(), at); err == nil || strings.Contains(err.Error(), "backup") {
		t.Errorf("at the gateway host itself: %v, %v", conn, err)
	}
	r.Relay, r.BackupRelay = mute(t), closed
	if conn, err := from.Open(t.Context(), r); err == nil || !errors.Is(err, errNotReached) || !strings.Contains(err.Error(), "find it dead; by its backup") {
		t.Errorf("where both are dead: %v, %v", conn, err)
	}
}

// The entry of the backup goes by its own kernel.
func TestEntryOfBackup(t *testing.T) {
	r, _, p := failing(t)
	p.found.Store(true)
	conn, err := (&Reach{Host: "h2", From: netip.MustParseAddr("127.0.0.9"), Dead: p.dead}).Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if from := conn.LocalAddr().String(); !strings.HasPrefix(from, "127.0.0.9:") {
		t.Errorf("it dials as %s", from)
	}
}

// A connection by a backup ends once the gateway host is alive again: answers go there then. It goes on where the backup became the
// gateway host, and while the gateway host stays dead.
func TestBackupIsTakenBack(t *testing.T) {
	for what, tt := range map[string]struct {
		then func(*Table, Route, *probes)
		ends bool
	}{
		"it is alive again": {func(_ *Table, _ Route, p *probes) { p.found.Store(false) }, true},
		"its backup took over": {func(table *Table, r Route, p *probes) {
			next := r
			next.Gateway = "h2"
			table.Set([]Route{next})
			p.found.Store(false)
		}, false},
		"it stays dead": {func(*Table, Route, *probes) {}, false},
	} {
		r, from, p := failing(t)
		table := NewTable()
		table.Set([]Route{r})
		p.found.Store(true)
		e := New(Options{Table: table, Log: quiet, Reach: from.Open, Dead: p.dead})
		conn, err := e.dial(t.Context(), "tcp", net.JoinHostPort(r.way(), "80"))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		tt.then(table, r, p)
		if tt.ends {
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(conn); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: it says %q, %v", what, b, err)
			}
		} else {
			goesOn(t, what, conn)
		}
		conn.Close()
	}
}

// goesOn looks whether a container answers by a connection.
func goesOn(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	time.Sleep(2 * deadInterval) // what ends it would have by then
	if _, err := io.WriteString(conn, "on\n"); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	b := make([]byte, len("hello\non\n"))
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "hello\non\n" {
		t.Errorf("%s: it says %q, %v", what, b, err)
	}
}

func TestRouteByItsBackup(t *testing.T) {
	r := Route{Gateway: "h1", Relay: mute(t), Target: mute(t), Backup: "h2", BackupRelay: mute(t), BackupTarget: mute(t)}
	for host, want := range map[string]Route{
		"":   r,
		"h1": r,
		"h3": r,
		"h2": {Gateway: "h2", Relay: r.BackupRelay, Target: r.BackupTarget, Backup: "h2", BackupRelay: r.BackupRelay, BackupTarget: r.BackupTarget},
	} {
		if got := r.by(host); got != want {
			t.Errorf("by %q: %+v", host, got)
		}
	}
}
