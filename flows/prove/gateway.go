package prove

import (
	"net/netip"
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says by which hosts a tenant leaves: under which transit address, zone and mark, and which
// ways its gateway hosts have between them while the gateway moves.

// Bits of ct_state (ovs-fields(7)).
const (
	stateNew         = 0x01
	stateEstablished = 0x02
	stateRelated     = 0x04
	stateInvalid     = 0x10
	stateTracked     = 0x20
)

// gatewayHosts are the hosts that hold flows of a tenant's gateway, and whether this is one of them.
func (r *run) gatewayHosts() (hosts []string, here bool) {
	t := r.liveTenant(r.tenant)
	if t == nil {
		return nil, false
	}
	g := r.state.Gateway(t.Key.Tenant)
	if g == nil {
		return nil, false
	}
	hosts = g.Value.Members()
	return hosts, slices.Contains(hosts, r.host)
}

// leavesHere asks that this is a gateway host of the tenant.
func (r *run) leavesHere() {
	if _, here := r.gatewayHosts(); !here {
		r.broken(RuleGateway, "it takes egress of %s through this host, which is no gateway host of it", r.tenantName(r.tenant))
	}
}

// slotOf is what this host tells a tenant's connections by; 0: it has no slot here, and no connection is its own.
func (r *run) slotOf(number uint32) uint32 {
	t := r.liveTenant(number)
	if t == nil {
		return 0
	}
	return r.state.Slot(r.host, t)
}

// transitOf is a tenant's transit address on this host. Without a slot that is the range's first, which is nobody's.
func (r *run) transitOf(number uint32) of.Value {
	return of.Address(r.state.Transit().Address(r.slotOf(number)))
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
	case !r.is(of.FieldEthType, typeIPv4) || !r.is(of.FieldIPDst, r.transitOf(tenant).Lo):
		r.broken(RuleEntry, "it gives %s frames that the kernel sends to another address than its transit address", r.tenantName(tenant))
	case tenant != r.slice.Tenant():
		r.broken(RuleOwner, "its cookie is that of %s, and it takes frames from the kernel for %s", r.tenantName(r.slice.Tenant()), r.tenantName(tenant))
	case !r.is(flows.RegOrigin, flows.OriginGateway):
		r.broken(RuleEntry, "it does not say of frames from the kernel that they came from there, so that they could open connections")
	}
	r.kernelsUntagged()
	r.leavesHere()
}

// kernelsUntagged asks that frames from the kernel have no tag: nothing takes one off before a container gets them.
func (r *run) kernelsUntagged() {
	if !r.bitsAre(of.FieldVLANVID, 0, tagPresent) {
		r.broken(RuleEntry, "it takes frames with a VLAN tag from the kernel, which a container would get with their tag")
	}
}

// ct follows a frame through conntrack.
func (r *run) ct(a *of.CT) {
	t := r.liveTenant(r.tenant)
	switch {
	case t == nil:
		r.broken(RuleWrites, "it uses conntrack for frames of no known tenant")
	case a.ZoneField != nil || a.Zone == 0 || a.Zone != store.NATZone(r.slotOf(r.tenant)):
		r.broken(RuleWrites, "it uses a conntrack zone that is not %s's, so that connections of another would be taken for its own", r.tenantName(r.tenant))
	case a.ALG != 0 || a.Force:
		r.broken(RuleAction, "it has conntrack expect or replace connections, which no flow of Sluice does")
	case a.Commit && r.slice.Kind() == flows.KindPublished:
		r.commitsPublished(a)
	case a.Commit:
		r.commits(a, t)
	case len(a.Exec) > 0 || a.NAT != nil && *a.NAT != of.NAT{}:
		r.broken(RuleWrites, "it translates frames that it does not commit")
	}
	r.leavesHere()
	if a.Table == of.TableAll {
		r.broken(RuleAction, "it looks a connection up or opens one, and goes nowhere with it, so that the connection would be known past what refuses it")
		return
	}
	r.passes = append(r.passes, a.Table)
	r.commit = a.Commit
	r.goes(a.Table, true)
}

