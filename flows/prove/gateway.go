package prove

import (
	"net/netip"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says by which hosts a tenant leaves: under which transit address, zone and mark, and which
// ways its gateway hosts have between them while one drains.

// Bits of ct_state (ovs-fields(7)).
const (
	stateNew         = 0x01
	stateEstablished = 0x02
	stateRelated     = 0x04
	stateInvalid     = 0x10
	stateTracked     = 0x20
)

// chain are a tenant's gateway hosts, the active one first, and this host's place; -1: it is none.
func (r *run) chain() (hosts []string, at int) {
	t := r.liveTenant(r.tenant)
	if t == nil {
		return nil, -1
	}
	g := r.state.Gateway(t.Key.Tenant)
	if g == nil {
		return nil, -1
	}
	hosts = []string{g.Value.Active}
	for _, h := range g.Value.Draining {
		if !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	return hosts, slices.Index(hosts, r.host)
}

// leavesHere asks that this is a gateway host of the tenant.
func (r *run) leavesHere() {
	if _, at := r.chain(); at < 0 {
		r.broken(RuleGateway, "it takes egress of %s through this host, which is no gateway host of it", r.tenantName(r.tenant))
	}
}

// fromKernel holds a flow that takes frames from the gateway port against the transit address that
// they go to (rule entry).
func (r *run) fromKernel() {
	v, ok := r.number(of.FieldMetadata)
	tenant, network := flows.MetadataOf(v)
	r.tenant = tenant
	switch {
	case r.gateway == 0 || !r.is(of.FieldInPort, uint64(r.gateway)):
		r.broken(RuleEntry, "it takes frames as if the kernel sent them from a port that is not the gateway's")
	case !ok || network != 0 || r.liveTenant(tenant) == nil:
		r.broken(RuleEntry, "it gives frames from the kernel metadata that is of no tenant of the store")
	case !r.is(of.FieldEthType, typeIPv4) || !r.is(of.FieldIPDst, of.Address(r.state.Transit().Address(tenant)).Lo):
		r.broken(RuleEntry, "it gives %s frames that the kernel sends to another address than its transit address", r.tenantName(tenant))
	case tenant != r.slice.Tenant():
		r.broken(RuleOwner, "its cookie is that of %s, and it takes frames from the kernel for %s", r.tenantName(r.slice.Tenant()), r.tenantName(tenant))
	case !r.is(flows.RegOrigin, flows.OriginGateway):
		r.broken(RuleEntry, "it does not say of frames from the kernel that they came from there, so that they could open connections")
	}
	r.leavesHere()
}

// ct follows a frame through conntrack.
func (r *run) ct(a *of.CT) {
	t := r.liveTenant(r.tenant)
	switch {
	case t == nil:
		r.broken(RuleWrites, "it uses conntrack for frames of no known tenant")
	case a.ZoneField != nil || a.Zone != store.NATZone(r.tenant):
		r.broken(RuleWrites, "it uses a conntrack zone that is not %s's, so that connections of another would be taken for its own", r.tenantName(r.tenant))
	case a.ALG != 0 || a.Force:
		r.broken(RuleAction, "it has conntrack expect or replace connections, which no flow of Sluice does")
	case a.Commit:
		r.commits(a, t)
	case len(a.Exec) > 0 || a.NAT != nil && *a.NAT != of.NAT{}:
		r.broken(RuleWrites, "it translates frames that it does not commit")
	}
	r.leavesHere()
	if a.Table == of.TableAll {
		return
	}
	r.passes = append(r.passes, a.Table)
	r.commit = a.Commit
	r.goes(a.Table, true)
}

// commits holds a new connection against its tenant's transit address and mark.
func (r *run) commits(a *of.CT, t *store.Item[store.Tenant]) {
	transit := of.Address(r.state.Transit().Address(r.tenant))
	marks := run{picture: r.picture, flow: &of.Flow{}}
	for _, e := range a.Exec {
		if !marks.rewrite(e) {
			r.broken(RuleAction, "it does to a connection what no flow of Sluice does (%T)", e)
		}
	}
	switch {
	case a.NAT == nil || !a.NAT.Source || a.NAT.V6 || a.NAT.MinAddress != transit || !a.NAT.MaxAddress.IsZero() && a.NAT.MaxAddress != transit:
		r.broken(RuleWrites, "it opens connections of %s under another source than its transit address %s, so that the answers would be another's",
			r.tenantName(r.tenant), r.state.Transit().Address(r.tenant))
	case !r.is(of.FieldEthType, typeIPv4):
		r.broken(RuleWrites, "it opens connections that are not IPv4, which nothing closes to the infrastructure")
	case len(marks.writes) != 1 || !marks.is(of.FieldCTMark, markOf(t)):
		r.broken(RuleWrites, "it opens connections without the mark of %s, so that a later tenant with its number would get the answers",
			r.tenantName(r.tenant))
	}
}

// markOf is what a tenant's connections are known by.
func markOf(t *store.Item[store.Tenant]) uint64 { return uint64(uint32(t.Created)) }

// lookedUp asks that a frame goes to nat_known as its tenant's zone knows it.
func (r *run) lookedUp() {
	if r.commit {
		r.broken(RuleAction, "it commits a connection before anybody looked whether it may be opened")
	}
}

// opened asks that a frame leaves nat_new with its connection committed.
func (r *run) opened() {
	if !r.commit {
		r.broken(RuleAction, "it lets a new connection out that is not committed, so that nobody would know its answers")
	}
}

// ownConnection asks that a connection is the tenant's own, by its mark, or that there is none.
func (r *run) ownConnection() {
	if t := r.liveTenant(r.tenant); t != nil && r.is(of.FieldCTMark, markOf(t)) {
		return
	}
	r.noConnection()
}

// noConnection asks that the zone knows no connection.
func (r *run) noConnection() {
	if !r.bitsAre(of.FieldCTState, stateTracked, stateTracked|stateEstablished|stateRelated) {
		r.broken(RuleWrites, "it passes frames of connections without the mark of %s, which a tenant that had its number may have opened", r.tenantName(r.tenant))
	}
}

// newConnection asks that the frame may open a connection.
func (r *run) newConnection() {
	if !r.bitsAre(of.FieldCTState, stateTracked|stateNew, stateTracked|stateNew) {
		r.broken(RuleGateway, "it opens connections for frames that are not known to be new")
	}
}

// knownConnection asks that conntrack knows the frame's connection.
func (r *run) knownConnection() {
	const must, valid = stateTracked, stateTracked | stateInvalid
	if !r.bitsAre(of.FieldCTState, must, valid) ||
		!r.bitsAre(of.FieldCTState, stateEstablished, stateEstablished) && !r.bitsAre(of.FieldCTState, stateRelated, stateRelated) {
		r.broken(RuleGateway, "it passes frames of connections that conntrack does not know")
	}
}

// replies asks the same of frames from the kernel. Its own errors may get the tenant's router as their source.
func (r *run) replies() {
	r.knownConnection()
	if !r.is(flows.RegOrigin, flows.OriginGateway) {
		r.broken(RuleGateway, "it takes frames for answers from outside that did not come from the kernel")
	}
	if r.copied(of.FieldIPSrc, of.FieldIPSrc) {
		return
	}
	if v, ok := r.whole(of.FieldIPSrc); !ok || !r.router(address(of.FieldIPSrc, v)) {
		r.broken(RuleSpoof, "it gives frames from the kernel a source that is no router of %s", r.tenantName(r.tenant))
	}
}

// router reports whether an address is a router's in a network of the tenant.
func (r *run) router(a netip.Addr) bool {
	t := r.liveTenant(r.tenant)
	if t == nil {
		return false
	}
	for n := range r.state.NetworksOf(t.Key.Tenant) {
		if slices.ContainsFunc(n.Value.Subnets, func(s store.Subnet) bool { return s.Gateway == a }) {
			return true
		}
	}
	return false
}

// leaves asks that what goes to the kernel has a transit address as its source.
func (r *run) leaves() {
	transit := of.NewMatch(of.Is(of.FieldEthType, typeIPv4), of.In(of.FieldIPSrc, r.state.Transit().Prefix))
	if !within(r.flow.Match, transit) || !r.copied(of.FieldIPSrc, of.FieldIPSrc) {
		r.broken(RuleOutput, "it lets frames out whose source is no transit address, so that they would leave as another's")
	}
}

// bounced holds frames that another gateway host sent back, to be committed here, against the chain.
func (r *run) bounced() {
	hosts, at := r.chain()
	if at != 0 || len(hosts) < 2 || !r.marked(store.BounceMAC, hosts[len(hosts)-1]) {
		r.broken(RuleGateway, "it opens connections for frames that the last of %s's gateway hosts did not send back", r.tenantName(r.tenant))
	}
}

// marked reports whether the flow matches frames with a MAC of the hand-over alone, from a host.
func (r *run) marked(mac store.MAC, from string) bool {
	return r.is(flows.RegOrigin, flows.OriginTunnel) && r.is(of.FieldEthDst, mac.Uint64()) &&
		(r.isOf(of.FieldTunSrc, from) || r.isOf(of.FieldTunIPv6Src, from))
}

// isOf reports whether a field is known to hold a tunnel address of a host.
func (r *run) isOf(f of.Field, host string) bool {
	v, ok := r.whole(f)
	if !ok || v.IsZero() {
		return false
	}
	h := r.state.HostByVTEP(address(f, v))
	return h != nil && h.Key.Host == host
}

// handedOver reports whether the flow matches nothing but what another host of the chain has marked: that
// host refused already what goes to closed ranges.
func (r *run) handedOver() bool {
	hosts, at := r.chain()
	return at > 0 && r.marked(store.HandOverMAC, hosts[at-1]) ||
		at == 0 && len(hosts) > 1 && r.marked(store.BounceMAC, hosts[len(hosts)-1])
}

// handsOver holds a frame that goes on to another gateway host against the chain.
func (r *run) handsOver() {
	hosts, at := r.chain()
	if at < 0 || len(hosts) < 2 {
		r.broken(RuleGateway, "it hands frames of %s over to another host, and its gateway does not move", r.tenantName(r.tenant))
		return
	}
	to, mac := hosts[0], store.BounceMAC
	if at < len(hosts)-1 {
		to, mac = hosts[at+1], store.HandOverMAC
	}
	if !r.is(of.FieldEthDst, mac.Uint64()) || !r.isOf(of.FieldTunDst, to) && !r.isOf(of.FieldTunIPv6Dst, to) {
		r.broken(RuleGateway, "it hands frames of %s over, and not to host %s, which is next in the chain of its gateway hosts", r.tenantName(r.tenant), to)
	}
}

// sendsOn is a frame that goes from one tunnel into another.
func (r *run) sendsOn() {
	r.handsOver()
	if !r.is(flows.RegOrigin, flows.OriginHandOver) {
		r.broken(RuleGateway, "it sends frames on that came by tunnel, and does not say so, so that they could circle")
	}
}

// sendsOwn is the frame of a container here, which counts as sent.
func (r *run) sendsOwn() {
	r.handsOver()
	if !r.is(flows.RegOrigin, flows.OriginPort) {
		r.broken(RuleGateway, "it counts frames as sent by a container here that came from elsewhere")
	}
}
