package lead

import "sluice/store"

// This file brings a tenant's gateway hosts on the way between its topologies. To a star: they relay, and once all hosts know
// that, hosts send there. Back: hosts send straight, and once all hosts do, nobody relays. So no frame goes where nobody passes it on.

// turn is the gateway with the first step to the tenant's topology, if it has another.
func turn(tenant *store.Item[store.Tenant], current *store.Item[store.Gateway]) []placement {
	star, on := tenant.Value.Topology == store.TopologyStar, current.Value.Relay == store.RelayOn
	if star == on || current.Value.Relay == store.RelayReady {
		return nil
	}
	g := *current.Value
	g.Relay = store.RelayReady
	return []placement{{tenant: tenant.Key.Tenant, gateway: g, modified: current.Modified}}
}

// relay takes the second step, once switches hold the first one for a while. A host that nobody reaches may still send to those that
// relay, and is waited for.
func (l *look) relay(g *store.Item[store.Gateway], n *store.Gateway) (changed bool) {
	tenant := l.s.Tenant(g.Key.Tenant)
	if n.Relay != store.RelayReady || tenant == nil || !l.calm[g.Key.Tenant] {
		return false
	}
	switch {
	case tenant.Value.Topology == store.TopologyStar:
		n.Relay = store.RelayOn
	case len(l.unconfirmed(g)) == 0:
		n.Relay = ""
	default:
		return false
	}
	return true
}
