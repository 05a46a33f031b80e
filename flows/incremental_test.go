package flows

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	installed map[string]map[Slice]held
	revision  store.Revision
	created   map[store.Key]store.Revision // of the objects that there are
	changed   map[sliceKind]int            // how often a mark changed flows; nil: nobody counts
	ofport    uint32                       // the last one given: no two interfaces have one
}

// held is what one slice was compiled to.
type held struct {
	flows    []of.Flow
	meters   map[uint32]Meter
	problems []store.Problem
}

// hostNames has two whose hashes are one: they share a slice.
var hostNames = []string{"h1", "h2", "h3", "costarring", "liquid"}

func newWorld(seed uint64) *world {
	w := &world{
		Rand: rand.New(rand.NewPCG(seed, 1)), state: store.NewState(), names: hostNames,
		switches: map[string]Switch{}, ofport: 3, installed: map[string]map[Slice]held{}, created: map[store.Key]store.Revision{},
	}
	for _, h := range w.names {
		w.switches[h] = Switch{Host: h, OFPort: map[string]uint32{store.TunnelInterface: 1, store.GatewayInterface: 2, store.ResolverInterface: 3, "eth1": 0xe000}}
		for i, other := range w.names {
			w.switches[h].OFPort[store.ProbeInterface(other)] = 0xf000 + uint32(i)
		}
		w.resync(h)
	}
	if seed%2 == 1 {
		w.begin()
	}
	return w
}

// begin makes three tenants of whom two pairs are peered, with a port of each on a host: random events make that seldom.
func (w *world) begin() {
	tenants := []string{"alice", "bob", "carol"}
	var events []store.Event
	add := func(key store.Key, o store.Object) {
		w.created[key] = 1
		events = append(events, store.Event{Key: key, Object: o, Created: 1, Modified: 1})
	}
	for i, tenant := range tenants {
		host := w.names[i]
		add(store.HostKey(host), &store.Host{DatapathID: store.DatapathID(i + 1), Encap: "vxlan", VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 2, host[1]})}})
		add(store.TenantKey(tenant), &store.Tenant{Number: uint32(i + 1)})
		add(store.NetworkKey(tenant, tenant), &store.Network{Number: uint32(10 + i), Segmentation: store.SegmentationTunnel,
			Subnets: []store.Subnet{w.ownSubnet(tenant)}})
		p := w.port(tenant, iface(tenant, tenant, 0, 0))
		p.Number, p.Addresses = uint32(1+i), []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, third(tenant), 99}), 24)}
		add(store.PortKey(host, tenant, tenant, "p0"), p)
		w.ofport++
		w.switches[host].OFPort[p.Interface] = w.ofport
	}
	publication := store.PublicationKey("bob", "begun")
	w.created[publication] = 2 // not with its tenant
	events = append(events, store.Event{Key: publication, Created: 2, Modified: 2,
		Object: &store.Publication{TenantCreated: 1, Network: "bob", Port: "p0", Protocol: store.ProtocolTCP, First: 80, On: 80, Count: 2}})
	for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "carol"}} {
		add(store.PeeringKey(pair[0], pair[1]), &store.Peering{TenantCreated: 1, PeerCreated: 1})
		add(store.PeeringKey(pair[1], pair[0]), &store.Peering{TenantCreated: 1, PeerCreated: 1})
	}
	w.revision = 2
	Affected(w.state, w.state.Apply(store.Batch{Revision: w.revision, Events: events}), w.mark)
	for _, h := range w.names[:len(tenants)] {
		w.resync(h)
	}
}

// resync gives a host all its flows anew, as when its switch connects.
func (w *world) resync(host string) {
	w.installed[host] = map[Slice]held{}
	Slices(w.state, host, func(sl Slice) { w.mark(host, sl) })
}

func (w *world) mark(host string, sl Slice) {
	var h held
	h.problems = Compile(w.state, w.switches[host], sl, func(f of.Flow) { h.flows = append(h.flows, f) })
	h.meters = metersOf(w.state, h.flows)
	if w.changed != nil && texts(w.installed[host][sl].flows) != texts(h.flows) {
		w.changed[sl.kind()]++
	}
	w.installed[host][sl] = h
}

