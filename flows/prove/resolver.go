package prove

import (
	"net/netip"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says how tenants ask their host's resolver: each at its own desk, for names alone, and who gets the answers.

const (
	protoTCP = 6
	portDNS  = 53
)

// questions are all that anybody may send to the resolver.
var questions = []of.Match{
	question(store.Resolver4, protoUDP, of.FieldUDPDst), question(store.Resolver4, protoTCP, of.FieldTCPDst),
	question(store.Resolver6, protoUDP, of.FieldUDPDst), question(store.Resolver6, protoTCP, of.FieldTCPDst),
}

func question(resolver netip.Addr, proto uint64, port of.Field) of.Match {
	return of.NewMatch(family(resolver), of.IsValue(fieldOf(resolver, of.FieldIPDst, of.FieldIPv6Dst), of.Address(resolver)),
		of.Is(of.FieldIPProto, proto), of.Is(port, portDNS))
}

func family(a netip.Addr) of.MatchField {
	if a.Is4() {
		return of.Is(of.FieldEthType, typeIPv4)
	}
	return of.Is(of.FieldEthType, typeIPv6)
}

func fieldOf(a netip.Addr, v4, v6 of.Field) of.Field {
	if a.Is4() {
		return v4
	}
	return v6
}

// asksResolver holds questions of any tenant against who asks (rules owner, output, writes and spoof).
func (r *run) asksResolver() {
	resolver, asks := r.asked()
	to := fieldOf(resolver, of.FieldIPDst, of.FieldIPv6Dst)
	switch {
	case !r.is(flows.RegDestination, flows.ResolverPort):
		r.broken(RuleOwner, "it sends frames of any tenant on from here, and not to the resolver")
	case !asks:
		r.broken(RuleOutput, "it sends frames to the resolver that are no questions for names, so that containers would reach more of the host")
	case !r.is(flows.RegOrigin, flows.OriginPort):
		r.broken(RuleOutput, "it sends frames to the resolver that no container here sent")
	case !slices.ContainsFunc(desksLike(resolver), func(desks netip.Prefix) bool {
		return r.hasDesk(desks) && r.isBut(to, of.Address(desks.Addr()), copied{of: of.FieldMetadata, from: tenantAt, count: numberBits(desks)})
	}):
		r.broken(RuleWrites, "it sends questions to another desk than that of the tenant that asks, where another tenant's names are told")
	case !r.is(of.FieldEthDst, store.ResolverMAC.Uint64()):
		r.broken(RuleSpoof, "it sends questions to a MAC that is not the resolver's")
	default:
		r.asks = true
	}
}

// tenantAt is where in metadata its tenant's number begins.
const tenantAt = 32

// desksLike are the desks of a family; the last bits of each are its tenant's number.
func desksLike(resolver netip.Addr) []netip.Prefix {
	if resolver.Is4() {
		return []netip.Prefix{store.Desks4, store.FarDesks4}
	}
	return []netip.Prefix{store.Desks6}
}

// hasDesk reports whether the numbers of all tenants whose frames the flow matches fit into some desks. Beyond 24 bits there are none.
func (r *run) hasDesk(desks netip.Prefix) bool {
	const longest = 24
	bits := numberBits(desks)
	return bits >= longest || r.bitsAre(of.FieldMetadata, 0, (1<<(longest-bits)-1)<<(tenantAt+bits))
}

func numberBits(desks netip.Prefix) int { return desks.Addr().BitLen() - desks.Bits() }

// asked is the resolver's address that the flow matches; ok is false where it matches other frames than questions.
func (r *run) asked() (resolver netip.Addr, ok bool) {
	for i, m := range questions {
		if within(r.flow.Match, m) {
			return []netip.Addr{store.Resolver4, store.Resolver6}[i/2], true
		}
	}
	return store.Resolver4, false
}

// onlyAsks reports whether the flow passes questions to the resolver and nothing else.
func (r *run) onlyAsks() bool {
	return r.asks && slices.Equal(r.passes, []uint8{flows.TableAccountOut})
}

// fromResolver holds a flow that takes the resolver's answers against the desks that they come from (rule entry).
func (r *run) fromResolver() {
	resolver, desks, ok := r.fromDesk()
	from := fieldOf(resolver, of.FieldIPSrc, of.FieldIPv6Src)
	number := copied{of: from, to: tenantAt, count: numberBits(desks)}
	switch {
	case r.resolver == 0 || !r.is(of.FieldInPort, uint64(r.resolver)):
		r.broken(RuleEntry, "it takes frames as if the resolver sent them from a port that is not the resolver's")
	case !ok:
		r.broken(RuleEntry, "it takes answers that the resolver does not send from a desk, or gives them another address than the resolver's")
	case !r.isBut(of.FieldMetadata, of.U64(0), number):
		r.broken(RuleEntry, "it gives the resolver's answers metadata that is not of the tenant from whose desk they come")
	case !r.is(flows.RegOrigin, flows.OriginResolver):
		r.broken(RuleEntry, "it does not say of the resolver's answers that they came from there")
	}
}

// fromDesk is the resolver's address under which the flow passes what comes from some desks; ok is false where it takes other
// frames, or leaves them another address.
func (r *run) fromDesk() (resolver netip.Addr, desks netip.Prefix, ok bool) {
	for _, resolver = range []netip.Addr{store.Resolver4, store.Resolver6} {
		from := fieldOf(resolver, of.FieldIPSrc, of.FieldIPv6Src)
		for _, desks = range desksLike(resolver) {
			all := of.NewMatch(family(resolver), of.Masked(of.FieldVLANVID, of.U64(0), of.U64(tagPresent)), of.In(from, desks))
			if v, whole := r.whole(from); within(r.flow.Match, all) && whole && v == of.Address(resolver) {
				return resolver, desks, true
			}
		}
	}
	return store.Resolver4, store.Desks4, false
}

// tellsResolver reports whether the flow answers a container's ARP for the resolver: it is behind the router.
func (r *run) tellsResolver() bool {
	asks := of.NewMatch(of.Is(of.FieldEthType, typeARP), of.Is(of.FieldARPOp, arpRequest), of.Is(flows.RegOrigin, flows.OriginPort),
		of.Is(of.FieldARPTPA, of.Address(store.Resolver4).Lo))
	return within(r.flow.Match, asks) && r.is(of.FieldEthSrc, store.RouterMAC.Uint64())
}
