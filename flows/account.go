package flows

import of "sluice/datapath/openflow"

// Directions and scopes of a Class.
const (
	DirectionIn  = "in"  // to a port
	DirectionOut = "out" // from a port

	ScopeInternal = "internal" // between ports of the tenant
	ScopeEgress   = "egress"   // through its gateway host
)

// Class is what a counting flow counts: a direction and scope of a tenant's traffic, or
// the reason of a drop.
type Class struct {
	Tenant    uint32 // its number; 0: no tenant was known
	Direction string // empty for drops
	Scope     string // empty for drops
	Reason    string // one of Reasons, empty for traffic
}

// Account says what a flow counts; ok is false for flows that count nothing.
//
// Traffic counts once in each direction: out on the host whose container sent it, in on
// the host whose container gets it (once for each that gets a copy). What the switch
// answers itself, and what is refused, is neither.
func Account(f *of.Flow) (c Class, ok bool) {
	switch f.Table {
	case tableAccountOut:
		scope, counts := f.Match.Get(regScope)
		c = Class{Tenant: tenantOf(f), Direction: DirectionOut, Scope: ScopeInternal}
		if scope.Value.Lo == scopeEgress {
			c.Scope = ScopeEgress
		}
		return c, counts
	case tableAccountIn:
		_, egress := f.Match.Get(of.FieldEthSrc)
		c = Class{Tenant: tenantOf(f), Direction: DirectionIn, Scope: ScopeInternal}
		if egress {
			c.Scope = ScopeEgress
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
