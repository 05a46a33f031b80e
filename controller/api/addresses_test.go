package api_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/client"
	"sluice/store"
)

// A network that excludes addresses shows what is left of its subnets; a list does not.
func TestAddressesOfANetwork(t *testing.T) {
	c, ctx := start(t), t.Context()
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/29"}, Exclude: []string{"10.0.0.2-10.0.0.4"}}); err != nil {
		t.Fatal(err)
	}
	shown, err := c.Network(ctx, "alice", "default")
	want := []store.SubnetUse{{Subnet: netip.MustParsePrefix("10.0.0.0/29"), Free: 2, Next: netip.MustParseAddr("10.0.0.5")}}
	if diff := cmp.Diff(want, shown.Addresses, compareAddresses); err != nil || diff != "" || len(shown.Exclude) != 1 || shown.Exclude[0].String() != "10.0.0.2-10.0.0.4" {
		t.Errorf("shown %+v, %v\n%s", shown, err, diff)
	}
	if list, err := c.Networks(ctx, "alice"); err != nil || len(list) != 1 || list[0].Addresses != nil || len(list[0].Exclude) != 1 {
		t.Errorf("listed %+v, %v", list, err)
	}
	_, err = c.CreateNetwork(ctx, client.NetworkSpec{Tenant: "alice", Name: "db", Subnets: []string{"10.0.1.0/24"}, Exclude: []string{"10.0.1"}})
	checkProblem(t, err, http.StatusUnprocessableEntity, "alice/db", `"10.0.1" is no range`)
	_, err = c.CreateTenant(ctx, client.TenantSpec{Name: "bob", Exclude: []string{"10.0.0.9-10.0.0.5"}})
	checkProblem(t, err, http.StatusUnprocessableEntity, "bob", "did you mean")
}

// A tenant with a time to live says when it ends, once it is marked as idle.
func TestTimeToLive(t *testing.T) {
	c, ctx := start(t), t.Context()
	made, err := c.CreateTenant(ctx, client.TenantSpec{Name: "batch", TTL: "90m"})
	if err != nil || made.TTL != store.Duration(90*time.Minute) || made.Ends != nil {
		t.Fatalf("made %+v, %v", made, err)
	}
	since := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	if _, err := c.store.PutIf(ctx, store.IdleKey("batch"), &store.Idle{Since: since}, 0, 0); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		shown, err := c.Tenant(ctx, "batch")
		if err == nil && (shown.Ends == nil || !shown.Ends.Equal(since.Add(90*time.Minute))) {
			err = fmt.Errorf("it ends at %v", shown.Ends)
		}
		return err
	})
	for ttl, says := range map[string]string{"soon": "write it as 90m or 2h", "5s": "less than 1m0s"} {
		_, err := c.CreateTenant(ctx, client.TenantSpec{Name: "job", TTL: ttl})
		checkProblem(t, err, http.StatusUnprocessableEntity, "job", says)
	}
}
