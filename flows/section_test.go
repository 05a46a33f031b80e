package flows

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// Every section keeps each of its promises: whoever forgets a line of one learns it here.
func TestSections(t *testing.T) {
	golden := goldenOwners(t)
	kinds := map[sliceKind]bool{}
	for _, sec := range sections {
		t.Run(sec.owner, func(t *testing.T) {
			if sec.kind == 0 || kinds[sec.kind] || sec.owner == "" || sec.object == "" {
				t.Errorf("its kind is %d, which is to be its own; its owner is %q, its object %q", sec.kind, sec.owner, sec.object)
			}
			kinds[sec.kind] = true
			path := "testdata/two-tenants.golden"
			if sec.kind == kindPeering {
				path = "testdata/peering.golden"
			}
			if sec.kind == kindPublished {
				path = "testdata/published.golden"
			}
			d, _ := readDocument(t, path)
			for _, sw := range d.switches() {
				checkSlices(t, d.State, sw, &sec)
			}
			if word, _, _ := strings.Cut(sec.owner, ":"); !golden[word] {
				t.Errorf("no golden file shows a flow of %s", word)
			}
		})
	}
}

// checkSlices asks that a section has slices on a host, and that each has flows, an owner by the
// section's own word, and somebody to serve who is there.
func checkSlices(t *testing.T, s *store.State, sw Switch, sec *section) {
	t.Helper()
	word, _, _ := strings.Cut(sec.owner, ":")
	slices, flows := 0, 0
	Slices(s, sw.Host, func(sl Slice) {
		if sl.kind() != sec.kind {
			return
		}
		slices++
		Compile(s, sw, sl, func(f of.Flow) {
			flows++
			if Slice(f.Cookie) != sl {
				t.Errorf("slice %#x has the flow %s", uint64(sl), &f)
			}
		})
		owner := Owner(s, uint64(sl))
		if owner != word && !strings.HasPrefix(owner, word+" ") {
			t.Errorf("slice %#x is of %q", uint64(sl), owner)
		}
		served := Served(s, sw.Host, sl)
		if len(served) == 0 {
			t.Errorf("%s serves nobody", owner)
		}
		for _, key := range served {
			if _, name, of := strings.Cut(owner, " "); of && key.Kind != store.KindHost && !strings.HasSuffix(key.Short(), name[strings.LastIndex(name, "/")+1:]) {
				t.Errorf("%s serves %s", owner, key.Short())
			}
		}
	})
	if slices == 0 || flows == 0 {
		t.Errorf("host %s has %d slices with %d flows", sw.Host, slices, flows)
	}
}

// goldenOwners are the first words of the owners of all flows in golden files.
func goldenOwners(t *testing.T) map[string]bool {
	t.Helper()
	words := map[string]bool{}
	for _, path := range documents(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if _, about, ok := strings.Cut(line, "  # "); ok {
				owner, _, _ := strings.Cut(about, ",")
				word, _, _ := strings.Cut(owner, " ")
				words[word] = true
			}
		}
	}
	return words
}

// Cookies stand in switches that run on while controllers are replaced: they are what they were.
func TestCookies(t *testing.T) {
	for sl, want := range map[Slice]uint64{
		baseSlice():        0x0100000000000000,
		peerSlice("h2"):    0x0200000000000000 | uint64(store.HostHash("h2")),
		tenantSlice(7):     0x0300000700000000,
		networkSlice(7, 9): 0x0400000700000009,
		portSlice(7, 9):    0x0500000700000009,
		peeringSlice(7, 9): 0x0700000700000009,
		publishedSlice(7, &store.Publication{Protocol: store.ProtocolTCP, On: 80}): 0x0800000700000050,
		publishedSlice(7, &store.Publication{Protocol: store.ProtocolUDP, On: 80}): 0x0800000700010050,
		portSlice(0xfffffe, 1):             0x05fffffe00000001,
		portSlice(1<<24, 1):                0x05ffffff00000001,
		portSlice(7, 0xffffffff):           0x05000007ffffffff,
		resolverSlice():                    0x0600000000000001,
		tenantSlice(store.MaxTenantNumber): 0x03fffffe00000000,
	} {
		if uint64(sl) != want {
			t.Errorf("cookie %#x, want %#x", uint64(sl), want)
		}
	}
	if got := portSlice(7, 9).Tenant(); got != 7 {
		t.Errorf("it is of tenant %d, want 7", got)
	}
}