// wrong says how a host differs from the twin's full compile.
func (w *world) wrong(host string) string {
	var installed, desired []of.Flow
	var told []store.Problem
	meters := map[uint32]Meter{}
	for _, h := range w.installed[host] {
		installed, told = append(installed, h.flows...), append(told, h.problems...)
		maps.Copy(meters, h.meters)
	}
	problems := CompileHost(w.state, w.switches[host], func(f of.Flow) { desired = append(desired, f) })
	for _, f := range desired {
		if err := Check(&f); err != nil {
			return err.Error()
		}
	}
	if why := differ(w.state, installed, desired, told, problems); why != "" {
		return why
	}
	if diff := cmp.Diff(metersOf(w.state, desired), meters); diff != "" {
		return "meters (-want +got):\n" + diff
	}
	whole, problemsOfAll := Desired(w.state, w.switches[host])
	if why := differ(w.state, whole, desired, problemsOfAll, problems); why != "" {
		return "Desired: " + why
	}
	return ""
}

// metersOf are the meters that flows name.
func metersOf(s *store.State, list []of.Flow) map[uint32]Meter {
	meters := map[uint32]Meter{}
	for i := range list {
		if m, ok := MeterOf(s, &list[i]); ok {
			meters[m.ID] = m
		}
	}
	return meters
}

// differ says how flows and problems differ from what the twin wants, which has no match twice.
func differ(s *store.State, have, want []of.Flow, told, problems []store.Problem) string {
	m := Diff(have, want)
	for what, flows := range map[string][]of.Flow{"missing": m.Add, "another's": m.Replace, "changed": m.Modify, "left over": m.Delete} {
		if len(flows) > 0 {
			return fmt.Sprintf("%s, of %s: %s", what, Owner(s, flows[0].Cookie), &flows[0])
		}
	}
	if diff := cmp.Diff(store.Problems(problems).Told(), store.Problems(told).Told()); diff != "" {
		return "problems (-want +got):\n" + diff
	}
	for _, p := range problems {
		if strings.Contains(p.Text, " has the match of ") {
			return fmt.Sprintf("%s: %s", p.Object, p.Text)
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
		e.Created, e.Modified = w.createdAt(e), w.revision
		b.Events = append(b.Events, e)
		did = append(did, fmt.Sprintf("%s=%+v", e.Key, e.Object))
	}
	registered := map[string]bool{}
	for _, h := range w.names {
		registered[h] = w.state.Host(h) != nil
	}
	Affected(w.state, w.state.Apply(b), w.mark)
	for _, h := range w.names {
		if !registered[h] && w.state.Host(h) != nil {
			w.resync(h)
		}
	}
	return did
}

// createdAt is the create revision that an event has: as a rule the object's, now and then a
// new one, as of an object that was deleted and made again between two batches.
func (w *world) createdAt(e store.Event) store.Revision {
	created := w.created[e.Key]
	if created == 0 || w.IntN(4) == 0 {
		created = w.revision
	}
	if w.created[e.Key] = created; e.Object == nil {
		delete(w.created, e.Key)
	}
	return created
}

func (w *world) portComesOrGoes() string {
	host := w.names[w.IntN(len(w.names))]
	tenant := w.tenant()
	iface := iface(tenant, w.network(tenant), w.IntN(3), w.IntN(2))
	if w.IntN(8) == 0 {
		iface = []string{store.TunnelInterface, store.GatewayInterface, store.ResolverInterface, "eth1"}[w.IntN(4)]
	}
	ports := w.switches[host].OFPort
	if ports[iface] != 0 && w.IntN(2) == 0 {
		delete(ports, iface)
	} else {
		w.ofport++
		ports[iface] = w.ofport
	}
	if AffectedPort(w.state, host, iface, func(sl Slice) { w.mark(host, sl) }) {
		w.resync(host)
	}
	return fmt.Sprintf("%s: %s at %d", host, iface, ports[iface])
}

// event is a random put or delete. Numbers, MACs and addresses collide now and then, and
// nothing asks whether a parent exists: a hand edit does not ask either.
func (w *world) event() store.Event {
	tenant, port := w.tenant(), w.IntN(3)
	network := w.network(tenant)
	host := w.names[w.IntN(len(w.names))]
	e := store.Event{}
	if w.IntN(40) == 0 { // an edit by hand
		transit := netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(w.IntN(2))}), 16)
		return store.Event{Key: store.SettingsKey(), Object: &store.Settings{Transit: transit}}
	}
	switch w.IntN(17) {
	case 15, 16:
		e = store.Event{Key: store.PublicationKey(tenant, fmt.Sprint("w", w.IntN(3))), Object: w.publication(tenant)}
	case 0:
		e = store.Event{Key: store.TenantKey(tenant), Object: &store.Tenant{Number: w.tenantNumber(),
			Hosts: w.allowed(), Limits: w.limits(), Labels: store.Labels{"n": fmt.Sprint(w.IntN(3))}}}
	case 1, 2:
		e = store.Event{Key: store.NetworkKey(tenant, network), Object: w.segment(network)}
	case 3, 4:
		e = store.Event{Key: store.HostKey(host), Object: w.host(host)}
	case 5, 6:
		e = store.Event{Key: store.GatewayKey(tenant), Object: w.gateway()}
	case 7, 8, 9:
		peer := w.peer(tenant)
		if peer == "" {
			tenant, peer = "alice", "bob"
		}
		e = store.Event{Key: store.PeeringKey(tenant, peer), Object: w.peering(tenant, peer)}
	default:
		e = store.Event{Key: store.PortKey(host, tenant, network, fmt.Sprint("p", port)),
			Object: w.port(network, w.iface(tenant, network, port))}
	}
	switch w.IntN(8) {
	case 0, 1:
		e.Object = nil
	case 2, 3, 4:
		w.edit(&e)
	}
	return e
}

