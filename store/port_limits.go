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

// PortLimitsSet is what the operator said of a port's limits after it was made. Where something is said it holds, in place of
// what the port's runtime asked; its tenant's limits hold beside it.
type PortLimitsSet struct {
	EgressKbps  *uint32 `json:"egressKbps,omitempty" doc:"what the port sends, in kilobits a second; 0: no limit but its tenant's; none: as its runtime asked"`
	IngressKbps *uint32 `json:"ingressKbps,omitempty" doc:"what it gets, in kilobits a second; 0: no limit but its tenant's; none: as its runtime asked"`
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

// OwnLimits are a port's own limits: what its runtime asked, and what the operator said since. Of a rate that was said the
// runtime's burst holds as far as it is one for that rate.
func (p *Port) OwnLimits() PortLimits {
	own := p.Limits
	if said := p.LimitsSet.EgressKbps; said != nil {
		own.EgressKbps = *said
	}
	if said := p.LimitsSet.IngressKbps; said != nil {
		own.IngressKbps = *said
	}
	return own
}

// Egress is what bounds what a port of a tenant sends.
func (p *Port) Egress(t Limits) Rate {
	own := p.OwnLimits()
	return RateOf(own.EgressKbps, own.EgressBurst).smaller(RateOf(t.PortEgressKbps, 0))
}

// Ingress is what bounds what a port of a tenant gets.
func (p *Port) Ingress(t Limits) Rate {
	own := p.OwnLimits()
	return RateOf(own.IngressKbps, own.IngressBurst).smaller(RateOf(t.PortIngressKbps, 0))
}

// Validate refuses limits that are none.
func (l PortLimits) Validate() error {
	for _, one := range []struct {
		rate, burst uint32
		of          string
	}{{l.EgressKbps, l.EgressBurst, portSends}, {l.IngressKbps, l.IngressBurst, portGets}} {
		if err := checkKbps(one.rate, one.of); err != nil {
			return err
		}
		if one.rate == 0 && one.burst > 0 {
			return fmt.Errorf("a burst of %d kilobits of what %s, and no rate: give both", one.burst, one.of)
		}
	}
	return nil
}

// Of what a limit of a port is, for people.
const portSends, portGets = "the port sends", "the port gets"

// checkKbps refuses a rate that no meter has.
func checkKbps(rate uint32, of string) error {
	if rate <= maxKbps {
		return nil
	}
	return fmt.Errorf("a limit of %d kilobits a second of what %s: give 1 to %d, or 0 for none", rate, of, maxKbps)
}

// PortLimitsSpec says anew which limits a port has of its own, in place of what was said before.
type PortLimitsSpec struct {
	Key Key
	Set PortLimitsSet
}

// Needs are the paths that Propose looks at.
func (s PortLimitsSpec) Needs() []string { return []string{s.Key.String()} }

// Validate refuses limits that are none.
func (s PortLimitsSpec) Validate() error {
	for _, one := range []struct {
		said *uint32
		of   string
	}{{s.Set.EgressKbps, portSends}, {s.Set.IngressKbps, portGets}} {
		if one.said == nil {
			continue
		}
		if err := checkKbps(*one.said, one.of); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

// Propose writes the port with what is said, and all else as it is.
func (s PortLimitsSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	is := state.Port(s.Key)
	if is == nil {
		return Proposal{}, noSuch(KindPort)
	}
	port := *is.Value
	port.LimitsSet = s.Set
	return Proposal{
		Writes:   []Event{{Key: s.Key, Object: &port}},
		Presumes: []Presumption{{Condition: Unchanged, Path: s.Key.String(), Revision: is.Modified}},
	}, nil
}
