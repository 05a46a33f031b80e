package flows

import (
	"fmt"
	"net/netip"
	"slices"

	of "sluice/datapath/openflow"
	"sluice/store"
)

const kindPublished sliceKind = 8

// udpPublished tells the publications of UDP from those of TCP in the object number, which is else the first port of the host.
const udpPublished = 1 << 16

func publishedSlice(tenant uint32, p *store.Publication) Slice {
	object := uint32(p.On)
	if p.Protocol == store.ProtocolUDP {
		object |= udpPublished
	}
	return newSlice(kindPublished, tenant, object)
}

// publicationSection is a way in from outside: on its tenant's gateway hosts the way from the kernel to a port, and on the
// port's host what its answers count as.
var publicationSection = section{
	kind: kindPublished, owner: "publication: a way in from outside", object: "the host's first port; 65536 more for UDP",
	ofTenant: func(s *store.State, tenant string, number uint32, yield yieldSlice) {
		for p := range s.PublicationsOf(tenant) {
			yield(publishedSlice(number, p.Value), false) // a hand edit may have made two of one port
		}
	},
	compile: func(c *compiler, sl Slice) {
		if p := publishedBy(c.state, sl); p != nil {
			c.publication(p)
		}
	},
	name: func(s *store.State, sl Slice) string {
		p, t := publishedBy(s, sl), s.TenantByNumber(sl.Tenant())
		switch {
		case p != nil:
			return "publication " + p.Key.Tenant + "/" + p.Key.Name
		case t != nil: // it ended
			return fmt.Sprintf("publication %s/%s-%d", t.Key.Tenant, sl.Published().Protocol, sl.Published().Port)
		}
		return ""
	},
	serves: func(s *store.State, _ string, sl Slice) []store.Key {
		p := publishedBy(s, sl)
		if p != nil && p.Value.From != (store.Key{}) {
			return []store.Key{p.Value.From} // whoever attaches it waits for that
		}
		return keyOf(p)
	},
	changed: publicationChanged,
}

// publishedBy is the publication of a slice; nil: none that is let in has its port.
func publishedBy(s *store.State, sl Slice) *store.Item[store.Publication] {
	t := s.TenantByNumber(sl.Tenant())
	if t == nil {
		return nil
	}
	for p := range s.PublicationsAt(sl.Published()) {
		if p.Key.Tenant == t.Key.Tenant && publishedSlice(sl.Tenant(), p.Value) == sl && s.Unpublished(p) == "" {
			return p
		}
	}
	return nil
}

// publicationChanged: one publication of a tenant may stand where another one goes. Where a port has its address a
// publication to its name leads.
func publicationChanged(m marker, c store.Change) {
	tenant := c.Key.Tenant
	switch c.Key.Kind {
	case store.KindPublication:
		hosts := hostsOf(m.state, tenant)
		sides(c, func(p *store.Publication) { m.published(tenant, p, hosts) })
		m.tenant(tenant, hosts)
	case store.KindPort:
		if !same(c, samePort) {
			for p := range m.state.PublicationsTo(c.Key.NetworkName(), c.Key.Name) {
				m.published(tenant, p.Value, hostsOf(m.state, tenant))
			}
		}
		sides(c, func(p *store.Port) { m.publishedBy(c.Key, p) })
	}
}