// Served is what cannot be told realized while the switch refuses a flow of the slice.
func TestServed(t *testing.T) {
	s := manyTenants(2)
	for sl, want := range map[Slice][]store.Key{
		baseSlice():        {store.HostKey("h1")},
		peerSlice("h2"):    {store.HostKey("h1")},
		tenantSlice(2):     {store.TenantKey("t1")},
		resolverSlice():    {store.HostKey("h1")},
		0x0600000200000000: nil,
		networkSlice(2, 2): {store.NetworkKey("t1", "default")},
		portSlice(2, 4):    {store.PortKey("h2", "t1", "default", "p1")},
		tenantSlice(9):     nil,
		networkSlice(2, 9): nil,
		portSlice(2, 99):   nil,
		0xabc:              nil,
	} {
		if got := Served(s, "h1", sl); !slices.Equal(got, want) {
			t.Errorf("slice %#x serves %v, want %v", uint64(sl), got, want)
		}
	}
}

// A change marks just the slices whose flows or problems it touches, by section.
func TestAffected(t *testing.T) {
	const all, here = "h1 h2 h3", "h1"
	tests := []struct {
		about string
		do    func(s *store.State) []store.Change
		want  map[string]string // owner -> hosts
	}{
		{"a network's MTU", editNetwork(func(n *store.Network) { n.MTU = 1400 }), nil},
		{"a network's flood mode", editNetwork(func(n *store.Network) { n.Flood = store.FloodOff }),
			map[string]string{"network alice/default": "h1 h2"}},
		{"a network's subnet", editNetwork(func(n *store.Network) { n.Subnets = nil }), map[string]string{
			"tenant alice": "h1 h2", "network alice/default": "h1 h2", "port alice/default/a1": "h1 h2", "port alice/default/a2": "h1 h2"}},
		{"a port's label", editPort(func(p *store.Port) { p.Labels = store.Labels{"a": "b"} }), nil},
		{"a port's allowed pair", editPort(func(p *store.Port) { p.AllowedPairs = []store.AddressPair{{}} }),
			map[string]string{"network alice/default": here, "port alice/default/a1": "h1 h2"}},
		{"a gateway's epoch", func(s *store.State) []store.Change {
			return change(s, store.GatewayKey("alice"), &store.Gateway{Active: "h1", Epoch: 7})
		}, nil},
		{"a host's label", editHost(func(h *store.Host) { h.Labels = store.Labels{"a": "b"} }), nil},
		{"a host's datapath id", editHost(func(h *store.Host) { h.DatapathID = 77 }), map[string]string{"base": "h2", "peer h2": "h1 h3"}},
		{"a host's infrastructure", editHost(func(h *store.Host) { h.Infrastructure = nil }), map[string]string{"base": "h2"}},
		{"a host's VTEPs", editHost(func(h *store.Host) { h.VTEPs = nil }), map[string]string{
			"base": "h2", "peer h1": "h2", "peer h2": "h1 h3", "peer h3": "h2", "network alice/default": "h1 h2",
			"port alice/default/a2": "h1 h2", "tenant bob": all}},
		{"a host's encapsulation", editHost(func(h *store.Host) { h.Encap = "gre" }), map[string]string{
			"base": "h2", "peer h1": "h2", "peer h2": "h1 h3", "peer h3": "h2", "network alice/default": "h1 h2",
			"port alice/default/a1": "h2", "port alice/default/a2": "h1 h2", "tenant alice": "h2", "tenant bob": all,
			"network bob/default": "h2", "port bob/default/b1": "h2", "port bob/default/b3": "h2", "resolver": "h2"}},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			d, _ := readDocument(t, "testdata/two-tenants.golden")
			got := map[string]map[string]bool{}
			Affected(d.State, tt.do(d.State), func(host string, sl Slice) {
				owner := Owner(d.State, uint64(sl))
				if got[owner] == nil {
					got[owner] = map[string]bool{}
				}
				got[owner][host] = true
			})
			lines := map[string]string{}
			for owner, hosts := range got {
				lines[owner] = strings.Join(slices.Sorted(maps.Keys(hosts)), " ")
			}
			if !maps.Equal(lines, tt.want) {
				t.Errorf("it marks %v, want %v", lines, tt.want)
			}
		})
	}
}

