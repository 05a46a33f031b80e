package prove

import (
	"net/netip"

	"sluice/flows"

	of "sluice/datapath/openflow"
)

// This file says who relays: where a tenant's topology is a star, its gateway hosts send what came by tunnel from one of its
// hosts into a tunnel to another.

// sendsAway holds what goes into a tunnel, and may have come by one.
func (r *run) sendsAway() {
	r.forwards()
	if !r.copied(flows.RegOrigin, flows.RegOrigin) {
		r.relays()
		return
	}
	if !r.copied(of.FieldInPort, of.FieldInPort) {
		r.broken(RuleWrites, "it lets frames leave where they came in that are not relayed")
	}
}

// relays asks that this host relays for the tenant, and only what came by tunnel.
func (r *run) relays() {
	switch {
	case !r.is(flows.RegOrigin, flows.OriginRelay):
		r.broken(RuleGateway, "it says of frames on their way into a tunnel that they came from elsewhere, so that they could circle between hosts")
	case !r.cameByTunnel():
		r.broken(RuleGateway, "it relays frames that did not come by tunnel, which would leave uncounted")
	case !r.relayed(r.tenant):
		r.broken(RuleGateway, "it relays frames of %s between other hosts, and this is no gateway host of a star of it", r.tenantName(r.tenant))
	case !r.mayRelay():
		r.broken(RuleGateway, "it relays frames on a host that is no gateway host, where nothing keeps them from going back")
	}
}

// cameByTunnel reports whether the flow matches nothing but frames from a tunnel.
func (r *run) cameByTunnel() (came bool) {
	r.asItWas(func(r *run) { came = r.is(flows.RegOrigin, flows.OriginTunnel) })
	return came
}

// relayed reports whether this is a gateway host of a tenant for which such hosts relay.
func (p *picture) relayed(tenant uint32) bool {
	t := p.liveTenant(tenant)
	if t == nil {
		return false
	}
	g := p.state.Gateway(t.Key.Tenant)
	return g != nil && g.Value.Relay != "" && g.Value.At(p.host)
}

// mayRelay reports whether this host may be a gateway host.
func (p *picture) mayRelay() bool {
	own := p.state.Host(p.host)
	return own != nil && own.Value.Gateway
}

// backward are the relayed frames that would go back to the host that they came from, which would circle where two hosts
// differ in where a port is.
func (p *picture) backward() (list []refusal) {
	if !p.mayRelay() {
		return nil
	}
	for h := range p.state.Hosts() {
		if h.Key.Host == p.host {
			continue
		}
		var own []netip.Addr
		for _, vtep := range h.Value.VTEPs {
			if p.state.HostByVTEP(vtep) == h && vtep.IsValid() && !vtep.IsUnspecified() {
				own = append(own, vtep)
			}
		}
		if len(own) == 0 || own[0] != h.Value.VTEP() { // frames are sent to its first address alone
			continue
		}
		for _, from := range own {
			list = append(list, refusal{relayed: true, why: "what is relayed, back to the host that it came from", frames: of.NewMatch(of.Is(flows.RegOrigin, flows.OriginRelay),
				isAddress(from, of.FieldTunSrc, of.FieldTunIPv6Src), isAddress(own[0], of.FieldTunDst, of.FieldTunIPv6Dst))})
		}
	}
	return list
}

// isAddress matches an address in the field of its family.
func isAddress(a netip.Addr, v4, v6 of.Field) of.MatchField {
	return of.IsValue(fieldOf(a, v4, v6), of.Address(a))
}
