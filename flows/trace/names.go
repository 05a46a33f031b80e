package trace

import (
	"net/netip"
	"slices"
	"strings"

	"sluice/store"
)

// finder looks names up for somebody who sees the tenants that sees reports; sees("") reports
// whether they see what is the cluster's own.
type finder struct {
	state *store.State
	sees  func(tenant string) bool
}

// port is the port of a name.
func (f finder) port(p place) (*store.Item[store.Port], error) {
	var found []*store.Item[store.Port]
	if f.sees(p.tenant) {
		found = f.named(p)
	}
	switch len(found) {
	case 0:
		return nil, absent("port %s does not exist%s: see sluice port list", p, f.nearPort(p))
	case 1:
		return found[0], nil
	}
	var networks []string
	for _, item := range found {
		networks = append(networks, item.Key.Network)
	}
	return nil, invalid("port %s is in several networks: write it as %s/NETWORK/%s, with one of %s",
		p, p.tenant, p.port, strings.Join(networks, ", "))
}

// named are the ports of a name, one in each network at most.
func (f finder) named(p place) (found []*store.Item[store.Port]) {
	for n := range f.state.NetworksOf(p.tenant) {
		if p.network != "" && p.network != n.Key.Network {
			continue
		}
		for item := range f.state.PortsOf(n.Key.NetworkName()) {
			if item.Key.Name == p.port {
				found = append(found, item)
				break
			}
		}
	}
	return found
}

// nearPort names what may have been meant: ports of the tenant, or tenants of a name like that.
func (f finder) nearPort(p place) string {
	var names []string
	if f.state.Tenant(p.tenant) == nil {
		for t := range f.state.Tenants() {
			if f.sees(t.Key.Tenant) {
				names = append(names, t.Key.Tenant)
			}
		}
		return suggest(" (there is no tenant "+p.tenant, p.tenant, names)
	}
	if !f.sees(p.tenant) {
		return ""
	}
	for n := range f.state.NetworksOf(p.tenant) {
		for item := range f.state.PortsOf(n.Key.NetworkName()) {
			names = append(names, item.Key.Name)
		}
	}
	return suggest("", p.port, names)
}

// mostNear is how many names are suggested.
const mostNear = 3

// suggest is what to say of the names that are near to one.
func suggest(before, name string, names []string) string {
	slices.Sort(names)
	var near []string
	for _, n := range slices.Compact(names) {
		if len(near) < mostNear && distance(name, n) <= min(2, len(name)/2) {
			near = append(near, n)
		}
	}
	if len(near) == 0 {
		return ""
	}
	if before == "" {
		return " (is it " + strings.Join(near, " or ") + "?)"
	}
	return before + "; is it " + strings.Join(near, " or ") + "?)"
}

// distance is how many letters must be changed, added or dropped to make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// at is the port of a tenant that has an address, in the network first or else in another.
func (f finder) at(first store.NetworkName, a netip.Addr) *store.Item[store.Port] {
	if p := f.state.PortAt(first, a); p != nil {
		return p
	}
	for n := range f.state.NetworksOf(first.Tenant) {
		if p := f.state.PortAt(n.Key.NetworkName(), a); p != nil {
			return p
		}
	}
	return nil
}

// byTransit is the tenant that has a transit address, where it is the only one that has it on its active gateway host; or nil.
func (f finder) byTransit(a netip.Addr) (found *store.Item[store.Tenant]) {
	slot, ok := f.state.Transit().Slot(a)
	if !ok {
		return nil
	}
	for h := range f.state.Hosts() {
		t := f.state.TenantBySlot(h.Key.Host, slot)
		if t == nil || !f.sees(t.Key.Tenant) || f.state.Gateway(t.Key.Tenant).Value.Active != h.Key.Host {
			continue
		}
		if found != nil && found.Key != t.Key {
			return nil
		}
		found = t
	}
	return found
}
