package store

import (
	"fmt"
	"strings"
)

// PortMove takes a port to another host as it is: with its uid, number, MAC and addresses. Its
// container is attached there under its name; the host that it leaves lets go of its interface.
type PortMove struct {
	Key  Key    // where it is
	Host string // where it goes to
}

// To is the port's key once it has moved.
func (m PortMove) To() Key { return PortKey(m.Host, m.Key.Tenant, m.Key.Network, m.Key.Name) }

// Needs are the paths that Propose looks at.
func (m PortMove) Needs() []string {
	return []string{m.Key.String(), m.To().String(), TenantKey(m.Key.Tenant).String(), HostKey(m.Host).String()}
}

// Propose renames the port's key from host to host, and passes on what the port took, in one transaction.
func (m PortMove) Propose(s *State) (Proposal, error) {
	port, tenant, host := s.Port(m.Key), s.Tenant(m.Key.Tenant), s.Host(m.Host)
	switch {
	case m.Key.Host == m.Host:
		return Proposal{}, fmt.Errorf("%w: it is on host %s already", ErrExists, m.Host)
	case port == nil:
		return Proposal{}, noSuch(KindPort)
	case host == nil:
		return Proposal{}, noSuchHost(m.Host)
	case tenant == nil:
		return Proposal{}, noSuchTenant(m.Key.Tenant)
	case !tenant.Value.MayUse(m.Host):
		return Proposal{}, fmt.Errorf("host %s: %w: tenant %s may use only %s", m.Host, ErrNotAllowed, m.Key.Tenant, strings.Join(tenant.Value.Hosts, ", "))
	}
	p := Proposal{
		Writes: []Event{{Key: m.Key}, {Key: m.To(), Object: port.Value}},
		Presumes: []Presumption{
			{Condition: Unchanged, Path: m.Key.String(), Revision: port.Modified},
			{Condition: Absent, Path: m.To().String()},
			{Condition: CreatedAt, Path: host.Key.String(), Revision: host.Created, Refusal: HostGone(m.Host)},
			{Condition: Unchanged, Path: tenant.Key.String(), Revision: tenant.Modified},
		},
	}
	for _, t := range TakenBy(m.Key, port.Value) {
		p.Passes = append(p.Passes, Pass{Taken: t, To: m.To()})
	}
	return p, nil
}
