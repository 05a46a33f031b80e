package store

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// twin is the naive picture of the store: all it keeps is the objects, and every question
// is answered by looking through all of them.
type twin map[Key]Event

func (w twin) apply(b Batch) {
	for _, e := range b.Events {
		if e.Object == nil {
			delete(w, e.Key)
		} else {
			w[e.Key] = e
		}
	}
}

// of are the events of a kind, sorted by key.
func (w twin) of(kind Kind) []Event {
	var out []Event
	for k, e := range w {
		if k.Kind == kind {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Event) int { return cmp.Compare(a.Key.String(), b.Key.String()) })
	return out
}

// values are what an object claims to have alone: what, then the value in its scope.
func values(e Event) []string {
	switch o := e.Object.(type) {
	case *Tenant:
		return []string{fmt.Sprint("tenant number ", o.Number)}
	case *Network:
		out := []string{fmt.Sprint("network number ", o.Number)}
		if o.Segmentation == SegmentationVLAN {
			out = append(out, fmt.Sprint("VLAN ", o.Segment))
		}
		return out
	case *Host:
		var out []string
		if o.DatapathID != 0 {
			out = append(out, fmt.Sprint("datapath ", o.DatapathID))
		}
		for _, a := range o.VTEPs {
			out = append(out, fmt.Sprint("VTEP ", a))
		}
		return out
	case *Port:
		out := []string{fmt.Sprint("port number ", o.Number), fmt.Sprint(e.Key.NetworkName(), " MAC ", o.MAC)}
		for _, a := range o.Addresses {
			out = append(out, fmt.Sprint(e.Key.NetworkName(), " address ", a.Addr().Unmap()))
		}
		if o.Interface != "" {
			out = append(out, fmt.Sprint(e.Key.Host, " interface ", o.Interface))
		}
		return out
	}
	return nil
}

// holders says which key has each value: the oldest claimant's.
func (w twin) holders() map[string]Key {
	out := map[string]Key{}
	for key, e := range w {
		for _, v := range values(e) {
			if old, taken := out[v]; !taken || w[old].Created > e.Created || w[old].Created == e.Created && old.String() > key.String() {
				out[v] = key
			}
		}
	}
	return out
}

// losers are the keys that lack a value, with how many they lack.
func (w twin) losers() map[Key]int {
	out, holders := map[Key]int{}, w.holders()
	for k, e := range w {
		for _, v := range values(e) {
			if holders[v] != k {
				out[k]++
			}
		}
	}
	return out
}

// presence counts the ports of each network on each host.
func (w twin) presence() map[Key]int {
	out := map[Key]int{}
	for _, e := range w.of(KindPort) {
		out[Key{Kind: KindPresence, Host: e.Key.Host, Tenant: e.Key.Tenant, Network: e.Key.Network}]++
	}
	return out
}

// generator makes random events in a world so small that everything collides.
type generator struct {
	*rand.Rand
	world    twin // as of the last event made
	revision Revision
}

func (g *generator) pick(prefix string, n int) string { return fmt.Sprint(prefix, g.IntN(n)) }

func (g *generator) batch() Batch {
	g.revision++
	b := Batch{Revision: g.revision}
	for range 1 + g.IntN(6) {
		e := g.event()
		g.world.apply(Batch{Events: []Event{e}})
		b.Events = append(b.Events, e)
	}
	return b
}

func (g *generator) event() Event {
	e := Event{Modified: g.revision, Created: g.revision}
	e.Key, e.Object = g.object()
	if g.IntN(3) == 0 {
		e.Object = nil
	}
	if old, there := g.world[e.Key]; there && g.IntN(8) > 0 { // else deleted and created between two batches
		e.Created = old.Created
	}
	return e
}