// commits holds a new connection against its tenant's transit address and mark.
func (r *run) commits(a *of.CT, t *store.Item[store.Tenant]) {
	transit := r.transitOf(r.tenant)
	marks := run{picture: r.picture, flow: &of.Flow{}}
	for _, e := range a.Exec {
		if !marks.rewrite(e) {
			r.broken(RuleAction, "it does to a connection what no flow of Sluice does (%s)", actionText(e))
		}
	}
	switch {
	case a.NAT == nil || !a.NAT.Source || a.NAT.V6 || a.NAT.MinAddress != transit || !a.NAT.MaxAddress.IsZero() && a.NAT.MaxAddress != transit:
		r.broken(RuleWrites, "it opens connections of %s under another source than its transit address %s, so that the answers would be another's",
			r.tenantName(r.tenant), r.state.Transit().Address(r.slotOf(r.tenant)))
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

// bounced holds frames that another gateway host sent back, to be committed here.
func (r *run) bounced() {
	if !r.cameBy(store.BounceMAC) {
		r.broken(RuleGateway, "it opens connections for frames that no other of %s's gateway hosts sent back", r.tenantName(r.tenant))
	}
}

// entersNAT asks that this is a gateway host of the tenant, and that only what another one asks for is said to be that.
func (r *run) entersNAT() {
	r.leavesHere()
	asked := r.cameBy(store.HandOverMAC)
	switch {
	case r.copied(flows.RegOrigin, flows.RegOrigin):
	case !r.is(flows.RegOrigin, flows.OriginHandOver):
		r.broken(RuleGateway, "it says of frames on their way out that they came from elsewhere, so that they could pass as answers from outside")
	case !asked:
		r.broken(RuleGateway, "it says of frames that another gateway host of %s asks for them, and they may come from elsewhere", r.tenantName(r.tenant))
	}
	if !asked && !r.is(of.FieldEthDst, store.RouterMAC.Uint64()) {
		r.broken(RuleGateway, "it takes frames of %s out that are not for its router, so that what a peered tenant sent to a container of it would leave as its own", r.tenantName(r.tenant))
	}
}

// steered asks that what a switch may send to one gateway host or another is egress of a container here.
func (r *run) steered() {
	if !r.is(of.FieldEthDst, store.RouterMAC.Uint64()) || !r.is(of.FieldEthType, typeIPv4) || !r.is(flows.RegOrigin, flows.OriginPort) {
		r.broken(RuleGateway, "it steers frames of %s to a gateway host that are not a container's here for its router", r.tenantName(r.tenant))
	}
}

// cameBy reports whether the flow matches nothing but frames with a MAC of the hand-over, by tunnel from
// another gateway host of the tenant.
func (r *run) cameBy(mac store.MAC) (came bool) {
	hosts, here := r.gatewayHosts()
	r.asItWas(func(r *run) {
		came = here && r.is(flows.RegOrigin, flows.OriginTunnel) && r.is(of.FieldEthDst, mac.Uint64()) && slices.ContainsFunc(hosts, func(host string) bool {
			return host != r.host && (r.isOf(of.FieldTunSrc, host) || r.isOf(of.FieldTunIPv6Src, host))
		})
	})
	return came
}

// marks are frames with a MAC by which gateway hosts ask each other: what has one was looked at by the host that sends it.
var marks = []of.Match{of.NewMatch(of.Is(of.FieldEthDst, store.HandOverMAC.Uint64())), of.NewMatch(of.Is(of.FieldEthDst, store.BounceMAC.Uint64()))}

// forwards asks that a container's frame enters no tunnel with such a mark.
func (r *run) forwards() {
	if r.copied(of.FieldTunDst, of.FieldTunDst) && r.copied(of.FieldTunIPv6Dst, of.FieldTunIPv6Dst) {
		return
	}
	for _, m := range marks {
		if !apart(r.flow.Match, m) {
			r.brokenFor(m, RuleGateway, "it sends frames into a tunnel that may be marked as those that gateway hosts ask each other for, and which nobody refuses any more")
		}
	}
}

// asksOn holds a question that goes on to the next gateway host, since another one sent it back.
func (r *run) asksOn() {
	r.sendsOn()
	if !r.cameBy(store.BounceMAC) {
		r.broken(RuleGateway, "it sends frames of %s on that none of its other gateway hosts sent back", r.tenantName(r.tenant))
	}
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

// handedOver reports whether the flow matches nothing but what another gateway host has marked: that
// host refused already what goes to closed ranges.
func (r *run) handedOver() bool {
	return r.cameBy(store.HandOverMAC) || r.cameBy(store.BounceMAC)
}

// handsOver holds a frame that goes on to another gateway host against who they are.
func (r *run) handsOver() {
	hosts, here := r.gatewayHosts()
	if !here || len(hosts) < 2 {
		r.broken(RuleGateway, "it hands frames of %s over to another host, and its gateway does not move", r.tenantName(r.tenant))
		return
	}
	marked := r.is(of.FieldEthDst, store.HandOverMAC.Uint64()) || r.is(of.FieldEthDst, store.BounceMAC.Uint64())
	if !marked || !slices.ContainsFunc(hosts, func(host string) bool {
		return host != r.host && (r.isOf(of.FieldTunDst, host) || r.isOf(of.FieldTunIPv6Dst, host))
	}) {
		r.broken(RuleGateway, "it hands frames of %s over, and not to one of its gateway hosts %v", r.tenantName(r.tenant), hosts)
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
