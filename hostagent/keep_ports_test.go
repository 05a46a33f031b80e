package hostagent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/ovsdb"
	"sluice/store"
	"sluice/store/etcd"
)

// TestRepairs gives a host one interface for each state that the kernel, the switch, the
// journal and etcd can be in.
func TestRepairs(t *testing.T) {
	const a, b = "sl-aaaaaaaaaaaa", "sl-bbbbbbbbbbbb"
	uid := map[string]string{a: "aaaaaaaaaaaa", b: "bbbbbbbbbbbb"}
	open, refused := ovsdb.InterfaceStatus{Name: a, OFPort: 5}, ovsdb.InterfaceStatus{Name: a, OFPort: -1}
	for _, c := range []struct {
		name            string
		link            bool
		row             *ovsdb.InterfaceStatus
		held, abandoned bool
		port            bool // etcd has it
		want            []string
		count           int
	}{
		{"whole", true, &open, false, false, true, nil, 1},
		{"not in the switch", true, nil, false, false, true, []string{"replug"}, 1},
		{"refused by the switch", true, &refused, false, false, true, []string{"replug"}, 1},
		{"without an OpenFlow port yet", true, &ovsdb.InterfaceStatus{Name: a}, false, false, true, []string{"replug"}, 1},
		{"container vanished", false, &refused, false, false, true, []string{"gone"}, 1},
		{"container and row vanished", false, nil, false, false, true, []string{"gone"}, 1},
		{"in the kernel alone", true, nil, false, false, false, []string{"stray"}, 0},
		{"in the switch alone", false, &refused, false, false, false, []string{"stray"}, 0},
		{"in both and not in etcd", true, &open, false, false, false, []string{"stray"}, 0},
		{"attach under way, half made", true, nil, true, false, false, nil, 0},
		{"attach under way, in etcd first", false, nil, true, false, true, nil, 1},
		{"attach under way, not plugged in", true, nil, true, false, true, nil, 1},
		{"attach abandoned before etcd had it", true, &open, false, true, false, nil, 0},
		{"attach abandoned after", true, nil, false, true, true, nil, 0},
		{"nowhere", false, nil, false, false, false, nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv := inventory{
				links: map[string]bool{b: true}, held: map[string]bool{},
				rows: map[string]ovsdb.InterfaceStatus{b: {Name: b, OFPort: 6}},
			}
			should := map[string]store.Event{b: portEvent(b, uid[b])} // beside one that is always right
			if c.link {
				inv.links[a] = true
			}
			if c.row != nil {
				inv.rows[a] = *c.row
			}
			if c.held {
				inv.held[uid[a]] = true
			}
			if c.abandoned {
				inv.abandoned = []intent{{UID: uid[a]}}
			}
			if c.port {
				should[a] = portEvent(a, uid[a])
			}
			r := repairsOf(should, inv)
			var got []string
			for _, name := range r.strays {
				got = append(got, map[string]string{a: "stray"}[name])
			}
			for _, e := range r.unplugged {
				got = append(got, map[string]string{a: "replug"}[e.Object.(*store.Port).Interface])
			}
			for _, e := range r.gone {
				got = append(got, map[string]string{a: "gone"}[e.Object.(*store.Port).Interface])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if want := c.count + 1; r.ports != want {
				t.Errorf("the host has %d ports, want %d", r.ports, want)
			}
			if len(inv.held) > 0 != c.held {
				t.Errorf("held became %v", inv.held)
			}
		})
	}
}

func portEvent(iface, uid string) store.Event {
	return store.Event{Object: &store.Port{Interface: iface, UID: uid}}
}

// Without a registration nobody knows which ports the host should have: nothing is touched,
// or the missing switch and journal would panic.
func TestPortsAreLeftAloneUnregistered(t *testing.T) {
	p := &ports{registration: &registration{}}
	should, err := p.should(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	inv := inventory{links: map[string]bool{"sl-aaaaaaaaaaaa": true}, abandoned: []intent{{UID: "bbbbbbbbbbbb"}}}
	if err := p.makeSo(t.Context(), should, inv); err != nil {
		t.Error(err)
	}
}

// A detach that begins after a round's look at who works is left to the one who asked for it, or the missing
// store would panic.
func TestLateLeavingIsLeftAlone(t *testing.T) {
	const a = "sl-aaaaaaaaaaaa"
	p := &ports{}
	should := assigned{registration: &etcd.Registration{}, leaving: []store.Event{portEvent(a, "aaaaaaaaaaaa")}}
	if err := p.finishLeaving(t.Context(), should, inventory{recorded: map[string]record{a: {}}}); err != nil {
		t.Error(err)
	}
}
