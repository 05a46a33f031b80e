package controller_test

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
	"sluice/store/etcd/freeport"
)

// place is where first one etcd serves the bench and then another.
type place struct {
	b            *bench
	client, peer string
}

// newPlace gives the bench an etcd that can be swapped for that of another directory.
func newPlace(b *bench, dir string) place {
	b.t.Helper()
	p := place{b, freeport.URL(b.t), freeport.URL(b.t)}
	p.serve(dir)
	b.store = etcdtest.Connect(b.t, b.server)
	return p
}

func (p place) serve(dir string) {
	p.b.t.Helper()
	p.b.server.Close()
	server, err := etcd.StartEmbedded(p.b.ctx, etcd.EmbedOptions{
		Name: "sluice-test", Dir: dir, ClientURL: p.client, PeerURL: p.peer, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		p.b.t.Fatal(err)
	}
	p.b.server = server
	p.b.t.Cleanup(server.Close)
}

// foreign is the directory of another cluster's store, which has a host h1 with the switch of ours, and
// no port of it.
func (p place) foreign() string {
	p.b.t.Helper()
	dir := p.b.t.TempDir()
	p.serve(dir)
	c := etcdtest.Connect(p.b.t, p.b.server)
	_, err := c.Trust(etcd.TrustOptions{File: p.b.t.TempDir() + "/store.json", Founds: true,
		Decide: func(context.Context, *etcd.Client, store.Sight, store.Judgement) (bool, error) { return true, nil }})
	if err == nil {
		_, err = c.CreateTenant(p.b.ctx, store.TenantSpec{Name: "eve", Subnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}})
	}
	if err == nil {
		_, err = c.RegisterHost(p.b.ctx, h1, store.Host{
			Incarnation: "foreign", DatapathID: datapathID, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.9")}, Encap: "vxlan", UnderlayMTU: 1500,
		})
	}
	if err != nil {
		p.b.t.Fatal(err)
	}
	return dir
}

// TestEtcdIsSwapped puts other stores under a controller that runs: it holds and says so, no flow of its
// switch changes, and what somebody else changes there it mends by what it knows. With the right store back it goes on.
func TestEtcdIsSwapped(t *testing.T) {
	b := newBench(t)
	right := t.TempDir()
	p := newPlace(b, right)
	others := []struct{ name, dir string }{{"empty", t.TempDir()}, {"foreign", p.foreign()}}
	p.serve(right)
	c := b.judging("c1", "c1.sock")
	b.bridge(c.target)
	b.register()
	b.tenant("alice")
	b.realized(b.port("alice", "a1", "aaaaaaaaaaaa", true))
	b.inSync(c)
	before := b.dump()
	for n, other := range others {
		p.serve(other.dir)
		b.eventually("it holds: "+other.name, func() bool { return c.Serving().Held() && c.count(t, "sluice_store_held") == 1 })
		b.ovs.OFCtl("del-flows", store.BridgeName, "table=0")
		b.eventually("an audit mends what was deleted", func() bool { return cmp.Equal(before, b.dump()) })
		if c.Serving().Why == "" || len(c.Hosts()) != 1 {
			t.Errorf("%s: it holds since %q, and knows %d hosts", other.name, c.Serving().Why, len(c.Hosts()))
		}
		p.serve(right)
		b.eventually("it goes on after "+other.name, func() bool { return !c.Serving().Held() && c.count(t, "sluice_store_held") == 0 })
		if diff := cmp.Diff(before, b.dump()); diff != "" {
			t.Errorf("%s: flows changed (-before +after):\n%s", other.name, diff)
		}
		b.realized(b.port("alice", []string{"a2", "a3"}[n], []string{"bbbbbbbbbbbb", "cccccccccccc"}[n], true))
		b.inSync(c)
		before = b.dump()
	}
}
