package flows

import (
	of "sluice/datapath/openflow"
	"sluice/store"
)

// Directions and scopes of a Class.
const (
	DirectionIn  = "in"  // to a port
	DirectionOut = "out" // from a port

	ScopeInternal = "internal" // between ports of the tenant
	ScopeEgress   = "egress"   // through its gateway host
	ScopePort     = "port"     // of drops: by the limit of one port

	ScopePeering = "peering" // between ports of the tenant and of one that it is peered with

	ScopePublished = "published" // between the outside and a published port

	// ScopeGateway is apart from the others: what they count as egress and published is counted once more where it leaves
	// for the kernel of a gateway host, and where it comes from there.
	ScopeGateway = "gateway"
)

// Class is what a counting flow counts: a direction and scope of a tenant's traffic, or
// the reason of a drop.
type Class struct {
	Tenant    uint32 // its number; 0: no tenant was known
	Direction string // empty for drops
	Scope     string // empty for drops, but for those of a port's meter
	Reason    string // one of Reasons, empty for traffic
}

// Classes are all that anything counts for one tenant.
func Classes(tenant uint32) (list []Class) {
	for _, scope := range []string{ScopeInternal, ScopeEgress, ScopePeering, ScopePublished, ScopeGateway} {
		list = append(list, Class{Tenant: tenant, Direction: DirectionIn, Scope: scope}, Class{Tenant: tenant, Direction: DirectionOut, Scope: scope})
	}
	for _, r := range Reasons() {
		list = append(list, Class{Tenant: tenant, Reason: r.Name})
	}
	return append(list, PortRateLimited(tenant), Class{Tenant: tenant, Reason: reason(0).String()})
}

// Account says what a flow counts; ok is false for flows that count nothing.
//
// Traffic counts once in each direction: out on the host whose container sent it, in on
// the host whose container gets it (once for each that gets a copy). What the switch
// answers itself, and what is refused, is neither.
func Account(f *of.Flow) (c Class, ok bool) {
	switch f.Table {
	case tableAccountOut:
		if from, known := f.Match.Get(regOrigin); known && from.Value.Lo == originGateway {
			return Class{Tenant: tenantOf(f), Direction: DirectionIn, Scope: ScopeGateway}, true
		}
		scope, counts := f.Match.Get(regScope)
		c = Class{Tenant: tenantOf(f), Direction: DirectionOut, Scope: scopeName(scope.Value.Lo)}
		if from, crossed := f.Match.Get(regFrom); crossed {
			c.Tenant = uint32(from.Value.Lo)
		}
		return c, counts
	case tableAccountIn:
		if to, known := f.Match.Get(regDestination); known && to.Value.Lo == gatewayPort {
			return Class{Tenant: tenantOf(f), Direction: DirectionOut, Scope: ScopeGateway}, tenantOf(f) != 0
		}
		sender, _ := f.Match.Get(of.FieldEthSrc)
		c = Class{Tenant: tenantOf(f), Direction: DirectionIn, Scope: ScopeInternal}
		switch sender.Value.Lo {
		case store.KernelMAC.Uint64():
			c.Scope = ScopeEgress
		case store.PeerMAC.Uint64():
			c.Scope = ScopePeering
		case store.PublishedMAC.Uint64():
			c.Scope = ScopePublished
		}
		return c, c.Tenant != 0
	case tableDrop:
		why, _ := f.Match.Get(regReason)
		return Class{Tenant: tenantOf(f), Reason: reason(why.Value.Lo).String()}, true
	}
	return Class{}, false
}

// ConnectionLimited is the class of what the limit of a tenant's connections refused, BroadcastLimited
// that of what the limit of its broadcasts did.
func ConnectionLimited(tenant uint32) Class {
	return Class{Tenant: tenant, Reason: reasonConnectionLimit.String()}
}

// RateLimited is the class of what a gateway host dropped by the limits of a tenant's rate, PortRateLimited that of what
// the limits of its ports did.
func RateLimited(tenant uint32) Class { return Class{Tenant: tenant, Reason: reasonRate.String()} }

// PortRateLimited is the class of ports: see RateLimited. Their meters come and go with them, so that it is a sum apart.
func PortRateLimited(tenant uint32) Class {
	return Class{Tenant: tenant, Scope: ScopePort, Reason: reasonRate.String()}
}

// BroadcastLimited is the class of broadcasts: see ConnectionLimited.
func BroadcastLimited(tenant uint32) Class {
	return Class{Tenant: tenant, Reason: reasonBroadcastLimit.String()}
}

// AccountTables are the tables whose flows count: a poll reads these and no others.
func AccountTables() []uint8 { return []uint8{tableAccountOut, tableAccountIn, tableDrop} }

// tenantOf is the number that a flow's match of metadata names, or 0.
func tenantOf(f *of.Flow) uint32 {
	m, _ := f.Match.Get(of.FieldMetadata)
	return uint32(m.Value.Lo >> 32)
}
