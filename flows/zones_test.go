package flows

import (
	"fmt"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Connections are kept in the NAT zone of the tenant that the flow is of, and nowhere else: that zone has
// a limit, and a tenant's policy zone has none, as nothing commits there. Flows that only look, too, look there.
func TestConnectionsAreOfTheTenantsOwnZone(t *testing.T) {
	committed, lent := 0, 0
	for seed := range uint64(40) {
		w := newWorld(seed)
		for range 60 {
			w.step()
		}
		for _, host := range w.names {
			owner := map[uint16]uint32{}
			CompileHost(w.state, w.switches[host], func(f of.Flow) {
				for _, ct := range conntracks(f.Actions) {
					if slot := slotAt(w.state, host, tenantOf(&f)); slot == 0 || ct.ZoneField != nil || ct.Zone != store.NATZone(slot) {
						t.Errorf("%s: connections are not of the tenant's own zone %d: %s", host, store.NATZone(slot), &f)
					}
					if other, taken := owner[ct.Zone]; taken && other != tenantOf(&f) {
						t.Errorf("%s: tenants %d and %d have zone %d", host, other, tenantOf(&f), ct.Zone)
					}
					owner[ct.Zone] = tenantOf(&f)
					if ct.Commit {
						committed++
						lent += min(int(slotAt(w.state, host, tenantOf(&f))^tenantOf(&f)), 1)
					}
				}
			})
		}
	}
	if committed == 0 || lent == 0 {
		t.Errorf("%d flows keep connections, %d of them by a slot that is not the tenant's number", committed, lent)
	}
}

// Tenants whose gateways were written before there were slots keep their zones and transit addresses, whoever else comes: no
// connection of theirs is stranded.
func TestPresentTenantsKeepTheirZones(t *testing.T) {
	s := manyTenants(20)
	sw := switchOf(s, "h1")
	before := natFlows(s, sw)
	if len(before) == 0 {
		t.Fatal("no flow translates")
	}
	for text, number := range before {
		if zone, address := fmt.Sprintf("zone=%d,", 2*number), store.DefaultTransit.Address(number); !strings.Contains(text, zone) ||
			strings.Contains(text, "nat(src=") && !strings.Contains(text, fmt.Sprintf("nat(src=%s)", address)) {
			t.Errorf("tenant %d has another zone than %s or another address than %s: %s", number, zone, address, text)
		}
	}
	for n := range uint32(20) {
		name := fmt.Sprint("new", n)
		put(s, store.TenantKey(name), &store.Tenant{Number: 70000 + n})
		put(s, store.NetworkKey(name, "default"), &store.Network{Number: 70000 + n, Segment: 70000 + n})
		put(s, store.PortKey("h1", name, "default", "p"), &store.Port{Number: 70000 + n, MAC: store.MACFromUint64(2<<40 + uint64(n)), Interface: "sl-" + name})
		put(s, store.GatewayKey(name), &store.Gateway{Active: "h1", Slots: map[string]uint32{"h1": 1000 + n}})
	}
	after := natFlows(s, sw)
	if len(after) <= len(before) {
		t.Error("the new tenants do not leave here")
	}
	for text := range before {
		if _, stands := after[text]; !stands {
			t.Errorf("with new tenants there is no more: %s", text)
		}
	}
}

// natFlows are the flows of a host that use conntrack, as text, with the numbers of their tenants.
func natFlows(s *store.State, sw Switch) map[string]uint32 {
	found := map[string]uint32{}
	CompileHost(s, sw, func(f of.Flow) {
		if len(conntracks(f.Actions)) > 0 {
			found[f.String()] = tenantOf(&f)
		}
	})
	return found
}

// conntracks are the ct actions among some, also in clones and in what conntrack does to a connection.
func conntracks(actions []of.Action) (found []of.CT) {
	for _, a := range actions {
		switch a := a.(type) {
		case of.CT:
			found = append(append(found, a), conntracks(a.Exec)...)
		case of.Clone:
			found = append(found, conntracks(a.Actions)...)
		case of.WriteActions:
			found = append(found, conntracks(a.Actions)...)
		}
	}
	return found
}