// edit makes an event a change in one respect of what there is, if anything.
func (w *world) edit(e *store.Event) {
	switch fresh := e.Object.(type) {
	case *store.Tenant:
		if old := w.state.Tenant(e.Key.Tenant); old != nil {
			v := *old.Value
			w.one(func() { v.Number = fresh.Number }, func() { v.Hosts = fresh.Hosts }, func() { v.Labels = fresh.Labels })
			e.Object = &v
		}
	case *store.Network:
		if old := w.state.Network(e.Key.NetworkName()); old != nil {
			v := *old.Value
			w.one(func() { v.Number = fresh.Number }, func() { v.Segmentation, v.Segment = fresh.Segmentation, fresh.Segment },
				func() { v.Flood = []store.FloodMode{store.FloodOff, store.FloodOn}[w.IntN(2)] },
				func() { v.Subnets = fresh.Subnets }, func() { v.Subnets = fresh.Subnets }, func() { v.Subnets = fresh.Subnets })
			e.Object = &v
		}
	case *store.Host:
		if old := w.state.Host(e.Key.Host); old != nil {
			v := *old.Value
			w.one(func() { v.VTEPs = fresh.VTEPs }, func() { v.DatapathID = fresh.DatapathID },
				func() { v.Encap = fresh.Encap }, func() { v.Gateway = fresh.Gateway },
				func() { v.Trunk = fresh.Trunk }, func() { v.TrunkReady = fresh.TrunkReady }, func() { v.Infrastructure = fresh.Infrastructure }, func() { v.Labels = fresh.Labels })
			e.Object = &v
		}
	case *store.Gateway:
		if old := w.state.Gateway(e.Key.Tenant); old != nil {
			v := *old.Value
			w.one(func() { v.Active = fresh.Active }, func() { v.Draining = fresh.Draining }, func() { v.Epoch = fresh.Epoch },
				func() { v.Relay = fresh.Relay }, func() { v.Backup = fresh.Backup })
			e.Object = &v
		}
	case *store.Peering:
		if old := w.state.Peering(e.Key.Tenant, e.Key.Name); old != nil {
			v := *old.Value
			w.one(func() { v.TenantCreated, v.PeerCreated = fresh.TenantCreated, fresh.PeerCreated }, func() { v.Networks = fresh.Networks },
				func() { v.PeerNetworks = fresh.PeerNetworks }, func() { v.By = fresh.By })
			e.Object = &v
		}
	case *store.Port:
		if old := w.state.Port(e.Key); old != nil {
			v := *old.Value
			w.one(func() { v.Number = fresh.Number }, func() { v.MAC = fresh.MAC }, func() { v.Interface = fresh.Interface },
				func() { v.Addresses = fresh.Addresses }, func() { v.AllowedPairs = fresh.AllowedPairs }, func() { v.Labels = fresh.Labels }, func() { v.Publish = fresh.Publish }, func() { v.Limits = fresh.Limits }, func() { v.LimitsSet = fresh.LimitsSet },
				func() { v.UID = fresh.UID })
			e.Object = &v
		}
	}
}

