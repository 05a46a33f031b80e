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
		a := new(Client).newAllocation(store.Draw{Dir: "vlans", Owner: store.TenantKey("alice"), Seed: fmt.Sprint("seed", free), Space: store.Numbers(50)})
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

// A value is drawn from those that are better while they are free. After a miss nobody looks there for a while, then one does.
func TestDrawsRather(t *testing.T) {
	c := new(Client)
	next := func(n int) *allocation {
		return c.newAllocation(store.Draw{Dir: "numbers", Seed: fmt.Sprint("seed", n), Space: store.Numbers(1 << 24), Rather: store.Numbers(10)})
	}
	better := func(a *allocation) bool { n, _ := strconv.Atoi(a.value); return n <= 10 }
	for n := range 5 {
		if a := next(n); !better(a) {
			t.Errorf("drawn %s", a.value)
		}
	}
	a := next(0)
	if err := a.next(t.Context(), c, nil); err != nil || better(a) {
		t.Errorf("after a miss: %s, %v", a.value, err)
	}
	for n := range crowded {
		if a := next(n); better(a) {
			t.Fatalf("draw %d after a miss: %s", n, a.value)
		}
	}
	if a := next(0); !better(a) {
		t.Errorf("nobody looks again: %s", a.value)
	}
}
