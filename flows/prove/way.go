package prove

import (
	"slices"

	"sluice/flows"

	of "sluice/datapath/openflow"
)

// This file says where flows may go from which table, what they may change on that way, and what
// is asked of them.

// way is a step from one table to a later one.
type way struct {
	from, to  uint8
	conntrack bool       // it leads through conntrack
	writes    []of.Field // what flows may change on it, beside the reason and the scope
	// everybody, tenant, peering and published ask of a flow that is nobody's, a tenant's, of a peering or of a publication, what
	// the way asks. Nil: such a flow may not go it.
	everybody, tenant, peering, published func(*run)
}

var (
	tunnelTo = []of.Field{of.FieldTunDst, of.FieldTunIPv6Dst}
	onward   = slices.Concat(tunnelTo, []of.Field{flows.RegDestination})
	headers  = []of.Field{of.FieldEthSrc, of.FieldEthDst, of.FieldARPOp, of.FieldARPSHA, of.FieldARPTHA, of.FieldARPSPA, of.FieldARPTPA,
		of.FieldIPSrc, of.FieldIPDst, of.FieldIPv6Src, of.FieldIPv6Dst, of.FieldICMPType, of.FieldICMPv6Type, of.FieldIPTTL,
		of.FieldNDOptionsType, of.FieldNDTLL, of.FieldNDReserved}
	asking  = []of.Field{of.FieldEthSrc, of.FieldEthDst, of.FieldIPDst, of.FieldIPv6Dst, flows.RegDestination}
	marking = slices.Concat(tunnelTo, []of.Field{of.FieldInPort, of.FieldEthDst})
)

