package enrol_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/flows"
	"sluice/pki"
	"sluice/store"
	"sluice/store/etcd"
)

// Which addresses and numbers are taken stands under no host's name: a thief of a host's certificate
// can delete and overwrite all of it. No flow of any host changes by that, and who gets a value that
// another object has already is not programmed: it is told on the younger of the two.
func TestStolenHostTakesWhatIsTaken(t *testing.T) {
	w := newWorld(t)
	hosts := []string{"h1", "h2"}
	agents := map[string]*etcd.Client{}
	sources := map[string]*pki.Source{}
	for n, host := range hosts {
		_, err := w.office.Admit(w.ctx, host, "alice")
		w.must(err)
		sources[host] = w.source(pki.Host(host))
		agents[host], err = w.connect(sources[host])
		w.must(err)
		r, err := agents[host].RegisterHost(w.ctx, host, store.Host{
			Incarnation: host, DatapathID: store.DatapathID(n + 1), VTEPs: []netip.Addr{netip.MustParseAddr(fmt.Sprint("192.0.2.", n+1))}, Encap: "vxlan", UnderlayMTU: 1500,
		})
		w.must(err)
		t.Cleanup(func() { r.Close() })
	}
	for _, tenant := range []string{"alice", "bob"} {
		_, err := w.store.CreateTenant(w.ctx, store.TenantSpec{Name: tenant})
		w.must(err)
		for n, host := range hosts {
			w.port(agents[host], host, tenant, []string{"a", "b"}[n], "")
		}
	}
	victim := w.port(agents["h2"], "h2", "alice", "victim", "10.0.0.77")
	w.must(w.picture.Await(w.ctx, victim.Created))
	before := w.flows(hosts)

	thief := w.raw(sources["h1"])
	taken, err := thief.Get(w.ctx, store.Under(store.KindAlloc), clientv3.WithPrefix())
	w.must(err)
	if len(taken.Kvs) < 10 {
		t.Fatalf("only %d values are taken", len(taken.Kvs))
	}
	w.overwrite(thief, taken, `{"owner":"ports/h1/alice/default/mine"}`)
	w.destroy(thief, taken)
	// The picture passes these keys by: it is up to date when it has what was written after them.
	after, err := w.store.PutIf(w.ctx, store.InvitationKey("later"), &store.Invitation{}, 0, 0)
	w.must(err)
	w.must(w.picture.Await(w.ctx, after))
	if diff := cmp.Diff(before, w.flows(hosts)); diff != "" {
		t.Errorf("flows changed (-before +after):\n%s", diff)
	}
	w.restored(thief, taken)
	w.overwrite(thief, taken, "{}")
	w.restored(thief, taken)
	w.destroy(thief, taken)

	younger := w.port(agents["h1"], "h1", "alice", "younger", "10.0.0.77")
	w.must(w.picture.Await(w.ctx, younger.Created))
	now := w.flows(hosts)
	for host, list := range before {
		for _, f := range list {
			if !slices.Contains(now[host], f) && strings.Contains(f, "10.0.0.77") {
				t.Errorf("%s lost %s", host, f)
			}
		}
	}
	w.picture.View(func(s *store.State) {
		if p := s.ContestedPort(s.Port(younger.Key)); len(p) == 0 {
			t.Error("nobody says that the younger port has the victim's address")
		}
		if holder := s.PortAt(victim.Key.NetworkName(), netip.MustParseAddr("10.0.0.77")); holder.Key != victim.Key {
			t.Errorf("%s has the victim's address", holder.Key)
		}
	})
}

// overwrite writes every value that is taken, and destroy deletes it. The numbers of tenants and networks, and
// VLAN ids, are the controllers' alone: a host is refused.
func (w *world) overwrite(thief *clientv3.Client, taken *clientv3.GetResponse, value string) {
	w.Helper()
	w.eachTaken(taken, func(key string) error {
		_, err := thief.Put(w.ctx, key, value)
		return err
	})
}