func (g *generator) object() (Key, Object) {
	tenant, network, host := g.pick("t", 3), g.pick("n", 2), g.pick("h", 3)
	switch g.IntN(10) {
	case 0:
		return TenantKey(tenant), &Tenant{Number: g.Uint32N(3), Gateway: []string{"", GatewayAuto, GatewayCentral, host}[g.IntN(4)], TTL: Duration(g.IntN(2))}
	case 1:
		return NetworkKey(tenant, network), &Network{
			Number: g.Uint32N(4), Segment: g.Uint32N(3), Segmentation: []Segmentation{SegmentationVLAN, SegmentationTunnel}[g.IntN(2)],
		}
	case 2:
		return HostKey(host), &Host{
			DatapathID: DatapathID(g.IntN(3)), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(g.IntN(3))})},
		}
	case 3:
		gateway := &Gateway{Active: host, Draining: []string{g.pick("h", 3), g.pick("h", 3)}[:g.IntN(3)], Standby: []string{g.pick("h", 3)}[:g.IntN(2)]}
		gateway.Backup, gateway.Balanced = []string{"", g.pick("h", 3)}[g.IntN(2)], g.IntN(3) == 0
		if g.IntN(3) == 0 {
			gateway.Move = &Move{To: g.pick("h", 3), Balanced: g.IntN(2) == 0}
		}
		for range g.IntN(3) {
			gateway.Slots = map[string]uint32{host: g.Uint32N(3), g.pick("h", 3): g.Uint32N(3)}
		}
		return GatewayKey(tenant), gateway
	case 4:
		return g.other(tenant, host)
	}
	return PortKey(host, tenant, network, g.pick("p", 3)), g.port()
}

// other makes objects of the kinds without indexes.
func (g *generator) other(tenant, host string) (Key, Object) {
	switch g.IntN(20) {
	case 18, 19:
		p := &Publication{TenantCreated: g.world[TenantKey(tenant)].Created, Network: g.pick("n", 2), Port: g.pick("p", 3), Protocol: ProtocolTCP,
			First: 80, On: uint16(80 + g.IntN(3)), Count: uint16(g.IntN(3))}
		if g.IntN(2) == 0 {
			p.Address = netip.AddrFrom4([4]byte{203, 0, 113, byte(g.IntN(3))})
		}
		return PublicationKey(tenant, g.pick("w", 2)), p
	case 17:
		return StickyKey(host, tenant, g.pick("n", 2), g.pick("p", 3)), &Sticky{MAC: MAC{2, byte(g.IntN(3))}}
	case 13, 14, 15, 16:
		peer := g.pick("t", 3)
		p := &Peering{TenantCreated: g.world[TenantKey(tenant)].Created, PeerCreated: g.world[TenantKey(peer)].Created}
		if g.IntN(4) == 0 {
			p.Networks = []string{g.pick("n", 2)}
		}
		return PeeringKey(tenant, peer), p
	case 11:
		return IdleKey(tenant), &Idle{Since: idleSince}
	case 0:
		return MasterKey(host), &Master{Controller: tenant}
	case 1:
		return LiveHostKey(host), &LiveHost{Incarnation: tenant}
	case 2:
		return LiveControllerKey(host), &LiveController{API: tenant}
	case 3:
		return TokenKey(host), &Token{Role: RoleTenant, Tenant: tenant, TenantCreated: g.revision - Revision(g.IntN(5))}
	case 4:
		return RequestKey(host), &Request{ID: tenant}
	case 5:
		return EnrolmentKey(host), &Enrolment{By: tenant}
	case 6:
		return InvitationKey(host), &Invitation{By: tenant}
	case 7:
		return SettingsKey(), &Settings{Transit: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(g.IntN(3))}), 16)}
	case 8:
		return SchemaKey(), &Schema{Least: g.IntN(4)}
	case 9:
		return EmptiedKey(host), &Emptied{Tenants: map[string]uint64{tenant: 1}}
	case 10:
		return DrainKey(host), &Drain{AtOnce: g.IntN(4)}
	}
	return StatusHostKey(host), &StatusHost{State: HostDown}
}