// one does one of several things.
func (w *world) one(things ...func()) { things[w.IntN(len(things))]() }

func (w *world) tenant() string { return []string{"alice", "bob", "carol"}[w.IntN(3)] }

// network is one that other tenants have too, or one of the tenant's own name, whose addresses are nobody else's.
func (w *world) network(tenant string) string {
	return []string{"default", "db", tenant, tenant}[w.IntN(4)]
}

// peer is one that says that it would be peered with a tenant; empty: there is none.
func (w *world) peer(tenant string) string {
	for _, peer := range []string{"carol", "bob", "alice"} {
		if w.state.Peering(peer, tenant) != nil && w.IntN(2) == 0 {
			return peer
		}
	}
	return []string{"", w.tenant()}[w.IntN(2)]
}

// peering is about the tenants that are there, and as a rule about all of their networks.
func (w *world) peering(tenant, peer string) *store.Peering {
	p := &store.Peering{TenantCreated: w.created[store.TenantKey(tenant)], PeerCreated: w.created[store.TenantKey(peer)], By: fmt.Sprint(w.IntN(3))}
	if w.IntN(3) == 0 {
		p.Networks = []string{w.network(tenant)}
	}
	if w.IntN(3) == 0 {
		p.PeerNetworks = []string{w.network(peer), w.network(peer)}
	}
	if w.IntN(12) == 0 {
		p.PeerCreated++
	}
	return p
}

// publication is of a port that may be there, on ports of the host that others may have.
func (w *world) publication(tenant string) *store.Publication {
	p := &store.Publication{TenantCreated: w.created[store.TenantKey(tenant)], Network: w.network(tenant), Port: fmt.Sprint("p", w.IntN(3)),
		Protocol: []store.Protocol{store.ProtocolTCP, store.ProtocolUDP}[w.IntN(2)], First: uint16(80 + w.IntN(2)), On: uint16(80 + w.IntN(3)),
		Count: uint16(1 + w.IntN(2)), KeepSource: w.IntN(2) == 0}
	if w.IntN(12) == 0 {
		p.Count = 0
	}
	return p
}

// tenantNumber is now and then none that a tenant can have.
// limits are mostly none, and change one at a time.
func (w *world) limits() (l store.Limits) {
	switch rate := 1 + w.Uint32N(2); w.IntN(8) {
	case 0:
		l.EgressKbps = rate
	case 1:
		l.IngressKbps = rate
	case 2:
		l.PortEgressKbps = rate
	case 3:
		l.PortIngressKbps = rate
	case 4:
		l.Broadcasts = int(rate)
	}
	return l
}

func (w *world) tenantNumber() uint32 {
	if w.IntN(12) == 0 {
		return []uint32{0, store.MaxTenantNumber + 1, 1<<24 + 1}[w.IntN(3)]
	}
	if w.IntN(4) == 0 {
		return store.MaxSlot + 1 + w.Uint32N(2) // that is no slot
	}
	return 1 + w.Uint32N(4)
}

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

// third is the third byte of a network's own addresses.
func third(network string) byte { return network[1] }

