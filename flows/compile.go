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
	slice    Slice  // whose flows are emitted now
	emit     func(of.Flow)
	problems []store.Problem
}

func newCompiler(s *store.State, sw Switch, emit func(of.Flow)) *compiler {
	return &compiler{
		state: s, host: sw.Host, ofport: sw.OFPort, emit: emit,
		tunnel: sw.OFPort[store.TunnelInterface], gateway: sw.OFPort[store.GatewayInterface],
	}
}

// Compile emits the flows of one slice on one switch. A slice whose object is gone has
// none. Each problem names an object that compiles to less than it asks for.
func Compile(s *store.State, sw Switch, sl Slice, emit func(of.Flow)) []store.Problem {
	c := newCompiler(s, sw, emit)
	switch sl.kind() {
	case kindBase:
		c.base()
	case kindPeer:
		for _, h := range s.HostsByHash(sl.object()) {
			c.peer(h)
		}
	case kindTenant:
		c.tenantsOf(sl)
	case kindNetwork:
		claimants(s.NetworkByNumber(sl.object()), s.NetworksWaiting(sl.object()), func(n *store.Item[store.Network]) {
			if c.ownedBy(n.Key, sl) {
				c.network(n)
			}
		})
	case kindPort:
		claimants(s.PortByNumber(sl.object()), s.PortsWaiting(sl.object()), func(p *store.Item[store.Port]) {
			if c.ownedBy(p.Key, sl) {
				c.port(p)
			}
		})
	}
	return c.problems
}

// claimants calls f for the object that holds a number, if any, and for those that wait for
// it: these have no flows, but a problem each.
func claimants[T any](holder *store.Item[T], waiting []*store.Item[T], f func(*store.Item[T])) {
	if holder != nil {
		f(holder)
	}
	for _, w := range waiting {
		f(w)
	}
}

// tenantsOf compiles the tenants that say the slice's number.
func (c *compiler) tenantsOf(sl Slice) {
	if sl.Tenant() < beyondTenants {
		claimants(c.state.TenantByNumber(sl.Tenant()), c.state.TenantsWaiting(sl.Tenant()), c.tenant)
		return
	}
	for t := range c.state.Tenants() {
		if t.Value.Number >= beyondTenants {
			c.tenant(t)
		}
	}
}

// ownedBy reports whether the slice's tenant is the object's: a freed number may have gone
// to another tenant since.
func (c *compiler) ownedBy(key store.Key, sl Slice) bool {
	t := c.state.Tenant(key.Tenant)
	return t != nil && min(t.Value.Number, beyondTenants) == sl.Tenant()
}

// flow emits one flow of the slice that is being compiled.
func (c *compiler) flow(table uint8, priority uint16, m of.Match, actions ...of.Action) {
	f := of.Flow{Table: table, Priority: priority, Cookie: uint64(c.slice), Match: m, Actions: actions}
	if _, counts := Account(&f); counts {
		f.Flags = of.SendFlowRemoved // what it counted is told when it goes: sums never go back
	}
	c.emit(f)
}

// refuse emits a flow that sends what it matches to the drop table.
func (c *compiler) refuse(table uint8, priority uint16, m of.Match, why reason) {
	c.flow(table, priority, m, load(regReason, uint64(why)), goTo(tableDrop))
}

func (c *compiler) problem(key store.Key, format string, args ...any) {
	c.problems = append(c.problems, store.ProblemOf(key, format, args...))
}

// tenantAt is a tenant as one host sees it.
type tenantAt struct {
	*store.Item[store.Tenant]
	present bool     // a network of the tenant has a port here
	chain   []string // its gateway hosts: the active one, then those that drain
	at      int      // this host's place in the chain; -1: it is no gateway of the tenant
}

// here tells whether the host holds any flow of the tenant.
func (t *tenantAt) here() bool    { return t.present || t.at >= 0 }
func (t *tenantAt) gateway() bool { return t.at >= 0 }
func (t *tenantAt) number() uint32 {
	return t.Value.Number
}

// mark stands for the tenant itself in its zone: a later one of its name or number has
// another create revision.
func (t *tenantAt) mark() uint64 { return uint64(uint32(t.Created)) }

// tenantAt looks a tenant up; ok is false where the host holds nothing of it.
func (c *compiler) tenantAt(name string) (t tenantAt, ok bool) {
	t = tenantAt{Item: c.state.Tenant(name), at: -1}
	if t.Item == nil {
		return t, false
	}
	if g := c.state.Gateway(name); g != nil {
		t.chain = gatewayChain(g.Value)
		t.at = slices.Index(t.chain, c.host)
	}
	t.present = c.state.TenantPresent(c.host, name)
	return t, t.here() && len(c.tenantProblems(t.Item)) == 0
}

// gatewayChain is the active host, then each draining one once.
func gatewayChain(g *store.Gateway) []string {
	chain := []string{g.Active}
	for _, h := range g.Draining {
		if !slices.Contains(chain, h) {
			chain = append(chain, h)
		}
	}
	return chain
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

// Served names what needs a slice on a host: if the switch refuses a flow of it, this is not
// programmed whole. It is the port, the network or the tenant that the slice is of, wherever
// its ports are; the host itself where all that it has needs the slice.
func Served(s *store.State, host string, sl Slice) []store.Key {
	switch sl.kind() {
	case kindBase, kindPeer:
		return []store.Key{store.HostKey(host)}
	case kindTenant:
		if t := s.TenantByNumber(sl.Tenant()); t != nil {
			return []store.Key{t.Key}
		}
	case kindNetwork:
		if n := s.NetworkByNumber(sl.object()); n != nil {
			return []store.Key{n.Key}
		}
	case kindPort:
		if p := s.PortByNumber(sl.object()); p != nil {
			return []store.Key{p.Key}
		}
	}
	return nil
}
