package store

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

func compareNetworkNames(a, b NetworkName) int {
	return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Network, b.Network))
}

// Apply takes one batch and returns what it meant, presence changes last. Events of kinds
// that no flow depends on leave no change but are kept where State shows them.
func (s *State) Apply(b Batch) []Change {
	s.former = newFormer()
	a := application{State: s, presence: map[Key]int{}}
	for _, e := range b.Events {
		a.event(e)
	}
	s.revision = max(s.revision, b.Revision)
	a.derivePresence()
	return a.changes
}

// application is one run of Apply.
type application struct {
	*State
	changes  []Change
	presence map[Key]int // (host, network) touched -> ports before the batch
}

func (a *application) event(e Event) {
	switch e.Key.Kind {
	case KindTenant:
		put(a, a.tenants, e.Key.Tenant, e, a.indexTenant)
	case KindNetwork:
		put(a, a.networks, e.Key.NetworkName(), e, a.indexNetwork)
	case KindHost:
		put(a, a.hosts, e.Key.Host, e, a.indexHost)
	case KindPort:
		put(a, a.ports, e.Key, e, a.indexPort)
	case KindGateway:
		put(a, a.gateways, e.Key.Tenant, e, a.indexGateway)
	case KindMaster:
		put(a, a.masters, e.Key.Host, e, nil)
	case KindLiveHost:
		put(a, a.liveHosts, e.Key.Host, e, nil)
	case KindLiveController:
		put(a, a.controllers, e.Key.Name, e, nil)
	}
}

// put replaces or removes the item under k, keeps its indexes, and notes the change.
func put[K comparable, T any](a *application, items map[K]*Item[T], k K, e Event, index func(i *Item[T], add bool)) {
	change := Change{Key: e.Key, After: e.Object}
	if old := items[k]; old != nil {
		change.Before = any(old.Value).(Object)
		change.Anew = e.Object != nil && old.Created != e.Created
		if index != nil {
			index(old, false)
		}
		delete(items, k)
	}
	if e.Object != nil {
		item := &Item[T]{Key: e.Key, Value: any(e.Object).(*T), Created: e.Created, Modified: e.Modified}
		items[k] = item
		if index != nil {
			index(item, true)
		}
	}
	if change.Before != nil || change.After != nil {
		a.changes = append(a.changes, change)
	}
}

// claim takes or releases one unique value; whoever gains or loses it is a change too.
func claim[K comparable, T any](a *application, c *claims[K, T], k K, i *Item[T], add bool) {
	var affected *Item[T]
	if add {
		affected = c.take(k, i)
	} else {
		affected = c.release(k, i)
	}
	if affected != nil {
		object := any(affected.Value).(Object)
		a.changes = append(a.changes, Change{Key: affected.Key, Before: object, After: object})
	}
}

func (a *application) indexTenant(t *Item[Tenant], add bool) {
	claim(a, &a.tenantNumbers, t.Value.Number, t, add)
	if !add {
		name := t.Key.Tenant
		a.former.numbers[name] = append(a.former.numbers[name], t.Value.Number)
	}
}

func (a *application) indexNetwork(n *Item[Network], add bool) {
	tenant, name := n.Key.Tenant, n.Key.Network
	names := a.networksOf[tenant]
	at, found := slices.BinarySearch(names, name)
	switch {
	case add && !found:
		a.networksOf[tenant] = slices.Insert(names, at, name)
	case !add && found && len(names) == 1:
		delete(a.networksOf, tenant)
	case !add && found:
		a.networksOf[tenant] = slices.Delete(names, at, at+1)
	}
	if !add { // its ports, if any are left, make the tenant present no more
		for _, host := range a.HostsOf(n.Key.NetworkName()) {
			addTo(a.former.hosts, tenant, host)
		}
	}
	claim(a, &a.networkNumbers, n.Value.Number, n, add)
	if n.Value.Segmentation == SegmentationVLAN {
		claim(a, &a.vlans, n.Value.Segment, n, add)
	}
}

