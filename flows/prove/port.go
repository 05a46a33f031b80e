package prove

import (
	"maps"
	"net/netip"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what a port is: which OpenFlow port leads to it, whose it is, and with which MACs
// and addresses it speaks, its allowed address pairs among them.

// livePort is a port of this host that has flows: nothing of it is another's.
type livePort struct {
	item            *store.Item[store.Port]
	tenant, network uint32
	ofport          uint32
	closed          netip.Prefix // the transit range: no port speaks with an address of it, whatever the store allows it
	speaks          *speech      // what it may say; nil: not asked for yet
}

// livePort is the port of this host that has a number; nil: none has.
func (p *picture) livePort(number uint32) *livePort {
	known, ok := p.ports[number]
	if !ok {
		known = p.findPort(number)
		p.ports[number] = known
	}
	return known
}

func (p *picture) findPort(number uint32) *livePort {
	item := p.state.PortByNumber(number)
	if item == nil || number == 0 || number >= flows.ResolverPort || item.Key.Host != p.host || len(p.state.ContestedPort(item)) > 0 {
		return nil
	}
	in := p.state.Network(item.Key.NetworkName())
	if in == nil {
		return nil
	}
	n, t := p.liveNetwork(in.Value.Number)
	if n != in || !t.Value.MayUse(p.host) {
		return nil
	}
	return &livePort{item: item, tenant: t.Value.Number, network: n.Value.Number, ofport: p.ofport[item.Value.Interface], closed: p.state.Transit().Prefix}
}

// portIn is the port whose number a register is known to hold; nil with true: a number that no port
// here has.
func (r *run) portIn(register of.Field) (p *livePort, known bool) {
	v, known := r.number(register)
	if !known {
		return nil, false
	}
	number := uint32(v)
	if number != 0 && number < flows.ResolverPort && !slices.Contains(r.named, number) {
		r.named = append(r.named, number)
	}
	return r.livePort(number), true
}

// fromPort holds a flow that takes frames from a container against its port (rule entry).
func (r *run) fromPort() {
	p, known := r.portIn(flows.RegSource)
	v, ok := r.number(of.FieldMetadata)
	tenant, network := flows.MetadataOf(v)
	switch {
	case !known || p == nil:
		r.broken(RuleEntry, "it takes frames of a container for a port that is none of this host's")
	case p.ofport == 0 || !r.is(of.FieldInPort, uint64(p.ofport)):
		r.broken(RuleEntry, "it takes frames for port %s that come in by another OpenFlow port than its own", p.name())
	case !ok || tenant != p.tenant || network != p.network:
		r.broken(RuleEntry, "it gives frames of port %s metadata of %s, network %d, so that they would reach ports that are not in its network",
			p.name(), r.tenantName(tenant), network)
	case r.slice.Tenant() != p.tenant:
		r.broken(RuleOwner, "its cookie is that of %s, and it takes frames of port %s", r.tenantName(r.slice.Tenant()), p.name())
	case !r.is(flows.RegOrigin, flows.OriginPort):
		r.broken(RuleEntry, "it does not say of frames of port %s that a container sent them, so that what is refused to containers would pass",
			p.name())
	}
}

// writesDestination holds the port that the flow chooses against its tenant and network.
func (r *run) writesDestination() {
	number, ok := r.number(flows.RegDestination)
	p, _ := r.portIn(flows.RegDestination)
	switch {
	case r.copied(flows.RegDestination, flows.RegSource), ok && number == 0:
	case !ok:
		r.broken(RuleWrites, "it chooses a port that is not known, so that frames could reach any tenant's")
	case number == flows.GatewayPort:
		if r.flow.Table != flows.TableNATOut {
			r.broken(RuleWrites, "it sends frames to the gateway past the tenant's translation")
		}
	case number == flows.ResolverPort:
		if r.flow.Table != flows.TableRoute {
			r.broken(RuleWrites, "it sends frames to the resolver that nobody knows to be questions")
		}
	case p == nil:
		r.broken(RuleWrites, "it sends frames to port number %d, which no port here has, so that whoever gets the number would get them", number)
	case p.tenant != r.tenant:
		r.broken(RuleWrites, "it sends frames of %s to port %s of %s", r.tenantName(r.tenant), p.name(), r.tenantName(p.tenant))
	case !r.inNetwork(p.network):
		r.broken(RuleWrites, "it sends frames to port %s that may be of another network than its own, which a peered tenant may have entered", p.name())
	}
}

// inNetwork reports whether frames are known to be of a network now.
func (r *run) inNetwork(network uint32) bool {
	v, known := r.number(of.FieldMetadata)
	_, number := flows.MetadataOf(v)
	return known && number == network
}

// delivers holds a port that the frame leaves by against its destination (rule output).
func (r *run) delivers(port uint32) {
	number, ok := r.number(flows.RegDestination)
	p, _ := r.portIn(flows.RegDestination)
	switch {
	case !ok:
		r.broken(RuleOutput, "it outputs frames to OpenFlow port %d, whatever port they are for", port)
	case number == flows.GatewayPort:
		if port != r.gateway || port == 0 {
			r.broken(RuleOutput, "it outputs frames for the gateway to OpenFlow port %d, which is not the gateway port", port)
		}
	case number == flows.ResolverPort:
		if port != r.resolver || port == 0 {
			r.broken(RuleOutput, "it outputs questions for the resolver to OpenFlow port %d, which is %s", port, r.behind(port))
		}
	case p == nil || p.ofport != port || port == 0:
		r.broken(RuleOutput, "it outputs frames for port number %d to OpenFlow port %d, which is %s", number, port, r.behind(port))
	}
}

// name is the port in words.
func (p *livePort) name() string { return portName(p.item.Key) }

func portName(key store.Key) string { return key.NetworkName().String() + "/" + key.Name }

// behind is what is behind an OpenFlow port, in words.
func (p *picture) behind(port uint32) string {
	for _, iface := range slices.Sorted(maps.Keys(p.ofport)) {
		if p.ofport[iface] != port {
			continue
		}
		if item := p.state.PortByInterface(p.host, iface); item != nil {
			return "that of port " + portName(item.Key)
		}
		return "that of interface " + iface
	}
	return "no port of this bridge"
}

// speech is what a port may say: the frames that go on from table admit, by where they go, and the
// neighbour discovery that goes on from admit_nd.
type speech struct {
	closed                     netip.Prefix
	toResolve, toND, discovery []of.Match
}

// speechOf is what the store allows a port to say.
func (p *livePort) speech() *speech {
	if p.speaks != nil {
		return p.speaks
	}
	p.speaks = &speech{closed: p.closed}
	own := p.item.Value
	sixth := false
	for _, a := range own.Addresses {
		p.speaks.may(own.MAC, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
		sixth = sixth || a.Addr().Is6()
	}
	if sixth {
		p.speaks.may(own.MAC, netip.PrefixFrom(own.MAC.LinkLocal(), 128))
	}
	for _, pair := range own.AllowedPairs {
		mac := pair.MAC
		if mac.IsZero() {
			mac = own.MAC
		}
		p.speaks.may(mac, pair.Prefix)
	}
	return p.speaks
}

// may allows one MAC with one prefix.
func (s *speech) may(mac store.MAC, prefix netip.Prefix) {
	if !prefix.IsValid() || prefix.Overlaps(s.closed) || store.ValidateMAC(mac) != nil {
		return
	}
	from := of.Is(of.FieldEthSrc, mac.Uint64())
	if prefix.Addr().Is4() {
		arp, sender := of.Is(of.FieldEthType, typeARP), of.Is(of.FieldARPSHA, mac.Uint64())
		s.toResolve = append(s.toResolve,
			of.NewMatch(from, of.Is(of.FieldEthType, typeIPv4), of.In(of.FieldIPSrc, prefix)),
			of.NewMatch(from, arp, sender, of.In(of.FieldARPSPA, prefix)),
			of.NewMatch(from, arp, sender, of.Is(of.FieldARPSPA, 0), of.Is(of.FieldARPOp, arpRequest)))
		return
	}
	about := of.In(of.FieldNDTarget, prefix)
	s.toND = append(s.toND, of.NewMatch(from, of.Is(of.FieldEthType, typeIPv6), of.In(of.FieldIPv6Src, prefix)))
	s.toResolve = append(s.toResolve, discovers(solicitation, from, about, of.Is(of.FieldNDSLL, 0), of.IsValue(of.FieldIPv6Src, of.Value{})))
	for _, claim := range []uint64{0, mac.Uint64()} {
		s.discovery = append(s.discovery,
			discovers(advertisement, from, about, of.Is(of.FieldNDTLL, claim)),
			discovers(solicitation, from, of.Is(of.FieldNDSLL, claim)))
	}
}

// discovers are messages of neighbour discovery that no router has forwarded.
func discovers(kind uint64, more ...of.MatchField) of.Match {
	return of.NewMatch(append(more, of.Is(of.FieldEthType, typeIPv6), of.Is(of.FieldIPProto, protoICMPv6), of.Is(of.FieldICMPv6Type, kind),
		of.Is(of.FieldICMPv6Code, 0), of.Is(of.FieldIPTTL, ownHop))...)
}

// admits holds what a flow lets a container say against its port (rule spoof).
func (r *run) admits(to uint8) {
	p, known := r.portIn(flows.RegSource)
	if !known || p == nil {
		r.broken(RuleSpoof, "it admits frames of containers without a look at whose they are")
		return
	}
	may := p.speech().toResolve
	if to == flows.TableAdmitND {
		may = p.speech().toND
	}
	r.nothingBut(r.flow.Match, may, RuleSpoof, "it lets port %s speak with a MAC or an address that is not its own", p.name())
}

// nothingBut breaks a rule where a match holds other frames than those that it may.
func (r *run) nothingBut(match of.Match, may []of.Match, rule Rule, format string, args ...any) {
	var s subtraction
	left, ok := s.rest(match, may)
	if !ok {
		r.broken(RuleComplex, "the frames that it matches are too many cases to compare with what it may match")
	}
	if left != nil {
		r.brokenFor(left, rule, format, args...)
	}
}
