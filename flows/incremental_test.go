package flows

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Incremental equals recompute: after every random batch, the flows of the slices that
// Affected marked, compiled anew, and all others as they were, are what CompileHost gives.
func TestIncrementalEqualsRecompute(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(seed)
			for step := range 120 {
				did := w.step()
				for _, host := range w.names {
					if w.state.Host(host) == nil {
						continue
					}
					if wrong := w.wrong(host); wrong != "" {
						t.Fatalf("step %d, after %v: host %s: %s", step, did, host, wrong)
					}
				}
			}
		})
	}
}

// world is a cluster with what its switches hold, slice by slice.
type world struct {
	*rand.Rand
	state     *store.State
	names     []string // of hosts, registered or not
	switches  map[string]Switch
	installed map[string]map[Slice][]of.Flow
	revision  store.Revision
}

// hostNames has two whose hashes are one: they share a slice.
var hostNames = []string{"h1", "h2", "h3", "costarring", "liquid"}

func newWorld(seed uint64) *world {
	w := &world{
		Rand: rand.New(rand.NewPCG(seed, 1)), state: store.NewState(), names: hostNames,
		switches: map[string]Switch{}, installed: map[string]map[Slice][]of.Flow{},
	}
	for _, h := range w.names {
		w.switches[h] = Switch{Host: h, OFPort: map[string]uint32{store.TunnelInterface: 1, store.GatewayInterface: 2}}
		w.resync(h)
	}
	return w
}

// resync gives a host all its flows anew, as when its switch connects.
func (w *world) resync(host string) {
	w.installed[host] = map[Slice][]of.Flow{}
	CompileHost(w.state, w.switches[host], func(f of.Flow) {
		sl := Slice(f.Cookie)
		w.installed[host][sl] = append(w.installed[host][sl], f)
	})
}

func (w *world) mark(host string, sl Slice) {
	var flows []of.Flow
	Compile(w.state, w.switches[host], sl, func(f of.Flow) { flows = append(flows, f) })
	w.installed[host][sl] = flows
}

// wrong says how a host differs from a full compile.
func (w *world) wrong(host string) string {
	var installed, desired []of.Flow
	for _, flows := range w.installed[host] {
		installed = append(installed, flows...)
	}
	CompileHost(w.state, w.switches[host], func(f of.Flow) { desired = append(desired, f) })
	for _, f := range desired {
		if err := Check(&f); err != nil {
			return err.Error()
		}
	}
	m := Diff(installed, desired)
	for what, flows := range map[string][]of.Flow{"missing": m.Add, "another's": m.Replace, "changed": m.Modify, "left over": m.Delete} {
		if len(flows) > 0 {
			return fmt.Sprintf("%s, of %s: %s", what, Owner(w.state, flows[0].Cookie), &flows[0])
		}
	}
	known := map[Slice]bool{}
	Slices(w.state, host, func(sl Slice) { known[sl] = true })
	for _, f := range desired {
		if !known[Slice(f.Cookie)] {
			return fmt.Sprintf("Slices lacks that of %s", &f)
		}
	}
	return ""
}

// step applies one random batch, or lets an OpenFlow port come or go.
func (w *world) step() []string {
	if w.IntN(6) == 0 {
		return []string{w.portComesOrGoes()}
	}
	w.revision++
	b := store.Batch{Revision: w.revision}
	var did []string
	for range 1 + w.IntN(3) {
		e := w.event()
		e.Created, e.Modified = w.created(e.Key), w.revision
		b.Events = append(b.Events, e)
		did = append(did, fmt.Sprintf("%s=%+v", e.Key, e.Object))
	}
	registered := map[string]bool{}
	for _, h := range w.names {
		registered[h] = w.state.Host(h) != nil
	}
	for _, c := range w.state.Apply(b) {
		Affected(w.state, c, w.mark)
	}
	for _, h := range w.names {
		if !registered[h] && w.state.Host(h) != nil {
			w.resync(h)
		}
	}
	return did
}