func (a *application) indexHost(h *Item[Host], add bool) {
	if h.Value.DatapathID != 0 { // 0 is no switch's
		claim(a, &a.datapaths, h.Value.DatapathID, h, add)
	}
	for _, vtep := range h.Value.VTEPs {
		if vtep.IsValid() && !vtep.IsUnspecified() { // else it is no tunnel address
			claim(a, &a.vteps, vtep.Unmap(), h, add)
		}
	}
	hash := HostHash(h.Key.Host)
	others := slices.DeleteFunc(slices.Clone(a.hostHashes[hash]), func(o *Item[Host]) bool { return o.Key == h.Key })
	if add {
		others = append(others, h)
		slices.SortFunc(others, func(x, y *Item[Host]) int { return strings.Compare(x.Key.Host, y.Key.Host) })
	}
	if a.hostHashes[hash] = others; len(others) == 0 {
		delete(a.hostHashes, hash)
	}
}

func (a *application) indexPort(p *Item[Port], add bool) {
	host, network := p.Key.Host, p.Key.NetworkName()
	here := Key{Kind: KindPresence, Host: host, Tenant: network.Tenant, Network: network.Network}
	if _, touched := a.presence[here]; !touched {
		a.presence[here] = len(a.PortsAt(host, network))
	}
	if add {
		a.join(p, host, network)
	} else {
		a.leave(p, host, network)
	}
	claim(a, &a.portNumbers, p.Value.Number, p, add)
	claim(a, &a.portMACs, scoped[MAC]{network, p.Value.MAC}, p, add)
	for _, address := range p.Value.Addresses {
		claim(a, &a.portAddresses, scoped[netip.Addr]{network, address.Addr().Unmap()}, p, add)
	}
	if p.Value.Interface != "" {
		claim(a, &a.interfaces, hostInterface{host, p.Value.Interface}, p, add)
	}
}

func (a *application) join(p *Item[Port], host string, network NetworkName) {
	m := a.members[network]
	if m == nil {
		m = &members{ports: map[string][]*Item[Port]{}}
		a.members[network] = m
	}
	if m.add(p) == 1 {
		addTo(a.networksOn, host, network)
	}
}

func (a *application) leave(p *Item[Port], host string, network NetworkName) {
	m := a.members[network]
	if m.remove(p) > 0 {
		return
	}
	removeFrom(a.networksOn, host, network)
	addTo(a.former.hosts, network.Tenant, host)
	if len(m.hosts) == 0 {
		delete(a.members, network)
	}
}

func (a *application) indexGateway(g *Item[Gateway], add bool) {
	if add {
		a.activeVia[g.Value.Active]++
	} else if a.activeVia[g.Value.Active]--; a.activeVia[g.Value.Active] == 0 {
		delete(a.activeVia, g.Value.Active)
	}
	for _, host := range append([]string{g.Value.Active}, g.Value.Draining...) {
		if add {
			addTo(a.tenantsVia, host, g.Key.Tenant)
		} else {
			removeFrom(a.tenantsVia, host, g.Key.Tenant)
			addTo(a.former.hosts, g.Key.Tenant, host)
		}
	}
}

func addTo[K, V comparable](sets map[K]map[V]struct{}, k K, v V) {
	if sets[k] == nil {
		sets[k] = map[V]struct{}{}
	}
	sets[k][v] = struct{}{}
}

func removeFrom[K, V comparable](sets map[K]map[V]struct{}, k K, v V) {
	delete(sets[k], v)
	if len(sets[k]) == 0 {
		delete(sets, k)
	}
}

// derivePresence compares each touched (host, network) with what it was before the batch.
func (a *application) derivePresence() {
	touched := slices.SortedFunc(maps.Keys(a.presence), func(k, l Key) int {
		return cmp.Or(strings.Compare(k.Host, l.Host), compareNetworkNames(k.NetworkName(), l.NetworkName()))
	})
	for _, key := range touched {
		before := a.presence[key]
		after := len(a.PortsAt(key.Host, key.NetworkName()))
		if (before == 0) == (after == 0) {
			continue
		}
		change := Change{Key: key}
		if before > 0 {
			change.Before = &Presence{Ports: before}
		} else {
			change.After = &Presence{Ports: after}
		}
		a.changes = append(a.changes, change)
	}
}
