package flows

import (
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Connections are kept in the NAT zone of the tenant that the flow is of, and nowhere else: that zone has
// a limit, and a tenant's policy zone has none, as nothing commits there. Flows that only look, too, look there.
func TestConnectionsAreOfTheTenantsOwnZone(t *testing.T) {
	committed := 0
	for seed := range uint64(5) {
		w := newWorld(seed)
		for range 60 {
			w.step()
		}
		for _, host := range w.names {
			CompileHost(w.state, w.switches[host], func(f of.Flow) {
				for _, ct := range conntracks(f.Actions) {
					if number := tenantOf(&f); number == 0 || ct.ZoneField != nil || ct.Zone != store.NATZone(number) {
						t.Errorf("%s: connections are not of the tenant's own zone %d: %s", host, store.NATZone(number), &f)
					}
					if ct.Commit {
						committed++
					}
				}
			})
		}
	}
	if committed == 0 {
		t.Error("no flow keeps connections")
	}
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
