package prove

import (
	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what the switch itself may answer: to ARP and neighbour discovery in the place of the port or the router that
// has the address, and to whoever pings the router.

// answersFor holds an answer in a tenant's network against who has the address that is asked for (rule spoof).
func (r *run) answersFor() {
	v, _ := r.number(of.FieldMetadata)
	_, n := r.networkAt(v)
	mac, known := r.number(of.FieldEthSrc)
	switch {
	case n == nil:
		r.broken(RuleSpoof, "it answers questions of a network that it does not know")
	case !known || !r.asksTheSame():
		r.broken(RuleSpoof, "it answers another question than the one that was asked, or with a MAC that is not known")
	default:
		r.nothingBut(r.flow.Match, r.answerable(n, store.MACFromUint64(mac)), RuleSpoof,
			"it answers in network %s with MAC %s for an address of another, whose packets would go there", n.Key.NetworkName(), store.MACFromUint64(mac))
	}
}

// asksTheSame reports whether the flow leaves a question what it was: an answer in neighbour discovery comes from the address
// that was asked for.
func (r *run) asksTheSame() bool {
	for i := range r.writes {
		switch f, v := r.writes[i].field, r.writes[i].value; f {
		case of.FieldEthSrc, of.FieldEthDst, of.FieldIPv6Dst, of.FieldICMPv6Type, flows.RegReason, flows.RegScope:
		case of.FieldIPv6Src:
			if target, known := r.whole(of.FieldNDTarget); v.of != f && (!known || v.bits != target || v.known != of.Ones(f.Bits())) {
				return false
			}
		default:
			if v.of != f {
				return false
			}
		}
	}
	return true
}

// answerable are the questions in a network to which a MAC is the answer: of its router, or of a port for its IPv4 addresses. A
// port answers neighbour discovery itself.
func (r *run) answerable(n *store.Item[store.Network], mac store.MAC) (list []of.Match) {
	if mac == store.RouterMAC {
		if r.slice.Kind() != flows.KindNetwork || uint32(r.slice) != n.Value.Number {
			return nil // when the network changes, nobody would look at this flow
		}
		for _, s := range n.Value.Subnets {
			if valid(s) && s.Gateway.Is4() {
				list = append(list, asksARP(of.Is(of.FieldARPTPA, of.Address(s.Gateway).Lo)))
			} else if valid(s) {
				list = append(list, solicits(of.IsValue(of.FieldNDTarget, of.Address(s.Gateway))))
			}
		}
		return list
	}
	p := r.state.PortByMAC(n.Key.NetworkName(), mac)
	if p == nil || len(r.state.ContestedPort(p)) > 0 {
		return nil
	}
	r.named = append(r.named, p.Value.Number)
	for _, a := range p.Value.Addresses {
		if a.Addr().Is4() {
			list = append(list, asksARP(of.Is(of.FieldARPTPA, of.Address(a.Addr()).Lo)))
		}
	}
	return list
}

func asksARP(target of.MatchField) of.Match {
	return of.NewMatch(of.Is(of.FieldEthType, typeARP), of.Is(of.FieldARPOp, arpRequest), target)
}

func solicits(target of.MatchField) of.Match {
	return of.NewMatch(of.Is(of.FieldEthType, typeIPv6), of.Is(of.FieldIPProto, protoICMPv6), of.Is(of.FieldICMPv6Type, solicitation), of.Is(of.FieldICMPv6Code, 0), target)
}

// echoes asks that frames which the router answers are echo requests: of any other the answer would tell what was not asked.
func (r *run) echoes() {
	v4 := of.NewMatch(of.Is(of.FieldEthType, typeIPv4), of.Is(of.FieldIPProto, of.ProtoICMP), of.Is(of.FieldICMPType, echoRequest))
	v6 := of.NewMatch(of.Is(of.FieldEthType, typeIPv6), of.Is(of.FieldIPProto, protoICMPv6), of.Is(of.FieldICMPv6Type, echoRequest6))
	if !within(r.flow.Match, v4) && !within(r.flow.Match, v6) {
		r.broken(RuleSpoof, "it answers frames that are no echo requests")
	}
}

// answers holds the flow that makes an answer of a question: it goes back to who asked, from whom it was asked for.
func (r *run) answers() {
	r.goesBack()
	router := store.RouterMAC.Uint64()
	kind, known := r.number(of.FieldEthType)
	switch {
	case known && kind != typeARP && r.unless(of.FieldEthSrc, router) && r.unless(of.FieldNDTLL, router) &&
		r.turned(of.FieldIPSrc, of.FieldIPDst) && r.turned(of.FieldIPv6Src, of.FieldIPv6Dst):
	case known && kind == typeARP && r.copied(of.FieldEthSrc, of.FieldEthSrc) && r.copied(of.FieldARPSHA, of.FieldEthSrc) && r.copied(of.FieldARPSPA, of.FieldARPTPA):
	default:
		r.broken(RuleSpoof, "it answers with a MAC or an address that is not of whom was asked for")
	}
}

// unless reports whether a field is what it was, or has a value.
func (r *run) unless(f of.Field, value uint64) bool { return r.copied(f, f) || r.is(f, value) }

// turned reports whether an address is what it was, or is the one that the question went to.
func (r *run) turned(from, to of.Field) bool { return r.copied(from, from) || r.copied(from, to) }
