package store

import "fmt"

// Limits bound what a tenant takes of what all tenants share. Zero means no limit, or the default
// where there is one.
type Limits struct {
	Ports       int    `json:"ports,omitempty"` // 0: no limit
	EgressKbps  uint32 `json:"egressKbps,omitempty" doc:"what all its containers together send out through a gateway host, in kilobits a second; 0: no limit"`
	IngressKbps uint32 `json:"ingressKbps,omitempty" doc:"what comes back to them through it, in kilobits a second; 0: no limit"`
	// What one port sends and gets is bounded on its own host, whatever its peer.
	PortEgressKbps  uint32 `json:"portEgressKbps,omitempty" doc:"what each of its ports sends, in kilobits a second; 0: no limit"`
	PortIngressKbps uint32 `json:"portIngressKbps,omitempty" doc:"what each of its ports gets, in kilobits a second; 0: no limit"`
	Connections     int    `json:"connections,omitempty" doc:"through its gateway host at one time; 0: the default of 16384"`
	Broadcasts      int    `json:"broadcasts,omitempty" doc:"broadcast and multicast frames a second from its ports on one host, 0: the default of 500"`
	NewPorts        int    `json:"newPorts,omitempty" doc:"ports made a second on one host; 0: the default of 20"`
	Questions       int    `json:"questions,omitempty" doc:"for names, that the resolver of one host answers a second, a fifth of them by servers outside; 0: the default of 1000"`
}

// What a tenant may take that says nothing else. A tenant that does what containers do stays far
// below; several that take all of it leave room for others.
const (
	// DefaultConnections through a tenant's gateway host at one time. A Linux kernel's table of
	// connections has room for 262,144 on a machine with 4 GB and more.
	DefaultConnections = 16384
	// DefaultBroadcasts is how many broadcast and multicast frames a second a tenant's ports on one
	// host may send. Each is copied to every port and host of its network.
	DefaultBroadcasts = 500
	// DefaultNewPorts is how many ports a tenant may make a second on one host. Each is some
	// transactions of etcd and flows on all hosts of the tenant.
	DefaultNewPorts = 20
	// DefaultQuestions is how many questions for names a tenant may ask a second on one host.
	DefaultQuestions = 1000

	// maxLimit bounds what a limit may say.
	maxLimit = 1_000_000
	// maxKbps bounds what a limit of a rate may say: 100 gigabits a second.
	maxKbps = 100_000_000
	// connectionsShare is the part of a tenant's connections that may go to one destination.
	connectionsShare = 4
	// outsideShare is the part of a tenant's questions that may be asked of servers outside.
	outsideShare = 5
)

// MaxConnections is how many connections the tenant may have through its gateway host.
func (l Limits) MaxConnections() int { return limit(l.Connections, DefaultConnections) }

// MaxConnectionsTo is how many of them may go to one address and port outside. The kernel has
// 64,512 ports for all tenants' connections to one destination.
func (l Limits) MaxConnectionsTo() int { return max(l.MaxConnections()/connectionsShare, 1) }

// MaxBroadcasts is how many broadcast and multicast frames the tenant's ports on one host may send
// a second.
func (l Limits) MaxBroadcasts() int { return limit(l.Broadcasts, DefaultBroadcasts) }

// MaxNewPorts is how many ports the tenant may make a second on one host.
func (l Limits) MaxNewPorts() int { return limit(l.NewPorts, DefaultNewPorts) }

// MaxQuestions is how many questions for names the tenant may ask a second on one host.
func (l Limits) MaxQuestions() int { return limit(l.Questions, DefaultQuestions) }

// MaxQuestionsOutside is how many of them servers outside are asked.
func (l Limits) MaxQuestionsOutside() int { return max(l.MaxQuestions()/outsideShare, 1) }

// Validate refuses limits that are none.
func (l Limits) Validate() error {
	if l.Ports < 0 {
		return fmt.Errorf("%w: a limit of %d ports is negative", ErrInvalid, l.Ports)
	}
	for _, limit := range []struct {
		value int
		of    string
	}{
		{l.Connections, "connections"}, {l.Broadcasts, "broadcasts a second"}, {l.NewPorts, "new ports a second"},
		{l.Questions, "questions for names a second"},
	} {
		if limit.value < 0 || limit.value > maxLimit {
			return fmt.Errorf("%w: a limit of %d %s: give 1 to %d, or 0 for the default", ErrInvalid, limit.value, limit.of, maxLimit)
		}
	}
	for _, rate := range []struct {
		kbps uint32
		of   string
	}{
		{l.EgressKbps, "its containers send out"}, {l.IngressKbps, "comes back to them"},
		{l.PortEgressKbps, "each of its ports sends"}, {l.PortIngressKbps, "each of its ports gets"},
	} {
		if err := checkKbps(rate.kbps, rate.of); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

// limit is a value, or the default where it is no limit: also one of an edit by hand that makes no sense.
func limit(value, other int) int {
	if value < 1 || value > maxLimit {
		return other
	}
	return value
}

// LimitsSpec gives a tenant other limits. What it has already and more than it may, it keeps.
type LimitsSpec struct {
	Tenant string
	Limits Limits
}

// Needs are the paths that Propose looks at.
func (s LimitsSpec) Needs() []string { return []string{TenantKey(s.Tenant).String()} }

// Validate refuses what no state would allow.
func (s LimitsSpec) Validate() error { return aboutTenant(s.Tenant, s.Limits.Validate()) }

// Propose writes the tenant with its new limits.
func (s LimitsSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	return changeOfTenant(state, s.Tenant, func(t *Tenant) { t.Limits = s.Limits })
}
