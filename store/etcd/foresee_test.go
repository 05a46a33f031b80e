package etcd

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"sluice/store"
)

// What is foreseen is what is drawn then, if nobody came between; nothing is written.
func TestForeseeIsWhatIsDrawn(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	spec := store.NetworkSpec{Tenant: "alice", Name: "db", Segmentation: store.SegmentationVLAN, Subnets: prefixes("10.9.0.0/24")}
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	before := dumped(t, c)
	state, err := c.view(ctx, store.TenantKey("alice").String(), store.Under(store.KindNetwork, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := spec.Propose(state)
	if err != nil {
		t.Fatal(err)
	}
	values, err := c.Foresee(ctx, p, map[string]bool{})
	if err != nil {
		t.Fatal(err)
	}
	if got := dumped(t, c); len(got) != len(before) {
		t.Errorf("it wrote: %d keys, %d before", len(got), len(before))
	}
	foreseen := p.Writes[0].Object.(*store.Network)
	if want := []string{fmt.Sprint(foreseen.Number), fmt.Sprint(foreseen.Segment)}; !slices.Equal(values, want) {
		t.Errorf("values %v, the network has %v", values, want)
	}
	if _, err := c.CreateNetwork(ctx, spec); err != nil {
		t.Fatal(err)
	}
	o, _, err := c.Get(ctx, store.NetworkKey("alice", "db"))
	if err != nil {
		t.Fatal(err)
	}
	if drawn := o.(*store.Network); drawn.Number != foreseen.Number || drawn.Segment != foreseen.Segment {
		t.Errorf("foreseen number %d and VLAN id %d, drawn %d and %d", foreseen.Number, foreseen.Segment, drawn.Number, drawn.Segment)
	}
}

// few is a draw of three values, whose owner is of a name.
func few(name string, value *string) store.Draw {
	return store.Draw{
		Owner: store.TenantKey(name), Dir: "few", Seed: "s", Space: store.Numbers(3), Set: func(v string) { *value = v },
		Exhausted: func(store.Counted) error { return store.ErrExhausted },
		Taken:     func(owner string) error { return fmt.Errorf("%w: %s has it", store.ErrTaken, owner) },
	}
}

// Of one plan no two get one value, nor what etcd holds; then nothing is left.
func TestForeseeKeepsAPlanApart(t *testing.T) {
	c := start(t)
	ctx := testContext(t)
	var first string
	if _, err := c.write(ctx, store.Proposal{Draws: []store.Draw{few("first", &first)}}); err != nil {
		t.Fatal(err)
	}
	drawn, seen := map[string]bool{}, map[string]bool{first: true}
	for _, name := range []string{"a", "b"} {
		var value string
		if _, err := c.Foresee(ctx, store.Proposal{Draws: []store.Draw{few(name, &value)}}, drawn); err != nil {
			t.Fatal(err)
		}
		if seen[value] || value == "" {
			t.Errorf("%s gets %q, which another one has: %v", name, value, seen)
		}
		seen[value] = true
	}
	var none string
	_, err := c.Foresee(ctx, store.Proposal{Draws: []store.Draw{few("c", &none)}}, drawn)
	if !errors.Is(err, store.ErrExhausted) {
		t.Errorf("where nothing is left: %v", err)
	}
	fixed := few("d", &none)
	for _, fixed.Value = range []string{first, "2", "3"} {
		if _, err := c.Foresee(ctx, store.Proposal{Draws: []store.Draw{fixed}}, drawn); !errors.Is(err, store.ErrTaken) {
			t.Errorf("the value %s that another one has: %v", fixed.Value, err)
		}
	}
}
