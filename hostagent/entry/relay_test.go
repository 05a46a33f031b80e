package entry

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/pki"
	"sluice/store"
)

// hosts are certificates of a cluster's hosts.
type hosts struct {
	dir string
	a   *pki.Authority
}

func newHosts(t *testing.T) *hosts {
	t.Helper()
	h := &hosts{dir: t.TempDir()}
	var err error
	if h.a, err = pki.CreateAuthority(h.dir); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hosts) of(t *testing.T, who pki.Identity) *pki.Source {
	t.Helper()
	var names []string
	if who.Role == pki.RoleController {
		names = []string{"127.0.0.1"}
	}
	if err := h.a.Issue(h.dir, who, names, time.Hour); err != nil {
		t.Fatal(err)
	}
	s, err := pki.Open(h.dir, who, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// echo is a container that gives back what it gets, with a greeting before and a word after it.
func echo(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, "hello")
				_, _ = io.Copy(conn, conn)
				fmt.Fprintln(conn, "end")
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

// relaying is a gateway host h1 that relays for whom it believes.
func relaying(t *testing.T, of *pki.Source, table *Table, believes func(host string) error) netip.AddrPort {
	t.Helper()
	return relayingAs(t, "h1", of, table, believes)
}

// relayingAs is such a host of another name.
func relayingAs(t *testing.T, host string, of *pki.Source, table *Table, believes func(host string) error) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Table: table, Reach: &Reach{Host: host}, Config: of.Server(tls.RequireAndVerifyClientCert), Log: quiet,
		Host: func(ctx context.Context, conn *tls.Conn) (string, error) {
			if err := conn.HandshakeContext(ctx); err != nil {
				return "", err
			}
			who, err := pki.Of(conn.ConnectionState().PeerCertificates[0])
			return who.Name, errors.Join(err, believes(who.Name))
		}}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- r.Serve(ctx, l) }()
	t.Cleanup(func() {
		end()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestRelay(t *testing.T) {
	cluster, others := newHosts(t), newHosts(t)
	h1, h2, h3 := cluster.of(t, pki.Host("h1")), cluster.of(t, pki.Host("h2")), cluster.of(t, pki.Host("h3"))
	table := NewTable()
	r := Route{Tenant: "alice", Name: "w", Created: 7, Gateway: "h1", Target: echo(t), Route: store.Route{Host: "alice.example", Path: "/"}}
	other := r
	other.Name, other.Created = "other", 8
	table.Set([]Route{r, other})
	r.Relay = relaying(t, h1, table, func(host string) error {
		if host == "h3" {
			return errors.New("it was deleted")
		}
		return nil
	})
	for name, tc := range map[string]struct {
		as     *pki.Source
		change func(*Route)
		why    string
	}{
		"a host":                     {h2, func(*Route) {}, ""},
		"a host of another cluster":  {others.of(t, pki.Host("h2")), func(*Route) {}, "certificate"},
		"a host that was deleted":    {h3, func(*Route) {}, "EOF"},
		"another's certificate":      {h2, func(r *Route) { r.Gateway = "h9" }, "the certificate is of host:h1, not of host:h9"},
		"a publication before":       {h2, func(r *Route) { r.Created = 6 }, "nothing is published there any more: alice/w"},
		"a publication that is none": {h2, func(r *Route) { r.Name = "x" }, "nothing is published there any more: alice/x"},
		"several words":              {h2, func(r *Route) { r.Name = "w 7 x" }, "does not say what to relay"},
		"no end":                     {h2, func(r *Route) { r.Name = strings.Repeat("x", 600) }, "buffer full"},
		"nowhere":                    {h2, func(r *Route) { r.Relay = netip.AddrPort{} }, "relays nothing"},
		"no gateway host":            {h2, func(r *Route) { r.Gateway = "" }, "has no gateway host"},
	} {
		to := r
		tc.change(&to)
		conn, err := (&Reach{Host: "h2", Believe: tc.as.ClientOfHost}).Open(t.Context(), to)
		switch {
		case tc.why == "" && err != nil, tc.why != "" && (err == nil || !strings.Contains(err.Error(), tc.why)):
			t.Errorf("%s: %v, want %q", name, err, tc.why)
		case err != nil && !errors.Is(err, errNotReached):
			t.Errorf("%s: %v is not said to be unreached", name, err)
		case err == nil:
			both(t, conn)
		}
	}
	stays(t, table, &Reach{Host: "h2", Believe: h2.ClientOfHost}, r, other)
}

// both: each direction ends by itself.
func both(t *testing.T, conn net.Conn) {
	t.Helper()
	defer conn.Close()
	fmt.Fprint(conn, "ab\n")
	if c, ok := conn.(*through).Conn.(halfCloser); !ok || c.CloseWrite() != nil {
		t.Error("one direction cannot end")
	}
	if b, err := io.ReadAll(conn); err != nil || string(b) != "hello\nab\nend\n" {
		t.Errorf("the container says %q, %v", b, err)
	}
}

// stays: what is relayed ends with its publication, and with no other's.
func stays(t *testing.T, table *Table, reach *Reach, goes, other Route) {
	t.Helper()
	other.Relay = goes.Relay
	var conns []net.Conn
	for _, r := range []Route{goes, other} {
		conn, err := reach.Open(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	table.Set([]Route{other})
	if _, err := io.ReadAll(conns[0]); err == nil {
		t.Error("what is relayed for a publication that ended looks whole")
	}
	fmt.Fprint(conns[1], "on\n")
	lines := bufio.NewReader(conns[1])
	for _, want := range []string{"hello\n", "on\n"} {
		if line, err := lines.ReadString('\n'); line != want || err != nil {
			t.Errorf("another publication's says %q, %v", line, err)
		}
	}
}

// From its own kernel a host dials as itself, and what does not answer is said to be unreached.
func TestOwnKernel(t *testing.T) {
	r := Route{Tenant: "alice", Name: "w", Gateway: "h1", Target: echo(t)}
	conn, err := (&Reach{Host: "h1", From: netip.MustParseAddr("127.0.0.9")}).Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if from := conn.LocalAddr().String(); !strings.HasPrefix(from, "127.0.0.9:") {
		t.Errorf("it dials as %s", from)
	}
	r.Target = netip.MustParseAddrPort("127.0.0.1:1")
	if _, err := (&Reach{Host: "h1"}).Open(t.Context(), r); !errors.Is(err, errNotReached) {
		t.Errorf("a closed port: %v", err)
	}
}
