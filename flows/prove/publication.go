package prove

import (
	"sluice/flows"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// This file says what a publication may let in from outside: new connections to its own ports of the gateway host, which
// go to the container that it names, under its own mark.

// published is the publication of the flow's slice; nil: none that is let in is there.
func (r *run) published() *store.Item[store.Publication] {
	t := r.liveTenant(r.slice.Tenant())
	if t == nil {
		return nil
	}
	at := r.slice.Published()
	for p := range r.state.PublicationsAt(at) {
		if p.Key.Tenant == t.Key.Tenant && p.Value.On == at.Port && r.state.Unpublished(p) == "" {
			return p
		}
	}
	return nil
}

// publications is a flow of a publication. Its frames are those of its tenant.
func (r *run) publications() {
	r.tenants()
	if r.published() == nil {
		r.broken(RuleOwner, "its cookie is of a publication that is not there")
	}
}

// publishedConnection asks that a connection is one of the publication's, by its mark.
func (r *run) publishedConnection() {
	if p := r.published(); p != nil && !r.is(of.FieldCTMark, uint64(store.PublicationMark(p))) {
		r.broken(RuleWrites, "it passes frames of connections without the mark of the publication, which another may have opened")
	}
}

// goesOnPublished asks the same of frames from the kernel that go to a container.
func (r *run) goesOnPublished() {
	r.publishedConnection()
	if !r.is(flows.RegOrigin, flows.OriginGateway) || !r.bitsAre(of.FieldCTState, stateTracked, stateTracked|stateInvalid) {
		r.broken(RuleGateway, "it takes frames for those of a published connection that did not come from the kernel, or that conntrack finds wrong")
	}
}

// commitsPublished holds a new connection from outside against its publication.
func (r *run) commitsPublished(a *of.CT) {
	p := r.published()
	if p == nil {
		return
	}
	_, address, nowhere := r.state.PublishedPort(p)
	if nowhere != "" {
		r.broken(RuleWrites, "it opens connections from outside, and %s", nowhere)
		return
	}
	to, ok := r.leads(p)
	marks := run{picture: r.picture, flow: &of.Flow{}}
	for _, e := range a.Exec {
		if !marks.rewrite(e) {
			r.broken(RuleAction, "it does to a connection what no flow of Sluice does (%s)", actionText(e))
		}
	}
	nat := of.NAT{Destination: true, MinAddress: of.Address(address), MinPort: to}
	switch {
	case !ok:
		r.broken(RuleGateway, "it opens connections from outside to what publication %s/%s does not publish", p.Key.Tenant, p.Key.Name)
	case a.NAT == nil || *a.NAT != nat:
		r.broken(RuleWrites, "it opens connections from outside to another container or port than publication %s/%s leads to", p.Key.Tenant, p.Key.Name)
	case len(marks.writes) != 1 || !marks.is(of.FieldCTMark, uint64(store.PublicationMark(p))):
		r.broken(RuleWrites, "it opens connections without the mark of publication %s/%s, so that they would go on when that ends", p.Key.Tenant, p.Key.Name)
	}
}

// leads is the port of the container to which new connections lead that the flow matches; false: they are none from outside to
// one port of the publication.
func (r *run) leads(p *store.Item[store.Publication]) (to uint16, ok bool) {
	protocol, port := uint64(of.ProtoTCP), of.FieldTCPDst
	if p.Value.Protocol == store.ProtocolUDP {
		protocol, port = of.ProtoUDP, of.FieldUDPDst
	}
	on, known := r.number(port)
	transit := r.transitOf(r.tenant)
	ok = known && r.is(of.FieldEthType, typeIPv4) && r.is(of.FieldIPProto, protocol) && r.is(of.FieldIPDst, transit.Lo) &&
		r.is(flows.RegOrigin, flows.OriginGateway) && r.bitsAre(of.FieldCTState, stateTracked|stateNew, stateTracked|stateNew|stateInvalid)
	if !ok || on < uint64(p.Value.On) || on >= uint64(p.Value.On)+uint64(p.Value.Count) {
		return 0, false
	}
	return p.Value.First + uint16(on-uint64(p.Value.On)), true
}

// opensPublished asks that a frame leaves for a container with its connection committed.
func (r *run) opensPublished() {
	if !r.commit {
		r.broken(RuleAction, "it lets a connection in from outside that is not committed, so that it would go on when the publication ends")
	}
}
