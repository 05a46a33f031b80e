package etcd

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// audited is a tenant with ports a1 and a2 of h1, and returns its ports.
func audited(t *testing.T) (c *Client, host store.Revision, ports []store.Item[store.Port]) {
	t.Helper()
	c = start(t)
	host = register(t, c, "h1")
	createTenant(t, c, store.TenantSpec{Name: "alice", Segmentation: store.SegmentationVLAN})
	for _, name := range []string{"a1", "a2"} {
		ports = append(ports, createPort(t, c, portSpec("h1", "alice", name)))
	}
	return c, host, ports
}

// pass is what the leader does in one pass over alloc/, without its waits.
func pass(t *testing.T, c *Client) (restored, freed []string) {
	t.Helper()
	ctx := testContext(t)
	s, err := c.view(ctx, store.Under(store.KindTenant), store.Under(store.KindNetwork), store.Under(store.KindHost))
	if err != nil {
		t.Fatal(err)
	}
	list, at, err := c.List(ctx, store.KindPort) // one that cannot be read is left out
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(store.Batch{Revision: at, Events: list})
	right, strays := map[store.Key]int{}, []AllocKey{}
	page, _, err := c.Allocs(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range page {
		switch v, owner := s.JudgeAlloc(key.Path, key.Alloc); v {
		case store.AllocRight:
			right[owner]++
		case store.AllocStray:
			strays = append(strays, key)
		}
	}
	var lacking []store.Event
	for _, key := range s.Takers() {
		if e, lacks := s.Lacks(key, right[key], at); lacks {
			lacking = append(lacking, e)
		}
	}
	done, err := c.RestoreTaken(ctx, lacking)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := c.FreeStrays(ctx, strays)
	if err != nil {
		t.Fatal(err)
	}
	return mendedPaths(done), mendedPaths(gone)
}

// mendedPaths are what was mended, without store.Prefix, sorted.
func mendedPaths(list []Mended) (paths []string) {
	for _, m := range list {
		paths = append(paths, strings.TrimPrefix(m.Path, store.Prefix))
	}
	slices.Sort(paths)
	return paths
}

// raw writes a value as it is; nil deletes the key.
func raw(t *testing.T, c *Client, path string, value *string) {
	t.Helper()
	var err error
	if value == nil {
		_, err = c.etcd.Delete(testContext(t), path)
	} else {
		_, err = c.etcd.Put(testContext(t), path, *value)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func text(s string) *string { return &s }

func allocsOf(t *testing.T, c *Client) map[string]string {
	t.Helper()
	all := dumped(t, c)
	maps.DeleteFunc(all, func(path, _ string) bool { return !strings.HasPrefix(path, "alloc/") })
	return all
}

// Whatever is done to the keys under alloc/, they are restored from the objects, all of them.
func TestAllocsAreRestored(t *testing.T) {
	c, _, ports := audited(t)
	before := allocsOf(t, c)
	if restored, freed := pass(t, c); len(restored)+len(freed) > 0 {
		t.Fatalf("where all is right it restored %v and freed %v", restored, freed)
	}
	for name, value := range map[string]*string{
		"deleted": nil, "rubbish": text("rubbish"), "no object": text("null"), "another kind": text(`[7]`),
		"a newer kind's":              text(`{"owner":"balancers/b1"}`),
		"of a port that is not there": text(`{"owner":"ports/h1/alice/default/gone"}`),
		"of another port":             text(`{"owner":"` + ports[1].Key.Short() + `"}`),
		"of the host":                 text(`{"owner":"hosts/h1"}`),
		"freed":                       text(`{"owner":"` + ports[0].Key.Short() + `","freed":true}`),
	} {
		for path := range before {
			raw(t, c, store.Prefix+path, value)
		}
		restored, freed := pass(t, c)
		if diff := cmp.Diff(before, allocsOf(t, c)); diff != "" {
			t.Errorf("%s (-before +after):\n%s", name, diff)
		}
		if len(restored) == 0 || len(freed) > 0 {
			t.Errorf("%s: it restored %d of %d and freed %v", name, len(restored), len(before), freed)
		}
		if restored, freed := pass(t, c); len(restored)+len(freed) > 0 {
			t.Errorf("%s, again: it restored %v and freed %v", name, restored, freed)
		}
	}
}

// What a port leaves that was deleted by hand, or that cannot be read, is freed: its number stays as a
// tombstone. Its network can be deleted then.
func TestStraysAreFreed(t *testing.T) {
	for name, value := range map[string]*string{"deleted": nil, "unreadable": text("rubbish")} {
		t.Run(name, func(t *testing.T) {
			c, host, ports := audited(t)
			ctx := testContext(t)
			raw(t, c, ports[0].Key.String(), value)
			restored, freed := pass(t, c)
			var want []string
			for _, taken := range store.TakenBy(ports[0].Key, ports[0].Value) {
				want = append(want, taken.Key().Short())
			}
			slices.Sort(want)
			if len(restored) > 0 || !slices.Equal(freed, want) {
				t.Errorf("it restored %v and freed %v, want %v freed", restored, freed, want)
			}
			if n := releasePassed(t, c, 1<<40); n != 1 {
				t.Errorf("%d numbers are tombstones", n)
			}
			if _, err := c.DeletePort(ctx, ports[1].Key, host); err != nil {
				t.Fatal(err)
			}
			if _, err := c.DeleteTenant(ctx, "alice"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// What changed since it was read is left alone: a stray that was taken, or whose object came back; an
// object that changed or went.
func TestMendingsAreFenced(t *testing.T) {
	c, host, ports := audited(t)
	ctx := testContext(t)
	gone := ports[0]
	taken := store.TakenBy(gone.Key, gone.Value)
	raw(t, c, gone.Key.String(), nil)
	strays, _, err := c.Allocs(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	strays = slices.DeleteFunc(strays, func(a AllocKey) bool { return a.Owner != gone.Key.Short() })
	if len(strays) != len(taken) {
		t.Fatalf("%d strays", len(strays))
	}
	if still, err := c.StillStrays(ctx, append(strays, AllocKey{Path: taken[0].Key().String(), Modified: 1})); len(still) != len(strays) || err != nil {
		t.Errorf("strays still are %v, %v", still, err)
	}
	put(gone.Key, gone.Value)(t, c)
	if still, err := c.StillStrays(ctx, strays); len(still) > 0 || err != nil {
		t.Errorf("when the object is back strays still are %v, %v", still, err)
	}
	before := allocsOf(t, c)
	if freed, err := c.FreeStrays(ctx, strays); len(freed) > 0 || err != nil {
		t.Errorf("when the object is back: %v, %v", freed, err)
	}
	raw(t, c, gone.Key.String(), nil)
	for _, key := range strays {
		raw(t, c, key.Path, text(`{"owner":"`+ports[1].Key.Short()+`"}`))
	}
	if freed, err := c.FreeStrays(ctx, strays); len(freed) > 0 || err != nil {
		t.Errorf("when another has it: %v, %v", freed, err)
	}
	for path, value := range before {
		raw(t, c, store.Prefix+path, &value)
	}
	old := store.Event{Key: ports[1].Key, Object: ports[1].Value, Created: ports[1].Created, Modified: ports[1].Modified}
	lost := store.TakenBy(old.Key, old.Object)[0].Key().String()
	raw(t, c, lost, nil)
	put(old.Key, ports[1].Value)(t, c)
	if restored, err := c.RestoreTaken(ctx, []store.Event{old}); len(restored) > 0 || err != nil {
		t.Errorf("to an object that changed: %v, %v", restored, err)
	}
	if _, err := c.DeletePort(ctx, old.Key, host); err != nil {
		t.Fatal(err)
	}
	if restored, err := c.RestoreTaken(ctx, []store.Event{old}); len(restored) > 0 || err != nil {
		t.Errorf("to an object that is gone: %v, %v", restored, err)
	}
}

// Two ports that claim one address, since its key was deleted between them, never both win: the older
// is programmed, the younger is a problem, and the key goes to the older, whoever had it.
func TestOneAddressHasOneHolder(t *testing.T) {
	c, host, ports := audited(t)
	older := ports[0]
	address := older.Value.Addresses[0].Addr()
	key := store.AllocKey("addresses", "alice/default", address.String())
	raw(t, c, key.String(), nil)
	spec := portSpec("h1", "alice", "a0")
	spec.Addresses = []netip.Addr{address}
	younger := createPort(t, c, spec)
	if a := get[store.Alloc](t, c, key); a.Owner != younger.Key.Short() {
		t.Fatalf("the key is %+v", a)
	}
	s := store.NewState()
	for _, p := range []store.Item[store.Port]{younger, older} {
		s.Apply(store.Batch{Revision: younger.Modified, Events: []store.Event{{Key: p.Key, Object: p.Value, Created: p.Created, Modified: p.Modified}}})
	}
	if holder := s.PortAt(older.Key.NetworkName(), address); holder.Key != older.Key {
		t.Errorf("%s holds the address", holder.Key.Short())
	}
	if len(s.ContestedPort(s.Port(older.Key))) != 0 || len(s.ContestedPort(s.Port(younger.Key))) != 1 {
		t.Error("want the younger contested, and it alone")
	}
	for _, wants := range []int{1, 0} {
		if restored, freed := pass(t, c); len(restored) != wants || len(freed) > 0 {
			t.Errorf("it restored %v and freed %v", restored, freed)
		}
		if a := get[store.Alloc](t, c, key); a.Owner != older.Key.Short() {
			t.Errorf("the key is %+v", a)
		}
	}
	if _, err := c.DeletePort(testContext(t), older.Key, host); err != nil {
		t.Fatal(err)
	}
	if restored, _ := pass(t, c); len(restored) != 1 {
		t.Errorf("when the older is gone it restored %v", restored)
	}
	if a := get[store.Alloc](t, c, key); a.Owner != younger.Key.Short() {
		t.Errorf("then the key is %+v", a)
	}
}

// A list comes in pages, each after the last.
func TestAllocsComeInPages(t *testing.T) {
	c := start(t)
	for at := 0; at < 2*pageSize+1; at += maxOps {
		var events []store.Event
		for n := at; n < min(at+maxOps, 2*pageSize+1); n++ {
			events = append(events, store.Event{Key: store.AllocKey("vlans", numbered(n)), Object: &store.Alloc{Owner: "x"}})
		}
		if err := c.PutStatus(testContext(t), events); err != nil {
			t.Fatal(err)
		}
	}
	seen, after := map[string]bool{}, ""
	for _, want := range []int{pageSize, pageSize, 1} {
		page, next, err := c.Allocs(testContext(t), after)
		if err != nil || len(page) != want || (next == "") != (want == 1) {
			t.Fatalf("a page of %d after %q, then %q: %v", len(page), after, next, err)
		}
		for _, key := range page {
			seen[key.Path] = true
		}
		after = next
	}
	if len(seen) != 2*pageSize+1 {
		t.Errorf("%d keys were seen", len(seen))
	}
}

// A network, or tenant, is deleted by a user's word whatever objects that are not there have taken in
// it; while others are there, the refusal names these, and nothing is freed.
func TestStraysStandAgainstNoDelete(t *testing.T) {
	c, host, ports := audited(t)
	ctx := testContext(t)
	network := store.NetworkName{Tenant: "alice", Network: "web"}
	spec := store.NetworkSpec{Tenant: network.Tenant, Name: network.Network, Subnets: prefixes("10.1.0.0/24")}
	if _, err := c.CreateNetwork(ctx, spec); err != nil {
		t.Fatal(err)
	}
	var made []store.Item[store.Port]
	for _, name := range []string{"w1", "w2", "w3", "w4", "w5"} {
		p := portSpec("h1", "alice", name)
		p.Network = "web"
		made = append(made, createPort(t, c, p))
	}
	for _, p := range made[:3] {
		raw(t, c, p.Key.String(), nil)
	}
	raw(t, c, made[3].Key.String(), text("rubbish"))
	before := allocsOf(t, c)
	_, err := c.DeleteNetwork(ctx, network)
	expect(t, err, store.ErrInUse, "delete network alice/web", "it has ports alice/web/w5: detach them first, and delete what is sticky")
	if diff := cmp.Diff(before, allocsOf(t, c)); diff != "" {
		t.Errorf("what was refused changed (-before +after):\n%s", diff)
	}
	if _, err := c.DeletePort(ctx, made[4].Key, host); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteNetwork(ctx, network); err != nil {
		t.Fatal(err)
	}
	for path := range allocsOf(t, c) {
		if strings.Contains(path, "alice/web") {
			t.Errorf("%s is left", path)
		}
	}
	if _, err := c.DeletePort(ctx, ports[0].Key, host); err != nil {
		t.Fatal(err)
	}
	raw(t, c, ports[1].Key.String(), nil)
	if _, err := c.DeleteTenant(ctx, "alice"); err != nil {
		t.Errorf("the tenant: %v", err)
	}
}

// A port that was deleted by hand is made again under its name with the address that it had, though
// its keys under alloc/ are there still.
func TestPortTakesWhatItsEarlierLifeLeft(t *testing.T) {
	c, host, ports := audited(t)
	raw(t, c, ports[0].Key.String(), nil)
	other := portSpec("h1", "alice", "a3")
	other.Addresses = []netip.Addr{ports[0].Value.Addresses[0].Addr()}
	_, err := c.CreatePort(testContext(t), other)
	expect(t, err, store.ErrTaken, ports[0].Key.Short())
	spec := portSpec("h1", "alice", "a1")
	spec.HostCreated, spec.Addresses, spec.MAC = host, []netip.Addr{ports[0].Value.Addresses[0].Addr()}, ports[0].Value.MAC
	again := createPort(t, c, spec)
	if again.Value.Addresses[0] != ports[0].Value.Addresses[0] || again.Value.MAC != ports[0].Value.MAC {
		t.Errorf("it has %+v, and had %+v", again.Value, ports[0].Value)
	}
	if restored, freed := pass(t, c); len(restored) > 0 || len(freed) != 1 || !strings.HasPrefix(freed[0], "alloc/port-numbers/") {
		t.Errorf("then it restored %v and freed %v, want its former number freed", restored, freed)
	}
}

// A port whose value cannot be read is deleted by its key, by its host's agent while the host is
// registered, and with its host when that is gone. What it took goes too, its values when the leader
// finds them.
func TestUnreadablePortsAreDeleted(t *testing.T) {
	for name, value := range map[string]string{"rubbish": "rubbish", "null": "null", "another type": "[7]"} {
		t.Run(name, func(t *testing.T) {
			c, host, ports := audited(t)
			ctx := testContext(t)
			raw(t, c, ports[0].Key.String(), &value)
			_, err := c.DeletePort(ctx, ports[0].Key, host+1)
			expect(t, err, store.ErrHostGone, "delete port ports/h1/alice/default/a1")
			if _, err := c.DeletePort(ctx, ports[0].Key, host); err != nil {
				t.Fatal(err)
			}
			if got := keysUnder(t, c, "ports/"); !slices.Equal(got, []string{ports[1].Key.Short()}) {
				t.Errorf("the ports are %v", got)
			}
			if got := keysUnder(t, c, "alloc/ports/"); !slices.Equal(got, []string{"alloc/ports/alice/default/a2"}) {
				t.Errorf("the names of ports are %v", got)
			}
			if restored, freed := pass(t, c); len(restored) > 0 || len(freed) != 3 {
				t.Errorf("it restored %v and freed %v, want number, MAC and address freed", restored, freed)
			}
			_, err = c.DeletePort(ctx, ports[0].Key, host)
			expect(t, err, store.ErrNotFound, "delete port ports/h1/alice/default/a1")
			raw(t, c, ports[1].Key.String(), &value)
			raw(t, c, store.HostKey("h1").String(), nil)
			if _, err := c.DeleteHost(ctx, "h1"); err != nil {
				t.Fatal(err)
			}
			if got := keysUnder(t, c, "ports/"); len(got) > 0 {
				t.Errorf("of a host that is gone %v are left", got)
			}
		})
	}
	c := start(t)
	raw(t, c, store.TenantKey("alice").String(), text("rubbish"))
	_, err := c.DeletePort(testContext(t), store.TenantKey("alice"), 0)
	expect(t, err, store.ErrUnreadable, "delete port tenants/alice")
}
