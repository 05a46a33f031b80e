package api_test

import (
	"net/http"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// What a port may send is said by operators alone, in place of what was said before; all else of the port stays.
func TestSetPortLimits(t *testing.T) {
	c := start(t)
	c.populate(t)
	kbps := uint32(5000)
	before, err := c.Port(t.Context(), "bob", "db", "b")
	if err != nil {
		t.Fatal(err)
	}
	set, err := c.SetPortLimits(t.Context(), "bob", "db", "b", store.PortLimitsSet{EgressKbps: &kbps})
	if err != nil || set.OwnLimits() != (store.PortLimits{EgressKbps: kbps}) || set.Modified <= before.Modified || set.MAC != before.MAC || set.Number != before.Number {
		t.Errorf("%+v, %v", set, err)
	}
	if back, err := c.SetPortLimits(t.Context(), "bob", "db", "b", store.PortLimitsSet{}); err != nil || back.LimitsSet != (store.PortLimitsSet{}) {
		t.Errorf("%+v, %v", back, err)
	}
	many := uint32(2_000_000_000)
	_, err = c.SetPortLimits(t.Context(), "bob", "db", "b", store.PortLimitsSet{IngressKbps: &many})
	checkProblem(t, err, http.StatusUnprocessableEntity, "set the limits of port bob/db/b", "of what the port gets: give 1 to 100000000")
	_, err = c.SetPortLimits(t.Context(), "bob", "db", "none", store.PortLimitsSet{})
	checkProblem(t, err, http.StatusNotFound, "bob/db/none")
	own := c.as(t, c.make(t, client.TokenSpec{Name: "of-bob", Role: "tenant", Tenant: "bob"}))
	_, err = own.SetPortLimits(t.Context(), "bob", "db", "b", store.PortLimitsSet{})
	checkProblem(t, err, http.StatusForbidden)
}
