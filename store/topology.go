package store

import "fmt"

// Topology is which way frames between hosts of a tenant go.
type Topology string

// The topologies.
const (
	TopologyDirect Topology = "direct" // from host to host
	TopologyStar   Topology = "star"   // by the tenant's gateway host, as in the paper
)

// Validate refuses what is no topology. None is TopologyDirect.
func (t Topology) Validate() error {
	switch t {
	case "", TopologyDirect, TopologyStar:
		return nil
	}
	return fmt.Errorf("%w: topology %q: it is %s or %s", ErrInvalid, string(t), TopologyDirect, TopologyStar)
}

// OrDirect is the topology that none stands for.
func (t Topology) OrDirect() Topology {
	if t == "" {
		return TopologyDirect
	}
	return t
}

// stored is how a topology stands in etcd: the one that none stands for is left out.
func (t Topology) stored() Topology {
	if t == TopologyDirect {
		return ""
	}
	return t
}

// Relay is how far a tenant's gateway hosts are on the way between the topologies. One step follows another once switches hold the
// one before, so that no host sends to one that does not relay.
type Relay string

// The steps; none is that frames go from host to host.
const (
	RelayReady Relay = "ready" // gateway hosts relay, and nobody sends there
	RelayOn    Relay = "on"    // hosts send there
)

// TopologySpec gives a tenant another topology.
type TopologySpec struct {
	Tenant   string
	Topology Topology
}

// Needs are the paths that Propose looks at.
func (s TopologySpec) Needs() []string { return []string{TenantKey(s.Tenant).String()} }

// Validate refuses what no state would allow.
func (s TopologySpec) Validate() error { return aboutTenant(s.Tenant, s.Topology.Validate()) }

// Propose writes the tenant with its topology.
func (s TopologySpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	return changeOfTenant(state, s.Tenant, func(t *Tenant) { t.Topology = s.Topology.stored() })
}
