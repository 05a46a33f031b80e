package flows

import (
	"slices"

	"sluice/store"
)

// This file says on which hosts a tenant has flows, from either end. A host has flows of a
// tenant if and only if it has slices of it.

// tenantsOn are the tenants that have a port or a gateway on the host, and those that are peered with one that
// has a port there; sorted. The gateway of a tenant without any port holds nothing.
func tenantsOn(s *store.State, host string) []string {
	names := slices.DeleteFunc(s.TenantsVia(host), func(tenant string) bool { return !s.Awake(tenant) })
	for _, n := range s.NetworksOn(host) {
		names = append(append(names, n.Tenant), s.PeersOf(n.Tenant)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// hostsOf are the hosts that hold flows of the tenant, or held some before the last batch;
// sorted.
func hostsOf(s *store.State, tenant string) []string {
	hosts := presentOn(s, tenant)
	if len(hosts) > 0 {
		if g := s.Gateway(tenant); g != nil {
			hosts = append(hosts, g.Value.Members()...)
		}
	}
	for _, peer := range s.PeersNear(tenant) {
		hosts = append(hosts, presentOn(s, peer)...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// presentOn are the hosts that have a port of the tenant, or that had one or its gateway before the last batch.
func presentOn(s *store.State, tenant string) []string {
	hosts := s.FormerHosts(tenant)
	if !s.Awake(tenant) {
		return hosts
	}
	for n := range s.NetworksOf(tenant) {
		hosts = append(hosts, s.HostsOf(n.Key.NetworkName())...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// here reports whether the host has flows of the tenant.
func (t *tenantAt) here() bool { return t.own() || t.peered }

// own reports whether frames of the tenant come to the host as its own, and not only from a peered tenant's ports.
func (t *tenantAt) own() bool { return t.present || t.gateway }
