package etcd

import (
	"fmt"
	"strconv"
	"testing"

	"sluice/store"
)

// However full a space is, its free values are found, and no other.
func TestChooseFindsTheFree(t *testing.T) {
	for free := range 50 {
		taken := map[string]bool{}
		for n := range 50 {
			if n != free {
				taken[strconv.Itoa(n+1)] = true
			}
		}
		a := newAllocation(store.Draw{Dir: "vlans", Owner: store.TenantKey("alice"), Seed: fmt.Sprint("seed", free), Space: store.Numbers(50)})
		if !a.choose(taken) || a.value != strconv.Itoa(free+1) {
			t.Errorf("chosen %s, free is %d", a.value, free+1)
		}
		taken[a.value] = true
		if a.choose(taken) {
			t.Errorf("chosen %s of nothing", a.value)
		}
	}
}

func BenchmarkCreatePort(b *testing.B) {
	c := start(b)
	host := register(b, c, "h1")
	createTenant(b, c, store.TenantSpec{Name: "alice", Subnets: prefixes("10.0.0.0/8")})
	ctx, n := b.Context(), 0
	for b.Loop() {
		spec := portSpec("h1", "alice", fmt.Sprintf("p%d", n))
		spec.HostCreated = host
		if _, err := c.CreatePort(ctx, spec); err != nil {
			b.Fatal(err)
		}
		n++
	}
}
