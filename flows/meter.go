package flows

import (
	of "sluice/datapath/openflow"
	"sluice/store"
)

// A meter's number says what it bounds, and not its rate: a rate is changed in the meter alone, and no flow with it.
// Numbers stay under 200,000, the most meters that a Linux kernel has. Those below portMeters are of tenants, four
// for each slot of a host; above are those of ports, by the number of the OpenFlow port.
const (
	meterKindBits = 2
	portMeters    = (store.MaxSlot + 1) << meterKindBits
	mostMeters    = 200_000
	// meteredPorts is the first OpenFlow port number for which there are no meters.
	meteredPorts = (mostMeters - portMeters) / portMeterKinds
)

// Kinds of meters of a tenant, in the low bits of their numbers.
const (
	// meterNetwork is what one network of a tenant broadcasts whose number is no slot's. It has the OpenFlow port of one of
	// the network's ports before it.
	meterNetwork    = iota
	meterBroadcasts // what all of a tenant's networks broadcast, by the tenant's number
	meterEgress     // what its containers send out by this gateway host, by its slot here
	meterIngress    // what comes back to them by it
)

// Kinds of meters of a port.
const (
	meterPortEgress  = iota // what its container sends
	meterPortIngress        // what it gets
	portMeterKinds
)

// Meter is a meter that flows name, and whose it is.
type Meter struct {
	of.MeterSpec
	// Class is what the frames that it drops count as.
	Class Class
	// Owner is the create revision of what it bounds. What it counted for another owner is none of this one's.
	Owner store.Revision
}

// rateMeter bounds what a tenant sends and gets by this gateway host.
func (t *tenantAt) rateMeter(kind uint32) of.Meter {
	return of.Meter{ID: t.slot<<meterKindBits | kind}
}

// broadcastMeter bounds what the tenant's ports on one host broadcast: each frame is copied to all ports and hosts of
// its network. Of a tenant whose number is no slot's each network has a meter of its own, under the least OpenFlow port
// that it has here; false: no port has a number that is a slot's.
func (c *compiler) broadcastMeter(n *networkAt) (m of.Meter, ok bool) {
	if number := n.tenant.number(); number <= store.MaxSlot {
		return of.Meter{ID: number<<meterKindBits | meterBroadcasts}, true
	}
	least := uint32(store.MaxSlot + 1)
	for _, p := range c.state.PortsAt(c.host, n.Key.NetworkName()) {
		if ofport := c.ofport[p.Value.Interface]; ofport != 0 && len(c.portProblems(p)) == 0 {
			least = min(least, ofport)
		}
	}
	return of.Meter{ID: least<<meterKindBits + meterNetwork}, least <= store.MaxSlot
}

// metered puts a meter before the actions of a flow, where there is a limit.
func metered(rate store.Rate, m of.Meter, actions ...of.Action) []of.Action {
	if rate.Kbps == 0 {
		return actions
	}
	return append([]of.Action{m}, actions...)
}

// meter bounds what a port here sends or gets.
func (p *portAt) meter(kind uint32) of.Meter {
	return of.Meter{ID: portMeters + p.ofport*portMeterKinds + kind}
}

// sameBroadcasts reports whether two tenants may broadcast alike.
func sameBroadcasts(a, b *store.Tenant) bool {
	return a.Limits.MaxBroadcasts() == b.Limits.MaxBroadcasts()
}

// sameRates reports whether gateway hosts bound what two tenants send and get by them alike.
func sameRates(a, b *store.Tenant) bool {
	return a.Limits.EgressKbps == b.Limits.EgressKbps && a.Limits.IngressKbps == b.Limits.IngressKbps
}

// samePortRates reports whether what each port sends and gets is bounded alike.
func samePortRates(a, b *store.Tenant) bool {
	return a.Limits.PortEgressKbps == b.Limits.PortEgressKbps && a.Limits.PortIngressKbps == b.Limits.PortIngressKbps
}

// MeterOf is the meter that a flow names, as it is to be; ok is false where it names none, or one of an object that
// is not there. It must be there before the flow comes.
func MeterOf(s *store.State, f *of.Flow) (m Meter, ok bool) {
	named, ok := namedMeter(f)
	switch {
	case !ok:
		return m, false
	case named.ID < portMeters:
		return tenantMeter(s.TenantByNumber(Slice(f.Cookie).Tenant()), named.ID)
	}
	p := s.PortByNumber(Slice(f.Cookie).object())
	if p == nil {
		return m, false
	}
	return portMeter(s.Tenant(p.Key.Tenant), p, named.ID)
}

// tenantMeter is one of a tenant's meters.
func tenantMeter(t *store.Item[store.Tenant], id uint32) (m Meter, ok bool) {
	if t == nil {
		return m, false
	}
	rates := map[uint32]of.MeterSpec{
		meterNetwork:    packets(t.Value.Limits.MaxBroadcasts()),
		meterBroadcasts: packets(t.Value.Limits.MaxBroadcasts()),
		meterEgress:     kilobits(store.RateOf(t.Value.Limits.EgressKbps, 0)),
		meterIngress:    kilobits(store.RateOf(t.Value.Limits.IngressKbps, 0)),
	}
	m = Meter{MeterSpec: rates[id%(1<<meterKindBits)], Owner: t.Created, Class: MeterClass(t.Value.Number, id)}
	m.ID = id
	return m, m.Rate > 0
}

// portMeter is one of a port's meters.
func portMeter(t *store.Item[store.Tenant], p *store.Item[store.Port], id uint32) (m Meter, ok bool) {
	if t == nil {
		return m, false
	}
	rate := p.Value.Egress(t.Value.Limits)
	if (id-portMeters)%portMeterKinds == meterPortIngress {
		rate = p.Value.Ingress(t.Value.Limits)
	}
	m = Meter{MeterSpec: kilobits(rate), Owner: p.Created, Class: MeterClass(t.Value.Number, id)}
	m.ID = id
	return m, m.Rate > 0
}

// MeterClass is what a tenant's meter of some number counts as.
func MeterClass(tenant, id uint32) Class {
	switch {
	case id >= portMeters:
		return PortRateLimited(tenant)
	case id%(1<<meterKindBits) <= meterBroadcasts:
		return BroadcastLimited(tenant)
	}
	return RateLimited(tenant)
}

// MeterBound is what a meter bounds, in a word: broadcasts, egress or ingress.
func MeterBound(id uint32) string {
	const broadcasts, egress, ingress = "broadcasts", "egress", "ingress"
	if id >= portMeters {
		return [portMeterKinds]string{egress, ingress}[(id-portMeters)%portMeterKinds]
	}
	return [1 << meterKindBits]string{broadcasts, broadcasts, egress, ingress}[id%(1<<meterKindBits)]
}

// packets is a meter of so many frames a second.
func packets(rate int) of.MeterSpec {
	return of.MeterSpec{Unit: of.MeterPackets, Rate: uint32(rate), Burst: uint32(rate)}
}

// kilobits is a meter of so many kilobits a second.
func kilobits(rate store.Rate) of.MeterSpec {
	return of.MeterSpec{Unit: of.MeterKilobits, Rate: rate.Kbps, Burst: rate.Burst}
}

// namedMeter is the meter that a flow names. It comes first among the actions.
func namedMeter(f *of.Flow) (m of.Meter, ok bool) {
	if len(f.Actions) > 0 {
		m, ok = f.Actions[0].(of.Meter)
	}
	return m, ok
}