func (g *generator) port() *Port {
	p := &Port{Number: g.Uint32N(6), MAC: MAC{2, 5: byte(g.IntN(3))}, Interface: []string{"", "sl-a", "sl-b", "sl-c"}[g.IntN(4)]}
	for range g.IntN(8) - 5 {
		p.Publish = append(p.Publish, PortPublication{ProtocolTCP, 80, uint16(80 + g.IntN(3)), uint16(1 + g.IntN(2))})
	}
	for range g.IntN(3) { // an address may come twice
		p.Addresses = append(p.Addresses, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(g.IntN(4))}), 24))
	}
	return p
}

// TestStateEqualsItsTwin applies random batches and compares every answer with the twin's.
func TestStateEqualsItsTwin(t *testing.T) {
	for seed := range uint64(10) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 7)), world: twin{}}
		s, w := NewState(), twin{}
		for range 150 {
			before := maps.Clone(w)
			b := g.batch()
			w.apply(b)
			changes := s.Apply(b)
			checkObjects(t, s, w)
			checkIndexes(t, s, w)
			checkHolders(t, s, w)
			checkChanges(t, before, w, changes)
			checkAnew(t, before, w, changes)
			checkStirred(t, s, before, w)
			if t.Failed() {
				t.Fatalf("seed %d, batch %+v", seed, b)
			}
		}
	}
}

// checkObjects compares what can be looked up by key.
func checkObjects(t *testing.T, s *State, w twin) {
	t.Helper()
	got := twin{}
	collect(got, s.Tenants())
	collect(got, s.Hosts())
	collect(got, s.Gateways())
	collect(got, s.LiveControllers())
	collect(got, s.Invitations())
	collect(got, s.Tokens())
	collect(got, s.Peerings())
	collect(got, s.Stickies())
	collect(got, func(yield func(*Item[Publication]) bool) {
		for p := range s.Publications() {
			if !p.Value.ofPort() {
				yield(p)
			}
		}
	})
	checkPublications(t, s, w)
	for tenant := range 3 {
		checkPeers(t, s, w, fmt.Sprint("t", tenant))
	}
	collect(got, s.Drains())
	for token := range s.Tokens() {
		tenant, there := w[TenantKey(token.Value.Tenant)]
		if want := there && tenant.Created == token.Value.TenantCreated; s.HasTenant(token.Value) != want {
			t.Errorf("token of %s as of %d has a tenant: %v", token.Value.Tenant, token.Value.TenantCreated, !want)
		}
	}
	enrolled := twin{}
	collect(enrolled, s.Enrolments())
	if want := w.of(KindEnrolment); !slices.Equal(want, enrolled.of(KindEnrolment)) {
		t.Errorf("enrolments:\n%v, want\n%v", enrolled, want)
	}
	for _, e := range w.of(KindTenant) {
		if s.Tenant(e.Key.Tenant) == nil {
			t.Errorf("Tenant lacks %s", e.Key)
		}
	}
	for tenant := range 3 {
		name := fmt.Sprint("t", tenant)
		collect(got, s.NetworksOf(name))
		collect(got, one(s.IdleSince(name)))
		for network := range 2 {
			n := NetworkName{name, fmt.Sprint("n", network)}
			collect(got, s.PortsOf(n))
			if count := len(slices.Collect(s.PortsOf(n))); count != s.PortCount(n) {
				t.Errorf("%d ports of %s are counted as %d", count, n, s.PortCount(n))
			}
		}
	}
	for host := range 3 {
		name := fmt.Sprint("h", host)
		collect(got, one(s.Master(name)))
		collect(got, one(s.LiveHost(name)))
		collect(got, one(s.Enrolment(name)))
		collect(got, one(s.Request(name)))
		collect(got, one(s.emptied.items[name]))
		if byHash := s.HostsByHash(HostHash(name)); !slices.Equal(byHash, slices.Collect(one(s.Host(name)))) {
			t.Errorf("hosts by the hash of %s: %v", name, byHash)
		}
	}
	if transit, set := w[SettingsKey()], s.Transit(); transit.Object != nil {
		collect(got, one(s.settings.items["cluster"]))
		if set.Prefix != transit.Object.(*Settings).Transit {
			t.Errorf("the transit range is %s, want %s", set, transit.Object.(*Settings).Transit)
		}
	} else if set != DefaultTransit {
		t.Errorf("the transit range is %s, and none is set", set)
	}
	least := 1
	if schema := w[SchemaKey()]; schema.Object != nil {
		collect(got, one(s.schema.items["cluster"]))
		least = max(least, schema.Object.(*Schema).Least)
	}
	if s.LeastSchema() != least {
		t.Errorf("schema %d at least may write, want %d", s.LeastSchema(), least)
	}
	want := maps.Clone(w)
	maps.DeleteFunc(want, func(k Key, _ Event) bool { return k.Kind == KindStatusHost })
	if !maps.EqualFunc(want, got, sameEvent) {
		t.Errorf("objects:\n%v, want\n%v", got, want)
	}
}

