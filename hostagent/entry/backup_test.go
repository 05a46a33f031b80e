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

// At a gateway host whose way out is cut a connection opens by whichever host the container answers to.
func TestGatewayHostThatIsCut(t *testing.T) {
	r, _, p := failing(t)
	closed := netip.MustParseAddrPort("127.0.0.1:1")
	own := &Reach{Host: "h1", Believe: newHosts(t).of(t, pki.Host("h1")).ClientOfHost, Dead: p.dead}
	p.found.Store(true)
	r.Target, r.BackupRelay = echo(t), closed
	conn, err := own.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if c, ok := conn.(*lent); !ok || c.from != "" || !c.dead {
		t.Errorf("of a container on the host itself the connection is %+v", conn)
	}
	r.Target = closed
	if conn, err := own.Open(t.Context(), r); err == nil || !errors.Is(err, errNotReached) {
		t.Errorf("where neither answers: %v, %v", conn, err)
	}
	by, from, q := failing(t)
	q.found.Store(true)
	by.Gateway, by.Target = "h3", closed
	if conn, err = from.Open(t.Context(), by); err != nil {
		t.Fatal(err)
	}
	if c, ok := conn.(*lent); !ok || c.from != "h3" {
		t.Fatalf("of a container on another host the connection is %+v", conn)
	}
	both(t, conn.(*lent).Conn)
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

// A connection ends when its host is found dead and there is a backup that is not, since the container's answers go there. One by a backup ends once
// the gateway host is alive again. It goes on where the backup became the gateway host.
func TestUselessConnections(t *testing.T) {
	route := func(gateway, backup string) Route {
		return Route{Tenant: "alice", Name: "w", Gateway: gateway, Backup: backup, Route: store.Route{Host: "alice.example", Path: "/"}}
	}
	by := func(host, from string, dead bool) wire {
		return wire{publication: route("", "").key(), by: host, from: from, dead: dead}
	}
	for what, tt := range map[string]struct {
		is   wire
		now  Route
		dead string // hosts that are found dead
		want bool
	}{
		"all live":                               {by("h1", "", false), route("h1", "h2"), "", false},
		"its host is dead":                       {by("h1", "", false), route("h1", "h2"), "h1", true},
		"its host and the backup are":            {by("h1", "", false), route("h1", "h2"), "h1 h2", false},
		"its host is, and there is no backup":    {by("h1", "", false), route("h1", ""), "h1", false},
		"its host is, and another took over":     {by("h1", "", false), route("h2", "h3"), "h1", true},
		"its host was, and is the backup by now": {by("h1", "", false), route("h2", "h1"), "h1", false},
		"by the backup, while its host is dead":  {by("h2", "h1", true), route("h1", "h2"), "h1", false},
		"by the backup, and its host is back":    {by("h2", "h1", true), route("h1", "h2"), "", true},
		"by the backup, and nobody saw it die":   {by("h2", "h1", false), route("h1", "h2"), "", false},
		"by the backup, which took over":         {by("h2", "h1", true), route("h2", "h3"), "", false},
		"it opened while its host was dead":      {by("h1", "", true), route("h1", "h2"), "h1", false},
		"so did it, and another took over":       {by("h1", "", true), route("h2", "h3"), "h1", true},
		"of a publication that went":             {by("h1", "", false), Route{Tenant: "bob", Name: "w"}, "h1", false},
	} {
		table, w, n := NewTable(), &wires{open: map[*noted]wire{}}, &noted{}
		table.Set([]Route{tt.now})
		w.add(n, tt.is)
		dead := func(host string) bool { return strings.Contains(tt.dead, host) }
		if got := w.useless(table.now.Load(), dead); (len(got) == 1) != tt.want {
			t.Errorf("%s: %d end, want %t", what, len(got), tt.want)
		}
	}
	table, w, n := NewTable(), &wires{open: map[*noted]wire{}}, &noted{}
	table.Set([]Route{route("h1", "h2")})
	w.add(n, by("h2", "h1", false))
	w.useless(table.now.Load(), func(string) bool { return true })
	if len(w.useless(table.now.Load(), func(string) bool { return false })) != 1 {
		t.Error("one by a backup goes on when its gateway host died and came back")
	}
	if w.remove(n); len(w.open) > 0 {
		t.Errorf("left are %v", w.open)
	}
}

// An entry goes by the backup of a gateway host that is found dead, ends that connection once it is back, and ends those by a host that dies.
func TestEntryChangesOver(t *testing.T) {
	r, from, _ := failing(t)
	var dies atomic.Value
	dead := func(host string) bool { return host == dies.Load() }
	from.Dead = dead
	table := NewTable()
	e := New(Options{Table: table, Log: quiet, Reach: from.Open, Dead: dead})
	ctx, end := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() { defer close(watched); e.watch(ctx) }()
	defer func() { end(); <-watched }()
	swapped := r // the host that relays is the gateway host
	swapped.Gateway, swapped.Relay, swapped.Backup, swapped.BackupRelay = r.Backup, r.BackupRelay, r.Gateway, r.Relay
	for _, tt := range []struct {
		route       Route
		first, then string // who is dead
	}{{r, "h1", "nobody"}, {swapped, "nobody", "h2"}} {
		table.Set([]Route{tt.route})
		dies.Store(tt.first)
		conn, err := e.dial(t.Context(), "tcp", net.JoinHostPort(tt.route.way(), "80"))
		if err != nil {
			t.Fatal(err)
		}
		hello := make([]byte, len("hello\n"))
		if _, err := io.ReadFull(conn, hello); err != nil {
			t.Fatal(err)
		}
		dies.Store(tt.then)
		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); !errors.Is(err, net.ErrClosed) {
			t.Errorf("by %s, once %s is dead: %v", tt.route.Gateway, tt.then, err)
		}
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
