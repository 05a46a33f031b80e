package flows

import (
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// compiler is one run of Compile.
type compiler struct {
	state    *store.State
	host     string
	ofport   map[string]uint32
	tunnel   uint32 // OpenFlow port of the tunnel interface; 0: there is none
	gateway  uint32 // the same of the gateway interface
	resolver uint32 // the same of the resolver interface
	trunk    uint32 // the same of the trunk
	slice    Slice  // whose flows are emitted
	emit     func(of.Flow)
	problems []store.Problem
}

func newCompiler(s *store.State, sw Switch, sl Slice, emit func(of.Flow)) *compiler {
	c := &compiler{
		state: s, host: sw.Host, ofport: sw.OFPort, slice: sl, emit: emit,
		tunnel: sw.OFPort[store.TunnelInterface], gateway: sw.OFPort[store.GatewayInterface],
		resolver: sw.OFPort[store.ResolverInterface],
	}
	if own := s.Host(sw.Host); own != nil && own.Value.Trunk != "" {
		c.trunk = sw.OFPort[own.Value.Trunk]
	}
	return c
}

// claimants compiles the slice's own among the objects that say a number: the one that holds
// it, if any, and those that claim it besides. These have no flows, but a problem each.
func claimants[T any](c *compiler, holder *store.Item[T], others []*store.Item[T], compile func(*compiler, *store.Item[T])) {
	if holder != nil && c.owns(holder.Key) {
		compile(c, holder)
	}
	for _, o := range others {
		if c.owns(o.Key) {
			compile(c, o)
		}
	}
}

// owns reports whether the slice's tenant is the object's: a freed number may have gone to
// another tenant since.
func (c *compiler) owns(key store.Key) bool {
	t := c.state.Tenant(key.Tenant)
	return t != nil && min(t.Value.Number, beyondTenants) == c.slice.Tenant()
}

// flow emits one flow of the slice that is being compiled, at a step of the pipeline.
func (c *compiler) flow(at step, m of.Match, actions ...of.Action) {
	f := of.Flow{Table: places[at].table, Priority: places[at].priority, Cookie: uint64(c.slice), Match: m, Actions: actions}
	if _, counts := Account(&f); counts {
		f.Flags = of.SendFlowRemoved // what it counted is told when it goes: sums never go back
	}
	c.emit(f)
}

// refuse emits a flow that sends what it matches to the drop table.
func (c *compiler) refuse(at step, m of.Match, why reason) {
	c.flow(at, m, load(regReason, uint64(why)), goTo(tableDrop))
}

// problem tells what an object lacks that works in all else.
func (c *compiler) problem(key store.Key, format string, args ...any) {
	c.problems = append(c.problems, store.ProblemOf(key, format, args...))
}

// leaveOut tells why an object is not programmed, so that no port that needs it works.
func (c *compiler) leaveOut(key store.Key, format string, args ...any) {
	c.problems = append(c.problems, store.LeftOut(key, format, args...))
}

// tenantAt is a tenant as one host sees it.
type tenantAt struct {
	*store.Item[store.Tenant]
	present bool     // a network of the tenant has a port here
	peered  bool     // a tenant that it is peered with has a port here; not looked for where own
	active  string   // the host that its egress is sent to; empty: none
	backup  string   // the host that it is sent to while probes find that one dead; empty: none
	members []string // the hosts that hold its gateway's flows, that one first
	asks    []string // those of them, but this host, that may know a connection
	gateway bool     // this host is one of the members, and the tenant has a port somewhere
	slot    uint32   // what this host tells its connections by; 0: it has none here
	moves   bool     // several of the members have a part in a move

	movers []string    // the members that have a part in a move, or the active one alone
	relay  store.Relay // how far the members are to relay what passes between hosts
}

func (t *tenantAt) number() uint32 { return t.Value.Number }

// mark stands for the tenant itself in its zone: a later one of its name or number has
// another create revision.
func (t *tenantAt) mark() uint64 { return uint64(uint32(t.Created)) }

// natZone is the conntrack zone in which the tenant's egress is translated here.
func (t *tenantAt) natZone() uint16 { return store.NATZone(t.slot) }

// translates reports whether the tenant's egress passes this host's kernel.
func (c *compiler) translates(t *tenantAt) bool { return t.gateway && c.gateway != 0 && t.slot != 0 }

// tenantAt looks a tenant up; ok is false where the host holds nothing of it.
func (c *compiler) tenantAt(name string) (t tenantAt, ok bool) {
	t = tenantAt{Item: c.state.Tenant(name)}
	if t.Item == nil {
		return t, false
	}
	if g := c.state.Gateway(name); g != nil {
		movers := g.Value.Movers()
		t.movers, t.relay = movers, g.Value.Relay
		t.active, t.backup, t.members, t.moves = g.Value.Active, g.Value.Backup, g.Value.Members(), len(movers) > 1
		t.asks = slices.DeleteFunc(g.Value.Asked(), func(host string) bool {
			// To a backup all is sent because the active host is dead: it would swallow a question.
			return host == c.host || host == t.active && !slices.Contains(movers, c.host)
		})
		t.gateway = slices.Contains(t.members, c.host) && c.state.Awake(name)
		t.slot = c.state.Slot(c.host, t.Item)
	}
	t.present = c.state.TenantPresent(c.host, name)
	t.peered = !t.own() && slices.ContainsFunc(c.state.PeersOf(name), func(peer string) bool { return c.state.TenantPresent(c.host, peer) })
	return t, t.here() && len(c.tenantProblems(t.Item)) == 0
}

// Orphans are the host's ports whose tenant or network is gone, which only a hand edit makes:
// no slice is theirs, and each is a problem.
func Orphans(s *store.State, host string) (problems []store.Problem) {
	for _, n := range s.NetworksOn(host) {
		if s.Tenant(n.Tenant) != nil && s.Network(n) != nil {
			continue
		}
		for _, p := range s.PortsAt(host, n) {
			problems = append(problems, store.LeftOut(p.Key, "its network %s is not there: detach the port, or create the network anew", n))
		}
	}
	return problems
}

// Missing lists the host's ports whose interface the switch lacks.
func Missing(s *store.State, sw Switch) []store.Key {
	var missing []store.Key
	for _, n := range s.NetworksOn(sw.Host) {
		for _, p := range s.PortsAt(sw.Host, n) {
			if sw.OFPort[p.Value.Interface] == 0 {
				missing = append(missing, p.Key)
			}
		}
	}
	return missing
}