// checkPeers compares with whom a tenant is peered, and by which networks.
func checkPeers(t *testing.T, s *State, w twin, tenant string) {
	t.Helper()
	var agreed, near []string
	for peer := range 3 {
		other := fmt.Sprint("t", peer)
		one, said := w[PeeringKey(tenant, other)]
		two, answered := w[PeeringKey(other, tenant)]
		if !said || !answered || other == tenant {
			continue
		}
		near = append(near, other)
		a, b := one.Object.(*Peering), two.Object.(*Peering)
		mine, there := w[TenantKey(tenant)]
		theirs, present := w[TenantKey(other)]
		if there && present && a.TenantCreated == mine.Created && b.TenantCreated == theirs.Created && a.PeerCreated == theirs.Created && b.PeerCreated == mine.Created {
			agreed = append(agreed, other)
		}
	}
	if got := s.PeersOf(tenant); !slices.Equal(got, agreed) {
		t.Errorf("%s is peered with %v, want %v", tenant, got, agreed)
	}
	for _, peer := range near {
		if !slices.Contains(s.PeersNear(tenant), peer) {
			t.Errorf("%s is not near %s", peer, tenant)
		}
	}
}

// checkPublications compares which publications there are of a tenant, to a port, and on a port of hosts.
func checkPublications(t *testing.T, s *State, w twin) {
	t.Helper()
	of, to, at, on := map[string]int{}, map[scoped[string]]int{}, map[Endpoint]int{}, map[netip.Addr]int{}
	note := func(tenant string, p *Publication) {
		of[tenant]++
		to[p.target(tenant)]++
		on[p.Address]++
		for port := range p.Count {
			at[Endpoint{ProtocolTCP, p.On + port}]++
		}
	}
	for _, e := range w.of(KindPublication) {
		note(e.Key.Tenant, e.Object.(*Publication))
	}
	for _, e := range w.of(KindPort) {
		for _, p := range e.Object.(*Port).Publish {
			note(e.Key.Tenant, p.publication(e.Key, 1))
		}
	}
	for tenant := range 3 {
		name := fmt.Sprint("t", tenant)
		if got := len(slices.Collect(s.PublicationsOf(name))); got != of[name] || s.Publishes(name) != (got > 0) {
			t.Errorf("%s has %d publications, want %d", name, got, of[name])
		}
		for network := range 2 {
			n := NetworkName{name, fmt.Sprint("n", network)}
			for port := range 3 {
				if got, want := len(slices.Collect(s.PublicationsTo(n, fmt.Sprint("p", port)))), to[scoped[string]{n, fmt.Sprint("p", port)}]; got != want {
					t.Errorf("%d publications lead to %s/p%d, want %d", got, n, port, want)
				}
			}
		}
	}
	for last := range byte(3) {
		a := netip.AddrFrom4([4]byte{203, 0, 113, last})
		if got := len(slices.Collect(s.PublicationsOn(a))); got != on[a] {
			t.Errorf("%d publications are on %s, want %d", got, a, on[a])
		}
	}
	for port := range uint16(6) {
		e := Endpoint{ProtocolTCP, 80 + port}
		if got := len(s.publications.at.sets[e]); got != at[e] {
			t.Errorf("%d publications ask for %s, want %d", got, e, at[e])
		}
	}
}