func (w *world) segment(network string) *store.Network {
	v := &store.Network{Number: 10 + w.Uint32N(8), Flood: store.FloodAuto, Segmentation: store.SegmentationTunnel,
		Subnets: []store.Subnet{w.ownSubnet(network)}}
	for range w.IntN(3) * w.IntN(2) {
		v.Subnets = append(v.Subnets, w.subnet(network))
	}
	if w.IntN(2) == 0 {
		v.Segmentation, v.Segment = store.SegmentationVLAN, 100+w.Uint32N(4)
	}
	if w.IntN(20) == 0 {
		v.Number = []uint32{0, store.VLANTunnelKey}[w.IntN(2)]
	}
	return v
}

// ownSubnet is the one that no other network of the tenant has.
func (w *world) ownSubnet(network string) store.Subnet {
	return store.Subnet{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, third(network)}), 24),
		Gateway: netip.AddrFrom4([4]byte{10, 0, third(network), byte(9 + w.IntN(3))})}
}

// subnet is any other: an IPv6 one, or one that overlaps others or is no subnet at all, as
// only a hand edit makes them.
func (w *world) subnet(network string) store.Subnet {
	own := fmt.Sprintf("fd00:0:0:%x::", third(network))
	of := func(prefix, gateway string) store.Subnet {
		return store.Subnet{Prefix: netip.MustParsePrefix(prefix), Gateway: netip.MustParseAddr(gateway)}
	}
	all := []store.Subnet{
		of(own+"/64", own+"1"), of(own+"/64", own+"1"), of(own+"/64", own+"2"),
		of("10.0.0.0/16", "10.0.0.1"), w.ownSubnet(w.network(w.tenant())), of("fd00::/32", "fd00::1"),
		of("fe80::/64", "fe80::1"), of("10.9.0.0/24", "10.8.0.1"),
	}
	return all[w.IntN(len(all))]
}

// host has VTEPs of its own, of either family, and now and then another's besides or instead.
func (w *world) host(name string) *store.Host {
	v := &store.Host{DatapathID: store.DatapathID(w.IntN(4)), Labels: store.Labels{"n": fmt.Sprint(w.IntN(3))},
		Infrastructure: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(w.IntN(3))}), 16)}}
	v.Encap, v.Gateway = w.encap(), w.IntN(3) > 0
	v.Trunk, v.TrunkReady = []string{"", "eth1", "eth1"}[w.IntN(3)], w.IntN(3) > 0
	for range w.IntN(3) {
		v.VTEPs = append(v.VTEPs, w.vtep(name))
	}
	return v
}

// encap is now and then another than most hosts have.
func (w *world) encap() string {
	if w.IntN(5) == 0 {
		return "gre"
	}
	return "vxlan"
}

func (w *world) vtep(name string) netip.Addr {
	if w.IntN(6) == 0 {
		name = w.names[w.IntN(len(w.names))]
	}
	low := byte(w.IntN(2))
	switch w.IntN(8) {
	case 0:
		return netip.Addr{}
	case 1, 2, 3:
		return netip.AddrFrom16([16]byte{0xfd, 14: low, 15: name[1]})
	}
	return netip.AddrFrom4([4]byte{172, 30, low, name[1]})
}

func (w *world) gateway() *store.Gateway {
	g := &store.Gateway{Active: w.names[w.IntN(len(w.names))], Epoch: w.Uint64N(3)}
	for range w.IntN(3) {
		g.Draining = append(g.Draining, w.names[w.IntN(len(w.names))])
	}
	g.Relay = []store.Relay{"", store.RelayReady, store.RelayOn}[w.IntN(3)]
	if w.IntN(2) == 0 {
		g.Backup = w.names[w.IntN(len(w.names))]
	}
	for range w.IntN(3) { // one that the tenant of that number has, or another one was given, as a rule
		if g.Slots == nil {
			g.Slots = map[string]uint32{}
		}
		g.Slots[w.names[w.IntN(len(w.names))]] = w.Uint32N(6)
	}
	if w.IntN(20) == 0 {
		g.Slots = map[string]uint32{g.Active: store.MaxSlot + 1}
	}
	return g
}

