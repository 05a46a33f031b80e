package store_test

import (
	"fmt"
	"net/netip"

	"sluice/store"
)

// What a request would write is decided without etcd: nothing is drawn or written here.
func ExampleTenantSpec_Propose() {
	spec := store.TenantSpec{Name: "alice", Subnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}}
	proposal, err := spec.Propose(store.NewState())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, write := range proposal.Writes {
		fmt.Println("writes", write.Key.Short())
	}
	for _, draw := range proposal.Draws {
		fmt.Printf("draws one of %d under alloc/%s\n", draw.Space.Count, draw.Dir)
	}
	// Output:
	// writes tenants/alice
	// writes networks/alice/default
	// draws one of 16777213 under alloc/network-numbers
	// draws one of 16777214 under alloc/tenant-numbers
}

// A State is told of whole revisions, and says what each meant.
func ExampleState_Apply() {
	state := store.NewState()
	changes := state.Apply(store.Batch{Revision: 7, Events: []store.Event{
		{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 1}, Created: 7, Modified: 7},
	}})
	fmt.Println(len(changes), "change, of", changes[0].Key.Short())
	fmt.Println("alice has number", state.Tenant("alice").Value.Number)
	// Output:
	// 1 change, of tenants/alice
	// alice has number 1
}
