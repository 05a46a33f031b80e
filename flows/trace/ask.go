package trace

import (
	"net/netip"

	"sluice/flows/simulate"
	"sluice/store"
)

// Trace is a question with the packets that answer it. It holds nothing of the State.
type Trace struct {
	asked
	sees    func(tenant string) bool
	from    end
	to      end        // its port is empty where nobody of the cluster is there
	meant   string     // the port that was named as To
	transit netip.Addr // where a packet from outside goes to
	hosts   []simulate.Host
	trunks  trunks
	stages  []stage // the packets that walked, the last of which is what was asked for
	whole   bool    // the last one is that packet, and not one that had to come before
}

// end is a sender or receiver: a port, or the kernel of a gateway host that stands for outside.
type end struct {
	port      store.Key // empty: it is no port
	host      string
	iface     string
	tenant    string
	mac       store.MAC
	ip        netip.Addr
	addresses []netip.Addr // all that the port answers for
	next      way          // to the other end
}

func (e *end) isPort() bool { return e.port.Name != "" }

// way is how an end reaches the other one: by the MAC of whom it asks for, or by one that it knows.
type way struct {
	ask netip.Addr // whose MAC is needed; invalid: mac is known
	mac store.MAC
}

// Ask makes of a question the packets that answer it, for somebody who sees the tenants that
// sees reports; sees("") reports whether they see what is the cluster's own. An error says why
// nothing could answer it.
func Ask(s *store.State, sees func(tenant string) bool, q Question) (*Trace, error) {
	a, err := q.read()
	if err != nil {
		return nil, err
	}
	t := &Trace{asked: a, sees: sees}
	f := finder{s, sees}
	if a.from.outside {
		err = t.askFromOutside(f)
	} else {
		err = t.askFromPort(f)
	}
	if err != nil {
		return nil, err
	}
	t.hosts, t.trunks = hostsOf(s), trunksOf(s, t.from.tenant)
	return t, t.checkEnds()
}

// askFromPort finds the ends of a packet that a port sends.
func (t *Trace) askFromPort(f finder) error {
	from, err := f.port(t.asked.from)
	if err != nil {
		return err
	}
	address := t.asked.to.address
	if !address.IsValid() {
		to, err := f.port(t.asked.to)
		if err != nil {
			return err
		}
		t.meant = nameOf(to.Key)
		if address = common(f.state, to, from); !address.IsValid() {
			return invalid("ports %s and %s have no address of the same family", nameOf(from.Key), nameOf(to.Key))
		}
	}
	source := common(f.state, from, nil, address)
	if !source.IsValid() {
		return invalid("port %s has no address of the family of %s", nameOf(from.Key), address)
	}
	t.from, t.to = endOf(from, source), end{ip: address, mac: store.KernelMAC}
	if owner := f.at(from.Key.NetworkName(), address); owner != nil {
		t.to = endOf(owner, address)
		t.to.next = wayTo(f.state, owner, address, source)
	}
	t.from.next = wayTo(f.state, from, source, address)
	return nil
}

// askFromOutside finds the ends of a packet that comes to a tenant's transit address.
func (t *Trace) askFromOutside(f finder) error {
	tenant, to, err := f.behind(t.asked.to)
	if err != nil {
		return err
	}
	g := f.state.Gateway(tenant.Key.Tenant)
	if g == nil {
		return invalid("tenant %s has no gateway host, so nothing reaches it from outside: sluice gateway move %s HOST", tenant.Key.Tenant, tenant.Key.Tenant)
	}
	t.from = end{host: g.Value.Active, iface: store.GatewayInterface, tenant: tenant.Key.Tenant,
		mac: store.KernelMAC, ip: t.asked.from.address, next: way{mac: store.RouterMAC}}
	slot := f.state.Slot(g.Value.Active, tenant)
	if slot == 0 {
		return invalid("tenant %s has no transit address on its gateway host %s yet: it gets one with its first container", tenant.Key.Tenant, g.Value.Active)
	}
	t.transit = f.state.Transit().Address(slot)
	t.to = end{ip: t.transit, mac: store.RouterMAC, tenant: tenant.Key.Tenant}
	if to == nil {
		return nil
	}
	inside := common(f.state, to, nil, t.from.ip)
	if !inside.IsValid() {
		return invalid("port %s has no IPv4 address, and egress is IPv4 only", nameOf(to.Key))
	}
	t.meant = nameOf(to.Key)
	t.to = endOf(to, inside)
	t.to.next = wayTo(f.state, to, inside, t.from.ip)
	return nil
}