func (w *world) destroy(thief *clientv3.Client, taken *clientv3.GetResponse) {
	w.Helper()
	w.eachTaken(taken, func(key string) error {
		_, err := thief.Delete(w.ctx, key)
		return err
	})
}

func (w *world) eachTaken(taken *clientv3.GetResponse, do func(key string) error) {
	w.Helper()
	refused := 0
	for _, kv := range taken.Kvs {
		dir, _, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), store.Under(store.KindAlloc)), "/")
		forbidden := slices.Contains([]string{"tenant-numbers", "network-numbers", "vlans"}, dir)
		err := do(string(kv.Key))
		if forbidden != errors.Is(err, rpctypes.ErrPermissionDenied) || !forbidden && err != nil {
			w.Errorf("%s: %v", kv.Key, err)
		}
		if forbidden {
			refused++
		}
	}
	if refused == 0 || refused == len(taken.Kvs) {
		w.Errorf("of %d values %d are the controllers'", len(taken.Kvs), refused)
	}
}

// restored does what the leader does where it finds that objects lack what they took, and compares
// with how it was before the theft.
func (w *world) restored(c *clientv3.Client, before *clientv3.GetResponse) {
	w.Helper()
	var objects []store.Event
	for _, kind := range []store.Kind{store.KindTenant, store.KindNetwork, store.KindHost, store.KindPort} {
		list, _, err := w.store.List(w.ctx, kind)
		w.must(err)
		objects = append(objects, list...)
	}
	_, err := w.store.RestoreTaken(w.ctx, objects)
	w.must(err)
	after, err := c.Get(w.ctx, store.Under(store.KindAlloc), clientv3.WithPrefix())
	w.must(err)
	text := func(r *clientv3.GetResponse) (all []string) {
		for _, kv := range r.Kvs {
			all = append(all, string(kv.Key)+" "+string(kv.Value))
		}
		return all
	}
	if diff := cmp.Diff(text(before), text(after)); diff != "" {
		w.Errorf("the leader did not write anew what is taken (-before +after):\n%s", diff)
	}
}

// port creates a port; ip may be empty.
func (w *world) port(c *etcd.Client, host, tenant, name, ip string) store.Item[store.Port] {
	w.Helper()
	spec := store.PortSpec{Host: host, Tenant: tenant, Network: store.DefaultNetwork, Name: name, UID: (tenant + name + "aaaaaaaaaaaa")[:store.UIDLength]}
	if ip != "" {
		spec.Addresses = []netip.Addr{netip.MustParseAddr(ip)}
	}
	p, err := c.CreatePort(w.ctx, spec)
	w.must(err)
	return p
}

// flows are the desired flows of each host, as text.
func (w *world) flows(hosts []string) map[string][]string {
	all := map[string][]string{}
	w.picture.View(func(s *store.State) {
		for _, host := range hosts {
			sw := flows.Switch{Host: host, OFPort: map[string]uint32{store.TunnelInterface: 1, store.GatewayInterface: 2}}
			for p := range allPorts(s) {
				if p.Key.Host == host {
					sw.OFPort[p.Value.Interface] = p.Value.Number
				}
			}
			list, _ := flows.Desired(s, sw)
			for i := range list {
				all[host] = append(all[host], list[i].String())
			}
			slices.Sort(all[host])
		}
	})
	return all
}

func allPorts(s *store.State) func(func(*store.Item[store.Port]) bool) {
	return func(yield func(*store.Item[store.Port]) bool) {
		for t := range s.Tenants() {
			for p := range s.PortsOf(store.NetworkName{Tenant: t.Key.Tenant, Network: store.DefaultNetwork}) {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// raw is etcd's own client, with which a thief can ask for anything.
func (w *world) raw(s *pki.Source) *clientv3.Client {
	w.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: w.server.Endpoints(), TLS: s.Client(), Logger: zap.NewNop()})
	w.must(err)
	w.Cleanup(func() { c.Close() })
	return c
}
