package datapath_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sluice/datapath"
	"sluice/datapath/ovsdb"
	"sluice/datapath/ovstest"
	"sluice/pki"
)

func dialDatabase(t *testing.T, ovs *ovstest.OVS) *ovsdb.DB {
	t.Helper()
	db, err := ovsdb.Dial(deadline(t), ovs.Endpoint(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// ensureSwitch gives the switch a certificate and one controller.
func ensureSwitch(t *testing.T, db *ovsdb.DB, s *pki.Source, target string) {
	t.Helper()
	if _, err := db.EnsureSSL(deadline(t), ovsdb.SSL{PrivateKey: s.File(), Certificate: s.File(), Authority: s.AuthorityFile()}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.EnsureBridge(deadline(t), controlled(target)); err != nil {
		t.Fatal(err)
	}
}

func controlled(target string) ovsdb.Bridge {
	return ovsdb.Bridge{Name: "br-test", DatapathType: "netdev", Controllers: []string{target}}
}

// TestStepToTLS: a switch that dials in the clear is told to use TLS. It keeps its old controller
// until the new one answers, and all its flows.
func TestStepToTLS(t *testing.T) {
	ovs := ovstest.Start(t)
	db := dialDatabase(t, ovs)
	_, issue := authority(t)
	plain, plainAt := ovs.ListenTCP()
	secure, secureAt := ovs.ListenTCP()
	h1 := issue(pki.Host("h1"))
	before := serve(t, plain, datapath.Options{Log: testLog(t)})
	ensureSwitch(t, db, h1, "tcp:"+plainAt)
	old := before.next(t)
	ovs.OFCtl("add-flow", "br-test", "cookie=0x7,priority=5,actions=drop")

	ensureSwitch(t, db, h1, "ssl:"+secureAt)
	if _, err := old.Ports(deadline(t)); err != nil { // nobody serves at the new one yet
		t.Errorf("the old controller was dropped before the new one came: %v", err)
	}
	if targets := strings.Fields(ovs.VSCtl("get-controller", "br-test")); len(targets) != 2 {
		t.Errorf("the switch dials %v, want both", targets)
	}
	after := serve(t, secure, datapath.Options{Log: testLog(t), TLS: issue(pki.Controller("c1")).Server(tls.RequireAndVerifyClientCert)})
	after.next(t)
	awaitUnlike(t, db, controlled("ssl:"+secureAt))
	ensureSwitch(t, db, h1, "ssl:"+secureAt)
	if targets := ovs.VSCtl("get-controller", "br-test"); targets != "ssl:"+secureAt+"\n" {
		t.Errorf("the switch dials %q", targets)
	}
	if flows := ovs.OFCtl("dump-flows", "br-test"); !strings.Contains(flows, "cookie=0x7") {
		t.Errorf("the flow is gone:\n%s", flows)
	}
}

// awaitUnlike waits until there is something to do to make the bridge what want asks for.
func awaitUnlike(t *testing.T, db *ovsdb.DB, want ovsdb.Bridge) {
	t.Helper()
	for ctx := deadline(t); ; {
		is, err := db.Bridge(ctx, want.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !is.Is(want) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestRenewalKeepsSession: a session goes on while the certificate of its switch is renewed, and the
// switch shows the new one when it dials again.
func TestRenewalKeepsSession(t *testing.T) {
	ovs := ovstest.Start(t)
	db := dialDatabase(t, ovs)
	dir, issue := authority(t)
	h1, c1 := issue(pki.Host("h1")), issue(pki.Controller("c1"))
	l, at := ovs.ListenTCP()
	c := serve(t, l, datapath.Options{Log: testLog(t), TLS: c1.Server(tls.RequireAndVerifyClientCert)})
	ensureSwitch(t, db, h1, "ssl:"+at)
	a, err := pki.OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := c.next(t)
	for range 2 {
		shown := s.Certificate()
		for _, source := range []*pki.Source{h1, c1} {
			err := source.Renew(t.Context(), func(_ context.Context, request []byte) ([]byte, error) {
				return a.Sign(request, source.Identity(), nil, pki.Lifetime)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if shown.Equal(h1.Certificate()) {
			t.Fatal("nothing was renewed")
		}
		if _, err := s.Ports(deadline(t)); err != nil {
			t.Errorf("the session ended by a renewal: %v", err)
		}
		s.Close(nil)
		s = c.next(t)
		if got, want := s.Certificate().SerialNumber, h1.Certificate().SerialNumber; got.Cmp(want) != 0 {
			t.Errorf("the switch dialled again with certificate %s, want %s", got, want)
		}
	}
}
