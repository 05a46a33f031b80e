package prove

import (
	"net/netip"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what a host is to others: where its frames come from and go to, and what of it is
// closed to tenants.

// another reports whether an address is a tunnel address of a host of the store, and not of this one.
func (p *picture) another(vtep netip.Addr) bool {
	h := p.state.HostByVTEP(vtep)
	return h != nil && h.Key.Host != p.host
}

// address is a value as an address of a field's family.
func address(f of.Field, v of.Value) netip.Addr {
	if f.Bits() == 32 {
		return netip.AddrFrom4([4]byte{byte(v.Lo >> 24), byte(v.Lo >> 16), byte(v.Lo >> 8), byte(v.Lo)})
	}
	var b [16]byte
	for i := range 8 {
		b[i], b[i+8] = byte(v.Hi>>(56-8*i)), byte(v.Lo>>(56-8*i))
	}
	return netip.AddrFrom16(b)
}

// fromTunnel holds a flow that takes frames from the tunnel port against the hosts of the store (rule
// entry).
func (r *run) fromTunnel() {
	known := false
	for _, f := range []of.Field{of.FieldTunSrc, of.FieldTunIPv6Src} {
		if v, ok := r.whole(f); ok && r.another(address(f, v)) {
			known = true
		}
	}
	switch {
	case r.tunnel == 0 || !r.is(of.FieldInPort, uint64(r.tunnel)):
		r.broken(RuleEntry, "it takes frames as if they came by tunnel from a port that is not the tunnel's, so that whoever is there could send under any key")
	case !known:
		r.broken(RuleEntry, "it takes frames by tunnel from an address that is no other host's, so that a stranger could send under any key")
	case !r.is(flows.RegOrigin, flows.OriginTunnel):
		r.broken(RuleEntry, "it does not say of frames from a tunnel that they came by one, so that they could be sent into one again")
	}
}

// writesTunnel holds the tunnel address that the flow sends to against the hosts of the store.
func (r *run) writesTunnel(f of.Field) {
	v, ok := r.whole(f)
	if v.IsZero() && ok {
		return
	}
	if !ok || !r.another(address(f, v)) {
		r.broken(RuleOutput, "it sends frames to a tunnel address that is no other host's, so that they would leave the cluster")
	}
}

// infrastructure are the IPv4 prefixes that nobody opens a connection to from this host: what it keeps
// closed, and the tunnel addresses of all hosts.
func (p *picture) infrastructure() (closed []netip.Prefix) {
	if own := p.state.Host(p.host); own != nil {
		for _, prefix := range own.Value.Infrastructure {
			if prefix.IsValid() && prefix.Addr().Is4() {
				closed = append(closed, prefix.Masked())
			}
		}
	}
	for h := range p.state.Hosts() {
		for _, vtep := range h.Value.VTEPs {
			if vtep.Is4() && !vtep.IsUnspecified() && p.state.HostByVTEP(vtep) == h {
				closed = append(closed, netip.PrefixFrom(vtep, vtep.BitLen()))
			}
		}
	}
	return closed
}

// Everywhere reports whether a change may concern the flows of any slice on any host: what a host is to others, and what
// all tenants' egress rests on. Of such a change no part is proved.
func Everywhere(c store.Change) bool {
	switch c.Key.Kind {
	case store.KindSettings:
		return true
	case store.KindHost:
		before, was := c.Before.(*store.Host)
		after, is := c.After.(*store.Host)
		return !was || !is || before == after || c.Anew ||
			!slices.Equal(before.VTEPs, after.VTEPs) || before.Gateway != after.Gateway ||
			before.Trunk != after.Trunk || before.TrunkReady != after.TrunkReady || !slices.Equal(before.Infrastructure, after.Infrastructure)
	}
	return false
}
