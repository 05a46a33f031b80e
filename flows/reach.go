package flows

import (
	"slices"

	"sluice/store"
)

// This file says on which hosts a tenant has flows, from either end. A host has flows of a
// tenant if and only if it has slices of it.

// tenantsOn are the tenants that have a port or a gateway on the host, sorted.
func tenantsOn(s *store.State, host string) []string {
	names := s.TenantsVia(host)
	for _, n := range s.NetworksOn(host) {
		names = append(names, n.Tenant)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// hostsOf are the hosts that hold flows of the tenant, or held some before the last batch;
// sorted.
func hostsOf(s *store.State, tenant string) []string {
	hosts := s.FormerHosts(tenant)
	if g := s.Gateway(tenant); g != nil {
		hosts = append(hosts, gatewayChain(g.Value)...)
	}
	for n := range s.NetworksOf(tenant) {
		hosts = append(hosts, s.HostsOf(n.Key.NetworkName())...)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// gatewayChain is the active host, then each draining one once.
func gatewayChain(g *store.Gateway) []string {
	chain := []string{g.Active}
	for _, h := range g.Draining {
		if !slices.Contains(chain, h) {
			chain = append(chain, h)
		}
	}
	return chain
}

// here reports whether the host has flows of the tenant.
func (t *tenantAt) here() bool { return t.present || t.at >= 0 }
