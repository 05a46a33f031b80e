package controller_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller"
	"sluice/datapath/fake"
	"sluice/pki"
	"sluice/store"
)

// TestImpostor: whoever has another host's certificate and says h1's datapath id gets none of h1's
// flows and does not end its session; people are told, and it is counted.
func TestImpostor(t *testing.T) {
	b := newBench(t)
	dir := t.TempDir()
	authority, err := pki.CreateAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(who pki.Identity) *pki.Source {
		t.Helper()
		if err := authority.Issue(dir, who, nil, pki.Lifetime); err != nil {
			t.Fatal(err)
		}
		s, err := pki.Open(dir, who, b.log)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	own, c1 := issue(pki.Host(h1)), issue(pki.Controller("c1"))
	l, at := b.ovs.ListenTCP()
	c := b.startWith("c1", "c1.sock", func(o *controller.Options) {
		o.OpenFlow, o.Session.TLS, o.Identity = l, c1.Server(tls.RequireAndVerifyClientCert), c1
	})
	if got, want := c.count(t, "sluice_certificate_expires_timestamp_seconds"), float64(c1.Certificate().NotAfter.Unix()); got != want {
		t.Errorf("the certificate ends at %f, want %f", got, want)
	}
	b.ovs.VSCtl("set-ssl", own.File(), own.File(), own.AuthorityFile())
	b.bridge("ssl:" + at)
	b.register()
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	before := b.dump()

	n := 0.0
	for _, thief := range []*pki.Source{issue(pki.Host("h2")), issue(pki.Person("eve")), issue(pki.Controller("c2"))} {
		n++
		sw := fake.New(uint64(datapathID))
		if err := sw.Serve(b.ctx, tls.Client(b.ovs.Dial(at), thief.Client())); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("%s: %v", thief.Identity(), err) // how it ends does not matter
		}
		if sw.Counts().Mods() > 0 {
			t.Errorf("%s got %d of h1's flows", thief.Identity(), sw.Counts().Mods())
		}
		if got := c.count(t, "sluice_impostors_total", "host=h1"); got != n {
			t.Errorf("%s: %v impostors are counted, want %v", thief.Identity(), got, n)
		}
		told := c.Problems()
		if len(told) != 1 || told[0].Object != "hosts/h1" || !strings.Contains(told[0].Text, thief.Identity().String()) {
			t.Errorf("%s: problems are %v", thief.Identity(), told)
		}
	}
	b.showsWhom(c, at, issue(pki.Host("h2")))
	b.realized(b.port("alice", "a2", "bbbbbbbbbbbb", true)) // h1's own switch has it

	// A copy of h1's certificate is of no use once h1 has joined anew.
	anew := &store.Enrolment{NotBefore: own.Certificate().NotBefore.Add(time.Second)}
	rev, err := b.store.PutIf(b.ctx, store.EnrolmentKey(h1), anew, 0, 0)
	if err == nil {
		err = c.Await(b.ctx, rev)
	}
	if err != nil {
		t.Fatal(err)
	}
	sw := fake.New(uint64(datapathID))
	_ = sw.Serve(b.ctx, tls.Client(b.ovs.Dial(at), own.Client()))
	if sw.Counts().Mods() > 0 || c.count(t, "sluice_impostors_total", "host=h1") != n+1 {
		t.Errorf("with an older certificate it got %d flows", sw.Counts().Mods())
	}
	if c.count(t, "sluice_openflow_sessions") != 1 {
		t.Error("not one session")
	}
	for _, flow := range before {
		if !strings.Contains(strings.Join(b.dump(), "\n"), flow) {
			t.Errorf("h1 lost %s", cmp.Diff(flow, ""))
		}
	}
}

// showsWhom: of a switch that no host has people are told whose certificate it shows.
func (b *bench) showsWhom(c *running, at string, thief *pki.Source) {
	b.t.Helper()
	const nobodys = store.DatapathID(0xbad)
	ctx, hangUp := context.WithCancel(b.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = fake.New(uint64(nobodys)).Serve(ctx, tls.Client(b.ovs.Dial(at), thief.Client()))
	}()
	b.eventually("it is said whose certificate an unknown switch shows", func() bool {
		return c.Unknown().UnknownShows[nobodys] == "the certificate of "+thief.Identity().String()
	})
	hangUp()
	<-ended
}