// ways are all that there are. They only lead forward.
var ways = []way{
	{from: flows.TableClassify, to: flows.TableDecap, writes: []of.Field{flows.RegOrigin}, everybody: (*run).fromTunnel},
	{from: flows.TableClassify, to: flows.TableTrunk, writes: []of.Field{flows.RegOrigin}, everybody: (*run).fromTrunk},
	{from: flows.TableTrunk, to: flows.TableForward, writes: []of.Field{of.FieldMetadata, of.FieldVLANVID}, tenant: (*run).untags},
	{from: flows.TableClassify, to: flows.TableAdmit, writes: []of.Field{flows.RegOrigin, flows.RegSource, of.FieldMetadata}, tenant: (*run).fromPort},
	{from: flows.TableClassify, to: flows.TableResolve, writes: []of.Field{flows.RegOrigin, flows.RegSource}, everybody: (*run).kernelAsks},
	{from: flows.TableClassify, to: flows.TableNAT, writes: []of.Field{flows.RegOrigin, of.FieldMetadata}, tenant: (*run).fromKernel},
	{from: flows.TableClassify, to: flows.TableL3Resolve, writes: []of.Field{flows.RegOrigin, of.FieldMetadata, of.FieldEthSrc, of.FieldIPSrc, of.FieldIPv6Src},
		everybody: (*run).fromResolver},
	{from: flows.TableDecap, to: flows.TableRoute, writes: []of.Field{of.FieldMetadata, of.FieldVLANVID}, tenant: (*run).decaps},

	{from: flows.TableAdmit, to: flows.TableAdmitND, tenant: func(r *run) { r.admits(flows.TableAdmitND) }},
	{from: flows.TableAdmit, to: flows.TableResolve, tenant: func(r *run) { r.admits(flows.TableResolve) }},
	{from: flows.TableAdmitND, to: flows.TableResolve, everybody: (*run).anything, tenant: (*run).anything},

	{from: flows.TableResolve, to: flows.TableAnswer, writes: headers, everybody: (*run).everybodysAsked, tenant: (*run).answersFor},
	{from: flows.TableResolve, to: flows.TableRoute, everybody: (*run).anything, tenant: (*run).anything},
	{from: flows.TableResolve, to: flows.TableForward, writes: []of.Field{of.FieldEthDst}, tenant: (*run).anything},

	{from: flows.TableRoute, to: flows.TableAnswer, tenant: (*run).echoes, peering: (*run).echoes},
	{from: flows.TableRoute, to: flows.TableHop, tenant: (*run).anything},
	{from: flows.TableRoute, to: flows.TableHop, writes: []of.Field{of.FieldMetadata, flows.RegFrom}, peering: (*run).crosses},
	{from: flows.TableRoute, to: flows.TableSteer, writes: []of.Field{flows.RegGateway}, tenant: (*run).steered, published: (*run).steered},
	{from: flows.TableRoute, to: flows.TableNAT, writes: []of.Field{flows.RegOrigin}, tenant: (*run).entersNAT, published: (*run).entersNAT},
	{from: flows.TableRoute, to: flows.TableNATNew, tenant: (*run).bounced},
	{from: flows.TableRoute, to: flows.TableEncap, writes: slices.Concat(marking, []of.Field{flows.RegOrigin}), tenant: (*run).asksOn},
	{from: flows.TableRoute, to: flows.TableForward, everybody: (*run).anything, tenant: (*run).anything},
	{from: flows.TableRoute, to: flows.TableAccountOut, writes: asking, everybody: (*run).asksResolver},
	{from: flows.TableRoute, to: flows.TableAccountOut, writes: tunnelTo, tenant: (*run).anything, published: (*run).anything},

	{from: flows.TableAnswer, to: flows.TableDeliver, writes: slices.Concat(headers, []of.Field{of.FieldInPort, flows.RegDestination}),
		everybody: (*run).answers, tenant: (*run).answers},
	{from: flows.TableHop, to: flows.TableL3Resolve, writes: []of.Field{of.FieldEthSrc, of.FieldIPTTL}, everybody: (*run).anything, tenant: (*run).anything},

	{from: flows.TableSteer, to: flows.TableNAT, everybody: (*run).anything}, // only egress comes to steer, and nat is closed where a tenant has no gateway
	{from: flows.TableSteer, to: flows.TableAccountOut, writes: tunnelTo, everybody: (*run).anything},

	{from: flows.TableNAT, to: flows.TableNATKnown, conntrack: true, tenant: (*run).lookedUp},
	{from: flows.TableNATKnown, to: flows.TableNATState, everybody: (*run).noConnection, tenant: (*run).ownConnection, published: (*run).publishedConnection},
	{from: flows.TableNATState, to: flows.TableNATNew, everybody: (*run).newConnection, tenant: (*run).newConnection},
	{from: flows.TableNATState, to: flows.TableNATOut, everybody: (*run).knownConnection, tenant: (*run).knownConnection},
	{from: flows.TableNATState, to: flows.TableL3Resolve, writes: []of.Field{of.FieldEthSrc}, everybody: (*run).replies, published: (*run).goesOnPublished},
	{from: flows.TableNATState, to: flows.TableL3Resolve, conntrack: true, writes: []of.Field{of.FieldEthSrc}, published: (*run).opensPublished},
	{from: flows.TableNATState, to: flows.TableL3Resolve, writes: []of.Field{of.FieldEthSrc, of.FieldIPSrc}, tenant: (*run).replies},
	{from: flows.TableNATState, to: flows.TableAccountOut, writes: marking, tenant: (*run).sendsOwn},
	{from: flows.TableNATState, to: flows.TableEncap, writes: slices.Concat(marking, []of.Field{flows.RegOrigin}), tenant: (*run).sendsOn},
	{from: flows.TableNATNew, to: flows.TableNATOut, conntrack: true, tenant: (*run).opened},
	{from: flows.TableNATOut, to: flows.TableAccountOut, writes: []of.Field{of.FieldEthSrc, of.FieldEthDst, flows.RegDestination},
		everybody: (*run).leaves, tenant: (*run).leaves},
	{from: flows.TableL3Resolve, to: flows.TableForward, writes: []of.Field{of.FieldMetadata, of.FieldEthDst}, tenant: (*run).routed},

	{from: flows.TableForward, to: flows.TableAccountOut, writes: onward, tenant: (*run).forwards},
	{from: flows.TableForward, to: flows.TableAccountIn, writes: onward, tenant: (*run).forwards},
	{from: flows.TableForward, to: flows.TableEncap, writes: slices.Concat(onward, []of.Field{flows.RegOrigin, of.FieldInPort}), tenant: (*run).sendsAway},
	{from: flows.TableAccountOut, to: flows.TableAccountIn, everybody: (*run).anything, tenant: (*run).anything},
	{from: flows.TableAccountIn, to: flows.TableDeliver, everybody: (*run).anything, tenant: (*run).anything},
	{from: flows.TableAccountIn, to: flows.TableEncap, everybody: (*run).goesAway, tenant: (*run).goesAway},
}

