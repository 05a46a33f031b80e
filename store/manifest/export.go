package manifest

import "sluice/store"

// Export declares the tenants of a State that keep chooses, and their networks, as they are. What is a default is left
// out, and of a network's routers those that stand where they would by themselves.
func Export(s *store.State, keep func(tenant string) bool) *Manifest {
	m := &Manifest{}
	for t := range s.Tenants() {
		if keep(t.Key.Tenant) {
			m.Tenants = append(m.Tenants, exportTenant(s, t))
		}
	}
	return m
}

func exportTenant(s *store.State, t *store.Item[store.Tenant]) DeclaredTenant {
	out := DeclaredTenant{Name: t.Key.Tenant, Hosts: t.Value.Hosts, Limits: t.Value.Limits, Labels: t.Value.Labels}
	out.Topology = string(t.Value.Topology)
	if t.Value.TTL != 0 {
		out.TTL = t.Value.TTL.String()
	}
	if t.Value.Gateway != store.GatewayAuto {
		out.Gateway = t.Value.Gateway
	}
	for n := range s.NetworksOf(t.Key.Tenant) {
		out.Networks = append(out.Networks, exportNetwork(n))
	}
	out.Peerings = exportPeerings(s, t.Key.Tenant)
	for p := range s.PublicationsOf(t.Key.Tenant) {
		if s.Unpublished(p) == "" && p.Value.From == (store.Key{}) {
			out.Publications = append(out.Publications, exportPublication(p.Value))
		}
	}
	return out
}

func exportNetwork(n *store.Item[store.Network]) DeclaredNetwork {
	out := DeclaredNetwork{Name: n.Key.Network, MTU: n.Value.MTU}
	if n.Value.Segmentation != store.SegmentationTunnel {
		out.Segmentation = string(n.Value.Segmentation)
	}
	if n.Value.Flood != store.FloodAuto {
		out.Flood = string(n.Value.Flood)
	}
	for _, r := range n.Value.Exclude {
		out.Exclude = append(out.Exclude, r.String())
	}
	for _, subnet := range n.Value.Subnets {
		out.Subnets = append(out.Subnets, subnet.Prefix.String())
		if subnet.Gateway != store.DefaultGateway(subnet.Prefix) {
			out.Gateways = append(out.Gateways, subnet.Gateway.String())
		}
	}
	return out
}