// created is the create revision that an event of a key has: as a rule the object's, now
// and then a new one, as of an object that was deleted and made again between two batches.
func (w *world) created(key store.Key) store.Revision {
	created := store.Revision(0)
	switch key.Kind {
	case store.KindTenant:
		created = createdOf(w.state.Tenant(key.Tenant))
	case store.KindNetwork:
		created = createdOf(w.state.Network(key.NetworkName()))
	case store.KindPort:
		created = createdOf(w.state.Port(key))
	}
	if created == 0 || w.IntN(4) == 0 {
		return w.revision
	}
	return created
}

func createdOf[T any](i *store.Item[T]) store.Revision {
	if i == nil {
		return 0
	}
	return i.Created
}

func (w *world) portComesOrGoes() string {
	host := w.names[w.IntN(len(w.names))]
	iface := iface(w.tenant(), w.network(), w.IntN(3), w.IntN(2))
	if w.IntN(8) == 0 {
		iface = []string{store.TunnelInterface, store.GatewayInterface}[w.IntN(2)]
	}
	ports := w.switches[host].OFPort
	if ports[iface] != 0 && w.IntN(2) == 0 {
		delete(ports, iface)
	} else {
		ports[iface] = 10 + uint32(w.IntN(1000))
	}
	if AffectedPort(w.state, host, iface, func(sl Slice) { w.mark(host, sl) }) {
		w.resync(host)
	}
	return fmt.Sprintf("%s: %s at %d", host, iface, ports[iface])
}

// event is a random put or delete. Numbers, MACs and addresses collide now and then, and
// nothing asks whether a parent exists: a hand edit does not ask either.
func (w *world) event() store.Event {
	tenant, network, port := w.tenant(), w.network(), w.IntN(3)
	host := w.names[w.IntN(len(w.names))]
	e := store.Event{}
	switch w.IntN(12) {
	case 0:
		e = store.Event{Key: store.TenantKey(tenant), Object: &store.Tenant{Number: 1 + w.Uint32N(4), Hosts: w.allowed()}}
	case 1, 2:
		e = store.Event{Key: store.NetworkKey(tenant, network), Object: w.segment(network)}
	case 3, 4:
		e = store.Event{Key: store.HostKey(host), Object: w.host(host)}
	case 5, 6:
		e = store.Event{Key: store.GatewayKey(tenant), Object: w.gateway()}
	default:
		e = store.Event{Key: store.PortKey(host, tenant, network, fmt.Sprint("p", port)),
			Object: w.port(network, w.iface(tenant, network, port))}
	}
	if w.IntN(4) == 0 {
		e.Object = nil
	}
	return e
}

func (w *world) tenant() string  { return []string{"alice", "bob", "carol"}[w.IntN(3)] }
func (w *world) network() string { return []string{"default", "db"}[w.IntN(2)] }

// allowed are the hosts that a tenant may use: as a rule none are named, which is all.
func (w *world) allowed() []string {
	if w.IntN(3) > 0 {
		return nil
	}
	return w.names[:1+w.IntN(len(w.names))]
}

// iface is one of two interface names that a port has in its life.
func iface(tenant, network string, port, life int) string {
	return fmt.Sprintf("sl-%s%s%d%d", tenant[:1], network[:2], port, life)
}

// iface is a port's interface, now and then another tenant's.
func (w *world) iface(tenant, network string, port int) string {
	if w.IntN(8) == 0 {
		tenant = w.tenant()
	}
	return iface(tenant, network, port, w.IntN(2))
}

// third is the third byte of a network's addresses: subnets of a tenant do not overlap.
func third(network string) byte { return network[1] }