// goes holds a frame's way to another table against what the way asks, with what was written until then.
func (r *run) goes(to uint8, conntrack bool) {
	if to == flows.TableDrop && r.flow.Table < to {
		return // whatever it is now, it ends there
	}
	for i := range ways {
		w := &ways[i]
		if w.from != r.flow.Table || w.to != to || w.conntrack != conntrack {
			continue
		}
		if asks := w.asks(r.slice); asks != nil {
			r.writesKeepTo(w)
			asks(r)
			return
		}
	}
	whose := "a tenant's"
	switch {
	case r.slice.Tenant() == 0:
		whose = "everybody's"
	case r.slice.Kind() == flows.KindPeering:
		whose = "a peering's"
	case r.slice.Kind() == flows.KindPublished:
		whose = "a publication's"
	}
	r.broken(RuleAction, "it sends frames from table %s to table %s, where no flow of %s goes", flows.TableName(r.flow.Table), flows.TableName(to), whose)
}

func (w *way) asks(sl flows.Slice) func(*run) {
	switch {
	case sl.Tenant() == 0:
		return w.everybody
	case sl.Kind() == flows.KindPeering:
		return w.peering
	case sl.Kind() == flows.KindPublished:
		return w.published
	}
	return w.tenant
}

// writesKeepTo holds what the flow has changed against what it may change on its way.
func (r *run) writesKeepTo(w *way) {
	for i := range r.writes {
		f, v := r.writes[i].field, r.writes[i].value
		switch {
		case v.of == f, f == flows.RegReason, f == flows.RegScope:
		case w.from == flows.TableForward && v == (value{}) && (f == of.FieldVLANVID || f == of.FieldTunID):
			// what is left of a copy: encap writes both anew
		case !slices.Contains(w.writes, f):
			r.broken(ruleOf(f), "it changes %s on the way from table %s to table %s, where no flow of Sluice does", f,
				flows.TableName(w.from), flows.TableName(w.to))
		default:
			r.keepsTo(w, f)
		}
	}
}

// ruleOf is the rule that a change of a field breaks.
func ruleOf(f of.Field) Rule {
	if slices.Contains(headers, f) {
		return RuleSpoof
	}
	return RuleWrites
}

// keepsTo holds the value that a field got against the flow's tenant.
func (r *run) keepsTo(w *way, f of.Field) {
	answers := w.from == flows.TableAnswer || w.to == flows.TableAnswer
	switch {
	case f == of.FieldMetadata && w.from > flows.TableTrunk && w.peering == nil:
		r.writesMetadata()
	case f == flows.RegDestination:
		r.writesDestination()
	case f == of.FieldTunDst || f == of.FieldTunIPv6Dst:
		r.writesTunnel(f)
	case f == of.FieldInPort && !r.noPort():
		r.broken(RuleWrites, "it says of frames that they came in by another port")
	case f == of.FieldEthSrc && !answers:
		r.ownMAC()
	}
}
