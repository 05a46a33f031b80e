package flows

import "sluice/datapath/openflow"

// Class is what a counting flow counts: a direction and scope of a tenant's traffic, or
// the reason of a drop.
type Class struct {
	Tenant    uint32 // its number; 0: no tenant was known yet
	Direction string // "in" to a port, "out" from one; empty for drops
	Scope     string // "internal", "egress"; empty for drops
	Reason    string // of a drop, else empty
}

// Account says what a flow counts; ok is false for flows that count nothing.
func Account(f *openflow.Flow) (c Class, ok bool) { return Class{}, false }