func (w *world) port(network, iface string) *store.Port {
	n := byte(w.IntN(9))
	p := &store.Port{UID: fmt.Sprint(w.IntN(12)), Number: 1 + w.Uint32N(16), MAC: store.MAC{2, 0, 0, 0, 0, n}, Interface: iface,
		Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, third(network), 10 + n}), 24)},
		Labels:    store.Labels{"n": fmt.Sprint(w.IntN(3))}}
	switch w.IntN(6) {
	case 0, 1:
		p.Addresses = append(p.Addresses, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 7: third(network), 15: 10 + n}), 64))
	case 2:
		p.Addresses = append(p.Addresses, netip.PrefixFrom(store.MAC{2, 0, 0, 0, 0, byte(w.IntN(9))}.LinkLocal(), 64))
	case 3:
		p.Addresses[0] = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, 10 + n}), 16)
	}
	for range w.IntN(3) {
		p.AllowedPairs = append(p.AllowedPairs, w.pair())
	}
	switch w.IntN(6) {
	case 0:
		p.Limits.EgressKbps = 1 + w.Uint32N(2)
	case 1:
		p.Limits.IngressKbps = 1 + w.Uint32N(2)
	}
	said := w.Uint32N(2)
	switch w.IntN(8) {
	case 0:
		p.LimitsSet.EgressKbps = &said
	case 1:
		p.LimitsSet.IngressKbps = &said
	}
	for range w.IntN(6) - 3 {
		one := w.publication("")
		p.Publish = append(p.Publish, store.PortPublication{Protocol: one.Protocol, First: one.First, On: one.On, Count: one.Count})
	}
	return p
}

// pair is one more address that a port may speak with, now and then with another MAC, or none
// that a port can have.
func (w *world) pair() store.AddressPair {
	prefixes := []string{"10.0.7.0/24", "10.0.7.9/24", "10.0.7.1/32", "10.0.0.0/8", "fd00:7::/64", "fd00:7::9/64", "::/0"}
	p := store.AddressPair{Prefix: netip.MustParsePrefix(prefixes[w.IntN(len(prefixes))])}
	if w.IntN(2) == 0 {
		p.MAC = store.MAC{2, 0, 0, 0, 0, byte(w.IntN(9))}
	}
	if w.IntN(12) == 0 {
		p.MAC = store.RouterMAC
	}
	return p
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
		Affected(s, port("alice", 0, 5000), func(host string, sl Slice) { marks[fmt.Sprint(host, sl)]++ })
		if want := span + 1; len(marks) != want {
			t.Errorf("a port added to a network of %d hosts marks %d slices, want %d", span, len(marks), want)
		}
	}
}

// Networks and ports of one tenant that come in one batch, as all do when a controller starts, mark each slice a few times, not
// once for each of the others.
func TestBatchCost(t *testing.T) {
	for _, count := range []int{10, 100} {
		s, batch := store.NewState(), store.Batch{Revision: 1}
		put := func(k store.Key, o store.Object) {
			batch.Events = append(batch.Events, store.Event{Key: k, Object: o, Created: 1, Modified: 1})
		}
		put(store.HostKey("h1"), &store.Host{VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.1")}})
		put(store.TenantKey("alice"), &store.Tenant{Number: 1})
		for n := range count {
			network := fmt.Sprint("n", n)
			put(store.NetworkKey("alice", network), &store.Network{Number: uint32(n + 1)})
			put(store.PortKey("h1", "alice", network, "p"), &store.Port{Number: uint32(n + 1), MAC: store.MACFromUint64(uint64(n + 1)), Interface: fmt.Sprint("sl-", n)})
		}
		marks, most := map[string]int{}, 0
		Affected(s, s.Apply(batch), func(host string, sl Slice) {
			key := fmt.Sprint(host, sl)
			marks[key]++
			most = max(most, marks[key])
		})
		if len(marks) < 2*count || most > 2*count {
			t.Errorf("%d networks: %d slices are marked, one of them %d times", count, len(marks), most)
		}
		sum := 0
		for _, n := range marks {
			sum += n
		}
		if mean := sum / len(marks); mean > 6 {
			t.Errorf("%d networks: a slice is marked %d times in the mean", count, mean)
		}
	}
}
