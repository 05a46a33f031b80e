package store

import "fmt"

// PortLimits bound one port, beside what its tenant's limits say of each port: the smaller one holds. Zero means no limit.
type PortLimits struct {
	EgressKbps  uint32 `json:"egressKbps,omitempty" doc:"what the port sends, in kilobits a second; 0: no limit but its tenant's"`
	IngressKbps uint32 `json:"ingressKbps,omitempty" doc:"what it gets, in kilobits a second; 0: no limit but its tenant's"`
	// Bursts are what may pass at once after a pause.
	EgressBurst  uint32 `json:"egressBurst,omitempty" doc:"what it may send at once, in kilobits; a second's worth at least, four seconds' at most"`
	IngressBurst uint32 `json:"ingressBurst,omitempty" doc:"what it may get at once, in kilobits; a second's worth at least, four seconds' at most"`
}

// Bounds of a burst. Below a second's worth TCP does not come to its rate; with more than four a minute's traffic is more
// than a tenth above it.
const (
	leastBurstSeconds = 1
	mostBurstSeconds  = 4
	// leastBurst is room for some of the longest frames, in kilobits: a slow rate must let a whole frame pass.
	leastBurst = 150
)

// Rate is a limit in kilobits a second, of which Burst kilobits may come at once; a zero Kbps is no limit.
type Rate struct{ Kbps, Burst uint32 }

// RateOf is a rate with a burst of its own; 0: a second's worth.
func RateOf(kbps, burst uint32) Rate {
	if kbps == 0 {
		return Rate{}
	}
	least, most := uint64(kbps)*leastBurstSeconds, uint64(kbps)*mostBurstSeconds
	return Rate{kbps, uint32(max(min(max(uint64(burst), least), most, 1<<32-1), leastBurst))}
}

// smaller is the stricter of two limits.
func (r Rate) smaller(other Rate) Rate {
	if r.Kbps == 0 || other.Kbps != 0 && other.Kbps < r.Kbps {
		return other
	}
	return r
}

// Egress is what bounds what a port of a tenant sends.
func (p *Port) Egress(t Limits) Rate {
	return RateOf(p.Limits.EgressKbps, p.Limits.EgressBurst).smaller(RateOf(t.PortEgressKbps, 0))
}

// Ingress is what bounds what a port of a tenant gets.
func (p *Port) Ingress(t Limits) Rate {
	return RateOf(p.Limits.IngressKbps, p.Limits.IngressBurst).smaller(RateOf(t.PortIngressKbps, 0))
}

// Validate refuses limits that are none.
func (l PortLimits) Validate() error {
	for _, one := range []struct {
		rate, burst uint32
		of          string
	}{{l.EgressKbps, l.EgressBurst, "sends"}, {l.IngressKbps, l.IngressBurst, "gets"}} {
		switch {
		case one.rate > maxKbps:
			return fmt.Errorf("a limit of %d kilobits a second of what it %s: give 1 to %d, or 0 for none", one.rate, one.of, maxKbps)
		case one.rate == 0 && one.burst > 0:
			return fmt.Errorf("a burst of %d kilobits of what it %s, and no rate: give both", one.burst, one.of)
		}
	}
	return nil
}