// sameEvent reports whether two events leave the same object. One that is packed is made anew each time.
func sameEvent(a, b Event) bool {
	o, p := a.Object, b.Object
	a.Object, b.Object = nil, nil
	return a == b && sameObject(o, p)
}

func sameObject(a, b Object) bool {
	if a == nil || b == nil || a == b {
		return a == b
	}
	one, err := Encode(a)
	other, otherErr := Encode(b)
	return err == nil && otherErr == nil && a.Kind() == b.Kind() && string(one) == string(other)
}

func collect[T any](into twin, items func(func(*Item[T]) bool)) {
	for i := range items {
		into[i.Key] = Event{Key: i.Key, Object: any(i.Value).(Object), Created: i.Created, Modified: i.Modified}
	}
}

func one[T any](i *Item[T]) func(func(*Item[T]) bool) {
	return func(yield func(*Item[T]) bool) {
		if i != nil {
			yield(i)
		}
	}
}

// checkIndexes compares who is where.
func checkIndexes(t *testing.T, s *State, w twin) {
	t.Helper()
	presence := w.presence()
	hosts, networks := map[NetworkName][]string{}, map[string][]NetworkName{}
	for _, k := range slices.SortedFunc(maps.Keys(presence), func(a, b Key) int { return cmp.Compare(a.String(), b.String()) }) {
		hosts[k.NetworkName()] = append(hosts[k.NetworkName()], k.Host)
		networks[k.Host] = append(networks[k.Host], k.NetworkName())
		if got := len(s.PortsAt(k.Host, k.NetworkName())); got != presence[k] {
			t.Errorf("%d ports at %s, want %d", got, k, presence[k])
		}
		_, exists := w[NetworkKey(k.Tenant, k.Network)]
		if exists && !s.TenantPresent(k.Host, k.Tenant) {
			t.Errorf("tenant of %s is not present", k)
		}
	}
	via := map[string]map[string]bool{}
	for _, e := range w.of(KindGateway) {
		g := e.Object.(*Gateway)
		for _, h := range g.Members() {
			if via[h] == nil {
				via[h] = map[string]bool{}
			}
			via[h][e.Key.Tenant] = true
		}
	}
	var gone []string
	for h := range 3 {
		host := fmt.Sprint("h", h)
		if _, registered := w[HostKey(host)]; !registered && len(networks[host]) > 0 {
			gone = append(gone, host)
		}
		same(t, "networks on "+host, s.NetworksOn(host), networks[host])
		same(t, "tenants via "+host, s.TenantsVia(host), slices.Sorted(maps.Keys(via[host])))
	}
	checkMarks(t, s, w)
	for tenant := range 3 {
		for network := range 2 {
			n := NetworkName{fmt.Sprint("t", tenant), fmt.Sprint("n", network)}
			same(t, "hosts of "+n.String(), s.HostsOf(n), hosts[n])
		}
	}
	same(t, "hosts gone", s.HostsGone(), gone)
	nt, nn, nh, np := s.Counts()
	same(t, "counts", []int{nt, nn, nh, np}, []int{len(w.of(KindTenant)), len(w.of(KindNetwork)), len(w.of(KindHost)), len(w.of(KindPort))})
}