func change(s *store.State, key store.Key, o store.Object) []store.Change {
	r := s.Revision() + 1
	created := r
	switch key.Kind {
	case store.KindNetwork:
		created = s.Network(key.NetworkName()).Created
	case store.KindPort:
		created = s.Port(key).Created
	case store.KindHost:
		created = s.Host(key.Host).Created
	case store.KindGateway:
		created = s.Gateway(key.Tenant).Created
	}
	return s.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: key, Object: o, Created: created, Modified: r}}})
}

func editNetwork(edit func(*store.Network)) func(*store.State) []store.Change {
	return func(s *store.State) []store.Change {
		i := s.Network(store.NetworkName{Tenant: "alice", Network: "default"})
		v := *i.Value
		edit(&v)
		return change(s, i.Key, &v)
	}
}

func editPort(edit func(*store.Port)) func(*store.State) []store.Change {
	return func(s *store.State) []store.Change {
		i := s.Port(store.PortKey("h1", "alice", "default", "a1"))
		v := *i.Value
		edit(&v)
		return change(s, i.Key, &v)
	}
}

func editHost(edit func(*store.Host)) func(*store.State) []store.Change {
	return func(s *store.State) []store.Change {
		i := s.Host("h2")
		v := *i.Value
		edit(&v)
		return change(s, i.Key, &v)
	}
}

// A section is marked by a change that changes its flows, in every random world: marks that
// change nothing would do for the others.
func TestSectionsAreMarked(t *testing.T) {
	changed := map[sliceKind]int{}
	for seed := range uint64(4) {
		w := newWorld(seed)
		w.changed = changed
		for range 60 {
			w.step()
		}
	}
	for _, sec := range sections {
		if changed[sec.kind] == 0 {
			t.Errorf("no change marks a slice of %s and changes its flows", sec.owner)
		}
	}
}

// Each step is declared by one table, the highest priority first, and some golden file has a flow
// of it.
func TestSteps(t *testing.T) {
	used := map[string]bool{}
	for _, path := range documents(t) {
		d, _ := readDocument(t, path)
		for _, sw := range d.switches() {
			flows, _ := compileHost(d.State, sw)
			for _, f := range flows {
				used[fmt.Sprint(f.Table, " ", f.Priority)] = true
			}
		}
	}
	declared := map[step]int{}
	for _, table := range Tables() {
		for i, s := range table.Steps {
			declared[s.step]++
			if i > 0 && table.Steps[i-1].Priority <= s.Priority {
				t.Errorf("table %s: priority %d does not come before %d", table.Name, table.Steps[i-1].Priority, s.Priority)
			}
			if s.About == "" || !used[fmt.Sprint(table.ID, " ", s.Priority)] {
				t.Errorf("table %s: step %d says %q of itself; no golden file may have a flow of it", table.Name, s.Priority, s.About)
			}
			if at := places[s.step]; at.table != table.ID || at.priority != s.Priority {
				t.Errorf("table %s: the flows of step %d stand at %+v", table.Name, s.Priority, at)
			}
		}
	}
	for s := range numSteps {
		if declared[s] != 1 {
			t.Errorf("step %d is declared %d times", s, declared[s])
		}
	}
}
