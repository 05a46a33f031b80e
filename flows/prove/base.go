package prove

import (
	"net/netip"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what is everybody's: which flows may pass frames of any tenant, and what nobody may
// send. It is written down from docs/design, not from what the compiler does.

// Numbers of protocols that the rules speak of.
const (
	typeIPv4 = of.EtherIPv4
	typeARP  = of.EtherARP
	typeIPv6 = of.EtherIPv6

	protoUDP    = of.ProtoUDP
	protoICMPv6 = of.ProtoICMPv6
	protoHidden = 0 // the headers end before any protocol

	echoRequest         = 8
	echoRequest6        = 128
	routerAdvertisement = 134
	solicitation        = 135
	advertisement       = 136
	redirect            = 137

	portDHCPServer   = 67
	portDHCPClient   = 68
	portDHCPv6Client = 546
	portDHCPv6Server = 547

	arpRequest = 1
	ownHop     = 255 // the TTL of what no router forwarded
	anyPart    = 1   // of ip_frag: the packet is a fragment

	scopePeered = 2 // of RegScope: it counts as one that enters a peered tenant's network
)

// anything asks nothing more of a flow.
func (r *run) anything() {}

// kernelAsks holds the entry of the kernel's ARP, which is of no tenant.
func (r *run) kernelAsks() {
	if r.gateway == 0 || !r.is(of.FieldInPort, uint64(r.gateway)) || !r.is(of.FieldEthType, typeARP) ||
		!r.is(flows.RegOrigin, flows.OriginGateway) || !r.is(flows.RegSource, flows.GatewayPort) {
		r.broken(RuleEntry, "it lets frames in without a tenant that are not the kernel's ARP")
	}
	r.kernelsUntagged()
}

// everybodysAsked holds what is answered whoever asks: the kernel's ARP for transit addresses, and a container's for the
// resolver.
func (r *run) everybodysAsked() {
	asks := of.NewMatch(of.Is(of.FieldEthType, typeARP), of.Is(of.FieldARPOp, arpRequest), of.Is(flows.RegOrigin, flows.OriginGateway),
		of.In(of.FieldARPTPA, r.state.Transit().Prefix))
	if !within(r.flow.Match, asks) && !r.tellsResolver() {
		r.broken(RuleOwner, "it answers for any tenant what is no question of the kernel for a transit address, nor one for the resolver")
	}
}

// goesBack asks that the frame goes to who sent it.
func (r *run) goesBack() {
	if !r.copied(flows.RegDestination, flows.RegSource) {
		r.broken(RuleWrites, "it answers frames to somebody who did not send them")
	}
}

// goesAway asks that a frame that goes into a tunnel is for no port here.
func (r *run) goesAway() {
	if !r.is(flows.RegDestination, 0) {
		r.broken(RuleOutput, "it sends frames into tunnels that are for a port here")
	}
}

// output holds a port that the frame leaves by against the rules of its table.
func (r *run) output(port uint32) {
	r.leavesAsItIs()
	everybodys := r.slice.Tenant() == 0
	switch {
	case port >= of.PortUnset:
		r.broken(RuleAction, "it outputs to a port that the switch chooses, as NORMAL and FLOOD do, which may be anybody's")
	case r.flow.Table == flows.TableDeliver && everybodys && !r.is(flows.RegDestination, flows.GatewayPort) &&
		!r.is(flows.RegDestination, flows.ResolverPort):
		r.broken(RuleOwner, "it delivers frames of any tenant, and neither to the gateway port nor to the resolver's")
	case r.flow.Table == flows.TableDeliver:
		r.delivers(port)
	case r.flow.Table == flows.TableEncap && port == r.tunnel && port != 0:
		r.encaps()
	case r.flow.Table == flows.TableEncap && port == r.trunk && port != 0:
		r.leavesByTrunk()
	default:
		r.broken(RuleOutput, "it outputs frames to OpenFlow port %d, %s, from table %s, past what the tables before it ask", port, r.behind(port),
			flows.TableName(r.flow.Table))
	}
}

// leavesAsItIs asks that the last flow changes nothing of a frame, or of the copy that it sends, but the tunnel's
// key and tag, which encaps looks at.
func (r *run) leavesAsItIs() {
	for i := range r.writes {
		f, v := r.writes[i].field, r.writes[i].value
		if v.of != f && f != flows.RegReason && f != of.FieldTunID && f != of.FieldVLANVID {
			r.broken(ruleOf(f), "it changes %s of frames that leave the switch, where no flow of Sluice does", f)
		}
	}
}

// refusal is frames that nobody may send, or that must not pass a table.
type refusal struct {
	frames of.Match
	why    string       // what would come of it
	to     netip.Prefix // of the infrastructure, in the place of why
	// only, if it is there, says of which flows this is asked: those that match frames of it alone. It is not asked of those
	// that match frames of but alone.
	only, but of.Match
	// relayed says that this is asked of the flows of tenants alone for whom this host relays.
	relayed bool
}

// words are what would come of it. They are seldom needed, and there is a refusal for each host of the cluster.
func (m *refusal) words() string {
	if m.to.IsValid() {
		return "connections to " + m.to.String() + ", which is of the infrastructure"
	}
	return m.why
}

// asked reports whether a refusal is asked of a flow.
func (m *refusal) asked(f *of.Flow) bool {
	return (m.only == nil || within(f.Match, m.only)) && (m.but == nil || !within(f.Match, m.but))
}

// refusals are what must not pass a table, whatever its flows are.
func (p *picture) refusals(table uint8) (list []refusal) {
	switch table {
	case flows.TableAdmit:
		return forbidden()
	case flows.TableAdmitND:
		for _, kind := range []uint64{solicitation, advertisement} {
			list = append(list, refusal{frames: of.NewMatch(of.Is(of.FieldEthType, typeIPv6), of.Is(of.FieldIPProto, protoICMPv6), of.Is(of.FieldICMPv6Type, kind)),
				why: "neighbour discovery that claims what is not the sender's, by which it would get another's frames"})
		}
	case flows.TableRoute:
		return p.closedRoutes()
	case flows.TableNATState:
		return []refusal{{frames: of.NewMatch(of.Is(flows.RegOrigin, flows.OriginGateway)), why: "what comes from outside without a connection that a container opened"}}
	case flows.TableNATNew:
		for _, prefix := range p.infrastructure() {
			list = append(list, refusal{frames: toward(prefix), to: prefix})
		}
	case flows.TableEncap:
		if p.trunk != 0 {
			list = append(list, refusal{frames: of.NewMatch(of.Is(flows.RegOrigin, flows.OriginTrunk)), why: "what came by the trunk, which would circle between hosts"})
		}
		return append(append(list, p.backward()...), refusal{frames: of.NewMatch(of.Is(flows.RegOrigin, flows.OriginTunnel)), why: "what came by tunnel, which would circle between hosts"})
	}
	return list
}

// forbidden are messages that only a DHCP server or a router may send, tags, and fragments that could hide such
// a message: a switch sees no ports and no ICMP type in a fragment.
func forbidden() (list []refusal) {
	v4, v6 := of.Is(of.FieldEthType, typeIPv4), of.Is(of.FieldEthType, typeIPv6)
	udp, icmp6 := of.Is(of.FieldIPProto, protoUDP), of.Is(of.FieldIPProto, protoICMPv6)
	piece := of.Masked(of.FieldIPFrag, of.U64(anyPart), of.U64(anyPart))
	group := of.Masked(of.FieldEthDst, of.U64(1<<40), of.U64(1<<40))
	add := func(why string, match ...of.MatchField) {
		list = append(list, refusal{frames: of.NewMatch(match...), why: why})
	}
	add("frames with a VLAN tag", of.Masked(of.FieldVLANVID, of.U64(tagPresent), of.U64(tagPresent)))
	add("what only a DHCP server says", v4, udp, of.Is(of.FieldUDPSrc, portDHCPServer))
	add("what only a DHCP server says", v4, udp, of.Is(of.FieldUDPDst, portDHCPClient))
	add("what only a DHCPv6 server says", v6, udp, of.Is(of.FieldUDPSrc, portDHCPv6Server))
	add("what only a DHCPv6 server says", v6, udp, of.Is(of.FieldUDPDst, portDHCPv6Client))
	add("what only a router says", v6, icmp6, of.Is(of.FieldICMPv6Type, routerAdvertisement))
	add("what only a router says", v6, icmp6, of.Is(of.FieldICMPv6Type, redirect))
	const hides = "fragments that could hide what only a DHCP server or a router says"
	add(hides, v4, piece, group)
	add(hides, v4, piece, of.In(of.FieldIPDst, netip.MustParsePrefix("224.0.0.0/3")))
	add(hides, v6, piece, group)
	add(hides, v6, piece, of.In(of.FieldIPv6Dst, netip.MustParsePrefix("ff00::/8")))
	add(hides, v6, piece, of.In(of.FieldIPv6Dst, netip.MustParsePrefix("fe80::/10")))
	add(hides, v6, piece, of.In(of.FieldIPv6Src, netip.MustParsePrefix("fe80::/10")))
	add(hides, v6, piece, icmp6)
	add("packets whose headers end too early to see what they are", v6, of.Is(of.FieldIPProto, protoHidden))
	return list
}

// closedRoutes are destinations that nobody leaves to: the transit range, and what is no address of a
// host of the internet. What goes to the router alone is asked for itself: everybody's flows refuse no other frames.
func (p *picture) closedRoutes() (list []refusal) {
	router := of.NewMatch(of.Is(of.FieldEthDst, store.RouterMAC.Uint64()))
	add := func(prefix netip.Prefix, why string) {
		routed, _ := meet(toward(prefix), router)
		list = append(list, refusal{frames: routed, why: why, only: router}, refusal{frames: toward(prefix), why: why, but: router})
	}
	for _, closed := range []string{"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"} {
		add(netip.MustParsePrefix(closed), "frames to "+closed+", which no tenant may leave to")
	}
	transit := p.state.Transit().Prefix
	add(transit, "frames to the transit range "+transit.String()+", where other tenants' answers go")
	return list
}

func toward(prefix netip.Prefix) of.Match {
	return of.NewMatch(of.Is(of.FieldEthType, typeIPv4), of.In(of.FieldIPDst, prefix))
}

// ownMAC asks that a frame gets the MAC of who sends it now: of the router, of a peered
// tenant's router, or on its way in of the kernel.
func (r *run) ownMAC() {
	mac := store.RouterMAC
	switch {
	case r.flow.Table == flows.TableNATState && r.slice.Kind() == flows.KindPublished:
		mac = store.PublishedMAC
	case r.flow.Table == flows.TableNATState:
		mac = store.KernelMAC
	case r.is(flows.RegScope, scopePeered):
		mac = store.PeerMAC
	}
	if !r.is(of.FieldEthSrc, mac.Uint64()) {
		r.broken(RuleSpoof, "it gives frames a source MAC that is not %s, so that they would come from somebody else", mac)
	}
}
