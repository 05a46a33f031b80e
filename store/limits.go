package store

import (
	"fmt"
	"slices"
)

// Limits bound what a tenant takes of what all tenants share. Zero means no limit, or the default
// where there is one.
type Limits struct {
	Ports       int    `json:"ports,omitempty"` // 0: no limit
	EgressKbps  uint32 `json:"egressKbps,omitempty"`
	IngressKbps uint32 `json:"ingressKbps,omitempty"`
	Connections int    `json:"connections,omitempty" doc:"through its gateway host at one time; 0: the default of 16384"`
	Broadcasts  int    `json:"broadcasts,omitempty" doc:"broadcast and multicast frames a second from its ports on one host, rounded up to 100, 500, 2500 or 12500; 0: the default of 500"`
	NewPorts    int    `json:"newPorts,omitempty" doc:"ports made a second on one host; 0: the default of 20"`
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

	// maxLimit bounds what a limit may say.
	maxLimit = 1_000_000
	// connectionsShare is the part of a tenant's connections that may go to one destination.
	connectionsShare = 4
)

// MaxConnections is how many connections the tenant may have through its gateway host.
func (l Limits) MaxConnections() int { return limit(l.Connections, DefaultConnections) }

// MaxConnectionsTo is how many of them may go to one address and port outside. The kernel has
// 64,512 ports for all tenants' connections to one destination.
func (l Limits) MaxConnectionsTo() int { return max(l.MaxConnections()/connectionsShare, 1) }

// BroadcastRates are those that a limit of broadcasts is rounded up to, in frames a second: the
// switch has meters of these.
var BroadcastRates = [...]int{100, DefaultBroadcasts, 2500, 12500}

// MaxBroadcasts is how many broadcast and multicast frames the tenant's ports on one host may send
// a second: one of BroadcastRates.
func (l Limits) MaxBroadcasts() int {
	at, _ := slices.BinarySearch(BroadcastRates[:], limit(l.Broadcasts, DefaultBroadcasts))
	return BroadcastRates[min(at, len(BroadcastRates)-1)]
}

// MaxNewPorts is how many ports the tenant may make a second on one host.
func (l Limits) MaxNewPorts() int { return limit(l.NewPorts, DefaultNewPorts) }

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
	} {
		if limit.value < 0 || limit.value > maxLimit {
			return fmt.Errorf("%w: a limit of %d %s: give 1 to %d, or 0 for the default", ErrInvalid, limit.value, limit.of, maxLimit)
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
func (s LimitsSpec) Validate() error {
	err := s.Limits.Validate()
	if nameErr := ValidateName(s.Tenant); nameErr != nil {
		err = fmt.Errorf("%w: %w", ErrInvalid, nameErr)
	}
	if err != nil {
		return fmt.Errorf("tenant %s: %w", s.Tenant, err)
	}
	return nil
}

// Propose writes the tenant with its new limits.
func (s LimitsSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	t := state.Tenant(s.Tenant)
	if t == nil {
		return Proposal{}, noSuchTenant(s.Tenant)
	}
	changed := *t.Value
	changed.Limits = s.Limits
	return Proposal{
		Writes:   []Event{{Key: t.Key, Object: &changed}},
		Presumes: []Presumption{{Condition: Unchanged, Path: t.Key.String(), Revision: t.Modified}},
	}, nil
}