func (w *world) segment(network string) *store.Network {
	v := &store.Network{Number: 10 + w.Uint32N(8), Flood: store.FloodAuto, Segmentation: store.SegmentationTunnel,
		Subnets: []store.Subnet{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, third(network)}), 24),
			Gateway: netip.AddrFrom4([4]byte{10, 0, third(network), byte(9 + w.IntN(3))})}}}
	if w.IntN(2) == 0 {
		v.Segmentation, v.Segment = store.SegmentationVLAN, 100+w.Uint32N(4)
	}
	return v
}

func (w *world) host(name string) *store.Host {
	v := &store.Host{Infrastructure: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(w.IntN(3))}), 16)}}
	if w.IntN(5) > 0 {
		v.VTEPs = []netip.Addr{netip.AddrFrom4([4]byte{172, 30, byte(w.IntN(2)), name[1]})}
	}
	return v
}

func (w *world) gateway() *store.Gateway {
	g := &store.Gateway{Active: w.names[w.IntN(len(w.names))], Epoch: w.Uint64N(3)}
	for range w.IntN(3) {
		g.Draining = append(g.Draining, w.names[w.IntN(len(w.names))])
	}
	return g
}

func (w *world) port(network, iface string) *store.Port {
	n := byte(w.IntN(9))
	return &store.Port{Number: 1 + w.Uint32N(16), MAC: store.MAC{2, 0, 0, 0, 0, n}, Interface: iface,
		Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, third(network), 10 + n}), 24)},
		Labels:    store.Labels{"n": fmt.Sprint(w.IntN(3))}}
}

// Hosts whose names have one hash are peers in one slice, which is compiled for both.
func TestHostsOfOneHash(t *testing.T) {
	s := store.NewState()
	for i, name := range hostNames {
		put(s, store.HostKey(name), &store.Host{VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(i)})}})
	}
	if peerSlice("costarring") != peerSlice("liquid") {
		t.Fatal("their hashes differ")
	}
	for host, want := range map[string]int{"h1": 4, "liquid": 2} { // a frame taken and an address closed for each peer
		n := 0
		Compile(s, switchOf(s, host), peerSlice("costarring"), func(of.Flow) { n++ })
		if n != want {
			t.Errorf("%s holds %d flows of the shared slice, want %d", host, n, want)
		}
	}
}

// A port that joins a network costs a slice on each host of its tenant, and a broadcast
// list on its own, whatever else the cluster holds.
func TestPortAddCost(t *testing.T) {
	for _, span := range []int{1, 2, 10, 100} {
		s := store.NewState()
		revision := store.Revision(0)
		put := func(k store.Key, o store.Object) []store.Change {
			revision++
			return s.Apply(store.Batch{Revision: revision, Events: []store.Event{{Key: k, Object: o, Created: revision, Modified: revision}}})
		}
		port := func(tenant string, host, n int) []store.Change {
			return put(store.PortKey(fmt.Sprint("h", host), tenant, "default", fmt.Sprint("p", n)),
				&store.Port{Number: uint32(n), MAC: store.MACFromUint64(uint64(n)), Interface: fmt.Sprint("sl-", n)})
		}
		for h := range 200 {
			put(store.HostKey(fmt.Sprint("h", h)), &store.Host{VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(h)})}})
		}
		for i, tenant := range []string{"alice", "bob"} {
			put(store.TenantKey(tenant), &store.Tenant{Number: uint32(i + 1)})
			put(store.NetworkKey(tenant, "default"), &store.Network{Number: uint32(i + 1)})
		}
		for h := range span {
			port("alice", h, 1+h)
		}
		for h := range 200 {
			port("bob", h, 1000+h)
		}
		marks := map[string]int{}
		for _, c := range port("alice", 0, 5000) {
			Affected(s, c, func(host string, sl Slice) { marks[fmt.Sprint(host, sl)]++ })
		}
		if want := span + 1; len(marks) != want {
			t.Errorf("a port added to a network of %d hosts marks %d slices, want %d", span, len(marks), want)
		}
	}
}