// publishedBy marks what a port publishes itself, what waits for the same ports of hosts, and its tenant's counters. The port may have
// been the last one here.
func (m marker) publishedBy(key store.Key, port *store.Port) {
	if len(port.Publish) == 0 {
		return
	}
	hosts := append(hostsOf(m.state, key.Tenant), key.Host)
	if g := m.state.Gateway(key.Tenant); g != nil {
		hosts = append(hosts, g.Value.Members()...)
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	for _, number := range m.numbers(key.Tenant) {
		for _, host := range hosts {
			m.mark(host, tenantSlice(number))
		}
	}
	for _, p := range store.PublishedBy(&store.Item[store.Port]{Key: key, Value: port}) {
		m.published(key.Tenant, p.Value, hosts)
		for e := range p.Value.HostPorts() {
			for other := range m.state.PublicationsAt(e) {
				if other.Key.Tenant == key.Tenant {
					m.published(key.Tenant, other.Value, hosts)
				}
			}
		}
	}
}

func (m marker) published(tenant string, p *store.Publication, hosts []string) {
	for _, number := range m.numbers(tenant) {
		for _, host := range hosts {
			m.mark(host, publishedSlice(number, p))
		}
	}
}

// publication emits the way in on gateway hosts, and what answers count as where the port is.
func (c *compiler) publication(p *store.Item[store.Publication]) {
	t, ok := c.tenantAt(p.Key.Tenant)
	port, address, why := c.state.PublishedPort(p)
	if !ok || why != "" || c.state.Network(port.Key.NetworkName()) == nil { // gone by a hand edit
		return
	}
	if c.translates(&t) {
		c.wayIn(&t, p, address)
	}
	if port.Key.Host == c.host {
		c.answersOutside(&t, p, address)
	}
}

// wayIn lets what the kernel sends to the tenant's transit address and a published port open a connection to the container.
// Its mark is of the publication: with that ends what was opened by it, also what goes on.
func (c *compiler) wayIn(t *tenantAt, p *store.Item[store.Publication], address netip.Addr) {
	mine, kernel, ipv4 := tenantMetadata(t.number()), origin(originGateway), etherType(typeIPv4)
	mark := uint64(store.PublicationMark(p))
	known, in := of.Is(of.FieldCTMark, mark), setMAC(of.FieldEthSrc, store.PublishedMAC)
	c.flow(stepNATKnownOwn, match(mine, ipv4, known), goTo(tableNATState))
	c.flow(stepNATStatePublished, match(mine, kernel, ipv4, known, ctState(ctTracked, ctInvalid)), in, goTo(tableL3Resolve))

	transit := ipDst(single(c.state.Transit().Address(t.slot)))
	to := p.Value.First
	for on := range p.Value.HostPorts() {
		c.flow(stepNATStateOpened, match(mine, kernel, ipv4, transit, protocol(on), toPort(on), ctState(ctTracked|ctNew, ctInvalid)), in,
			of.CT{Commit: true, Zone: t.natZone(), Table: tableL3Resolve, Exec: []of.Action{set(of.FieldCTMark, mark)},
				NAT: &of.NAT{Destination: true, MinAddress: of.Address(address), MinPort: to}})
		to++
	}
}

// answersOutside counts what a published port sends as published. It goes the way of all egress. Of two publications that lead
// to one port of a container the older one has the flow.
func (c *compiler) answersOutside(t *tenantAt, p *store.Item[store.Publication], address netip.Addr) {
	way := c.wayOut(t, scopePublished)
	if way == nil {
		return
	}
	for from := range p.Value.ContainerPorts() {
		if !c.publishedBefore(p, from) {
			c.flow(stepRoutePublished, toRouter(t.number(), origin(originPort), ipSrc(single(address)), protocol(from), fromPort(from)), way...)
		}
	}
}

// publishedBefore reports whether an older publication leads to the same port of the container.
func (c *compiler) publishedBefore(p *store.Item[store.Publication], to store.Endpoint) bool {
	for other := range c.state.PublicationsTo(store.NetworkName{Tenant: p.Key.Tenant, Network: p.Value.Network}, p.Value.Port) {
		if store.PublicationBefore(other, p) && c.state.Unpublished(other) == "" {
			for e := range other.Value.ContainerPorts() {
				if e == to {
					return true
				}
			}
		}
	}
	return false
}

func protocol(e store.Endpoint) of.MatchField {
	if e.Protocol == store.ProtocolUDP {
		return ipProto(protoUDP)
	}
	return ipProto(protoTCP)
}

func toPort(e store.Endpoint) of.MatchField {
	if e.Protocol == store.ProtocolUDP {
		return of.Is(of.FieldUDPDst, uint64(e.Port))
	}
	return of.Is(of.FieldTCPDst, uint64(e.Port))
}

func fromPort(e store.Endpoint) of.MatchField {
	if e.Protocol == store.ProtocolUDP {
		return of.Is(of.FieldUDPSrc, uint64(e.Port))
	}
	return of.Is(of.FieldTCPSrc, uint64(e.Port))
}