// checkMarks compares the tenants of which something is true.
func checkMarks(t *testing.T, s *State, w twin) {
	t.Helper()
	naming, mortal, names := map[string][]string{}, []string{}, []string{}
	for _, e := range w.of(KindTenant) {
		v := e.Object.(*Tenant)
		names = append(names, e.Key.Tenant)
		naming[v.Gateway] = append(naming[v.Gateway], e.Key.Tenant)
		if v.TTL > 0 {
			mortal = append(mortal, e.Key.Tenant)
		}
	}
	var unbacked, balanced, unsettled, found []string
	for _, e := range w.of(KindGateway) {
		g := e.Object.(*Gateway)
		if g.Backup == "" {
			unbacked = append(unbacked, e.Key.Tenant)
		}
		if g.Balanced || g.Move != nil && g.Move.Balanced {
			balanced = append(balanced, e.Key.Tenant)
		}
		if !g.Settled() {
			unsettled = append(unsettled, e.Key.Tenant)
		}
	}
	for g := range s.BalancedGateways() {
		found = append(found, g.Key.Tenant)
	}
	for _, policy := range []string{GatewayCentral, "h0", "h1", "h2"} {
		same(t, "tenants that name "+policy, s.TenantsNaming(policy), naming[policy])
	}
	same(t, "tenants with a time to live", s.MortalTenants(), mortal)
	same(t, "names of tenants", slices.Sorted(slices.Values(s.TenantNames())), names)
	same(t, "gateways without a backup", s.Unbacked(), unbacked)
	same(t, "gateways that are balanced", found, balanced)
	same(t, "gateways that are not settled", s.Unsettled(), unsettled)
}

func same[V comparable](t *testing.T, what string, got, want []V) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// checkHolders compares who has each claimed value, and who is told that it lacks one.
func checkHolders(t *testing.T, s *State, w twin) {
	t.Helper()
	holders, losers := w.holders(), w.losers()
	has := func(v string, got Key, there bool) {
		t.Helper()
		if want, held := holders[v]; held != there || got != want {
			t.Errorf("%s: held by %s, want %s", v, got, want)
		}
	}
	for n := range uint32(6) {
		has(fmt.Sprint("tenant number ", n), keyOfItem(s.TenantByNumber(n)), s.TenantByNumber(n) != nil)
		has(fmt.Sprint("network number ", n), keyOfItem(s.NetworkByNumber(n)), s.NetworkByNumber(n) != nil)
		has(fmt.Sprint("port number ", n), keyOfItem(s.PortByNumber(n)), s.PortByNumber(n) != nil)
		has(fmt.Sprint("datapath ", DatapathID(n)), keyOfItem(s.HostByDatapath(DatapathID(n))), s.HostByDatapath(DatapathID(n)) != nil)
	}
	for key := range w {
		if slices.ContainsFunc(key.Kind.describe().unique(), func(u uniqueFacts) bool { return u.enforced }) {
			told(t, key, contestedBy(s, key), losers)
		}
	}
	for _, e := range w.of(KindPort) {
		n, p := e.Key.NetworkName(), e.Object.(*Port)
		has(fmt.Sprint(n, " MAC ", p.MAC), keyOfItem(s.PortByMAC(n, p.MAC)), true)
		for _, a := range p.Addresses {
			has(fmt.Sprint(n, " address ", a.Addr()), keyOfItem(s.PortAt(n, a.Addr())), true)
		}
		if p.Interface != "" {
			has(fmt.Sprint(e.Key.Host, " interface ", p.Interface), keyOfItem(s.PortByInterface(e.Key.Host, p.Interface)), true)
		}
	}
}

func keyOfItem[T any](i *Item[T]) Key {
	if i == nil {
		return Key{}
	}
	return i.Key
}

func told(t *testing.T, key Key, problems []Problem, losers map[Key]int) {
	t.Helper()
	if len(problems) != losers[key] {
		t.Errorf("%s is told %v, lacks %d values", key, problems, losers[key])
	}
}