// behind is the tenant, and the port if one is named, that a packet from outside is for.
func (f finder) behind(p place) (*store.Item[store.Tenant], *store.Item[store.Port], error) {
	if !p.address.IsValid() {
		port, err := f.port(p)
		if err != nil {
			return nil, nil, err
		}
		return f.state.Tenant(port.Key.Tenant), port, nil
	}
	if t := f.byTransit(p.address); t != nil {
		return t, nil, nil
	}
	return nil, nil, invalid("to %s: from outside a packet reaches a gateway host's switch under a tenant's transit address alone: "+
		"name that (sluice tenant show), or a port", p.address)
}

// checkEnds refuses what no sender would send, or needs another end than there is.
func (t *Trace) checkEnds() error {
	fromPort := t.from.isPort()
	switch {
	case fromPort && t.from.ip == t.to.ip:
		return invalid("%s is an own address of port %s: its kernel delivers that itself, and no packet reaches the switch", t.to.ip, nameOf(t.from.port))
	case t.proto == 0 && !fromPort:
		return invalid("arp: trace it from a port")
	case t.State == StateReply && fromPort && !t.to.isPort():
		return invalid("state reply: no port has %s, and from outside nobody can have opened the connection", t.to.ip)
	case !fromPort && t.State != StateNew && t.State != StateInvalid && !t.to.isPort():
		return invalid("state %s: name the port that opened the connection instead of %s", t.State, t.to.ip)
	}
	return nil
}

func nameOf(k store.Key) string { return k.NetworkName().String() + "/" + k.Name }

func endOf(p *store.Item[store.Port], ip netip.Addr) end {
	e := end{port: p.Key, host: p.Key.Host, iface: p.Value.Interface, tenant: p.Key.Tenant, mac: p.Value.MAC, ip: ip}
	for _, a := range p.Value.Addresses {
		e.addresses = append(e.addresses, a.Addr())
	}
	return e
}

// common is the address of a port that it shares a family with: that of the addresses, or of
// another port's first that fits. One in the same subnet is preferred.
func common(s *store.State, p, other *store.Item[store.Port], with ...netip.Addr) (best netip.Addr) {
	if other != nil {
		for _, a := range other.Value.Addresses {
			with = append(with, a.Addr())
		}
	}
	for _, like := range with {
		for _, mine := range p.Value.Addresses {
			switch a := mine.Addr(); {
			case a.Is4() != like.Is4():
			case onLink(s, p.Key.NetworkName(), a, like):
				return a
			case !best.IsValid():
				best = a
			}
		}
	}
	return best
}

// onLink reports whether two addresses are in one subnet of a network.
func onLink(s *store.State, n store.NetworkName, a, b netip.Addr) bool {
	network := s.Network(n)
	if network == nil {
		return false
	}
	for _, subnet := range network.Value.Subnets {
		if subnet.Prefix.Contains(a) && subnet.Prefix.Contains(b) {
			return true
		}
	}
	return false
}

// wayTo is how a port that has an address reaches another one, as its kernel was set up to.
func wayTo(s *store.State, p *store.Item[store.Port], own, to netip.Addr) way {
	n := p.Key.NetworkName()
	switch {
	case to.IsMulticast():
		return way{mac: groupMAC(to)}
	case to == broadcast || isSubnetBroadcast(s, n, to):
		return way{mac: simulate.Broadcast}
	case to.IsLinkLocalUnicast() && to.Is6() || onLink(s, n, own, to):
		return way{ask: to}
	}
	if network := s.Network(n); network != nil {
		for _, subnet := range network.Value.Subnets {
			if subnet.Prefix.Contains(own) {
				return way{ask: subnet.Gateway}
			}
		}
	}
	return way{ask: to} // an address outside of its network's subnets: no router is set up
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func isSubnetBroadcast(s *store.State, n store.NetworkName, a netip.Addr) bool {
	network := s.Network(n)
	if network == nil || !a.Is4() {
		return false
	}
	for _, subnet := range network.Value.Subnets {
		if p := subnet.Prefix; p.Contains(a) && p.Bits() < 31 && !p.Contains(a.Next()) {
			return true
		}
	}
	return false
}

// groupMAC is the Ethernet address of a multicast group (RFC 1112, 6.4; RFC 2464, 7).
func groupMAC(a netip.Addr) store.MAC {
	if a.Is4() {
		b := a.As4()
		return store.MAC{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}
	}
	b := a.As16()
	return store.MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// hostsOf are the hosts with the tunnel addresses that they hold.
func hostsOf(s *store.State) (list []simulate.Host) {
	for h := range s.Hosts() {
		host := simulate.Host{Name: h.Key.Host, Trunked: h.Value.Trunk != ""}
		for _, vtep := range h.Value.VTEPs {
			if vtep = vtep.Unmap(); s.HostByVTEP(vtep) != h {
				continue
			}
			if !host.VTEP.IsValid() {
				host.VTEP = vtep
			} else {
				host.Further = append(host.Further, vtep)
			}
		}
		list = append(list, host)
	}
	return list
}
