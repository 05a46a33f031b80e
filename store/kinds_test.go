package store

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every constant of type Kind in the package's files is in the list of kinds, but the one that
// State derives.
func TestEveryKindIsListed(t *testing.T) {
	want := declaredKinds(t)
	var got []string
	for _, d := range append(slices.Clone(kinds), described(presenceKind)) {
		got = append(got, string(d.kind()))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("constants of type Kind (-), kinds that are described (+):\n%s", diff)
	}
	for _, d := range kinds {
		for _, other := range kinds {
			if d.kind() != other.kind() && strings.HasPrefix(Under(other.kind()), Under(d.kind())) {
				t.Errorf("keys of %s look like keys of %s", other.kind(), d.kind())
			}
		}
	}
}

// declaredKinds are the texts of all constants of type Kind, sorted.
func declaredKinds(t *testing.T) (texts []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 && fmt.Sprint(spec.Type) == "Kind" {
				text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, text)
			}
			return true
		})
	}
	slices.Sort(texts)
	return texts
}

// Each kind says what it is called, who writes and who reads it, and has examples of its keys
// and objects, which go to etcd's text and back.
func TestEveryKindSaysWhatItIs(t *testing.T) {
	labels := map[string]Kind{}
	for _, d := range kinds {
		kind, f := d.kind(), d.about()
		if f.label == "" || f.writer == "" || f.reader == "" || len(f.parts) == 0 || f.derived {
			t.Errorf("%s: %+v", kind, f)
		}
		if other, taken := labels[kind.Label()]; taken {
			t.Errorf("%s and %s are both called %s", kind, other, kind.Label())
		}
		labels[kind.Label()] = kind
		if d.empty().Kind() != kind {
			t.Errorf("the empty object of %s is of %s", kind, d.empty().Kind())
		}
		at := slices.IndexFunc(examples, func(e example) bool { return e.key.Kind == kind })
		if at < 0 {
			t.Errorf("%s has no example in object_test.go", kind)
			continue
		}
		key := examples[at].key
		if again, err := ParseKey(key.String()); err != nil || again != key {
			t.Errorf("%s is read %+v, %v", key, again, err)
		}
		if strings.Count(key.String(), "/") != strings.Count(Under(kind), "/")+len(f.parts)-1 && f.parts[0] != partRest {
			t.Errorf("%s has not the %d parts %v", key, len(f.parts), f.parts)
		}
	}
}

// unkept are the kinds that State does not keep.
var unkept = []Kind{KindStatusHost, KindStatusController, KindStatusCounters, KindHappening, KindUsage, KindAlloc,
	KindIdentity, KindWitnessHost, KindWitnessController, KindChain, KindStamp, KindWord, KindFarewell}

// State shows each object of the other kinds while it is there, and tells of it: on
// one that it does not keep no flow and no task depends.
func TestStateKeepsEveryKind(t *testing.T) {
	for _, tc := range examples {
		s := NewState()
		e := Event{Key: tc.key, Object: tc.object, Created: 3, Modified: 4}
		changes := s.Apply(Batch{Revision: 4, Events: []Event{e}})
		found, there := s.Find(tc.key)
		if slices.Contains(unkept, tc.key.Kind) {
			if len(changes) > 0 || there {
				t.Errorf("%s: changes %+v, found %v", tc.key, changes, there)
			}
			continue
		}
		if len(changes) == 0 || changes[0].Key != tc.key || changes[0].Before != nil || changes[0].After != tc.object {
			t.Errorf("%s was put: changes %+v", tc.key, changes)
		}
		if !there || !sameEvent(found, e) {
			t.Errorf("%s was put: found %+v", tc.key, found)
		}
		if all := tc.key.Kind.describe().all(s); len(all) != 1 || !sameEvent(all[0], e) {
			t.Errorf("%s was put: all are %+v", tc.key, all)
		}
		other := s.Apply(Batch{Revision: 5, Events: []Event{{Key: tc.key}}})
		if _, there := s.Find(tc.key); there || len(other) == 0 || !sameObject(other[0].Before, tc.object) || other[0].After != nil {
			t.Errorf("%s was deleted: found %v, changes %+v", tc.key, there, other)
		}
	}
}

// promise is what a unique value promises, and two objects of the kind that have nothing
// in common but that value.
type promise struct {
	kind      Kind
	what      string // the name and the value, as people read them
	dir       string // under alloc/; empty: etcd keeps no key for it
	path      string // below the directory
	tombstone bool
	unseen    bool // State lets two objects have the value: only etcd keeps it unique
	a, b      Event
}

// promises are all that the kinds make, in the order of their descriptions.
func promises() []promise {
	network := func(name string, n Network) Event { return Event{Key: NetworkKey("alice", name), Object: &n} }
	host := func(name string, h Host) Event { return Event{Key: HostKey(name), Object: &h} }
	port := func(host, name string, p Port) Event {
		return Event{Key: PortKey(host, "alice", "web", name), Object: &p}
	}
	sticky := func(host, name string, s Sticky) Event {
		return Event{Key: StickyKey(host, "alice", "web", name), Object: &s}
	}
	address := func(text string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("fd00::" + text + "/64"), netip.MustParsePrefix("10.0.0." + text + "/24")}
	}
	return []promise{
		{kind: KindTenant, what: "number 7", dir: "tenant-numbers", path: "7", tombstone: true,
			a: Event{Key: TenantKey("alice"), Object: &Tenant{Number: 7}}, b: Event{Key: TenantKey("bob"), Object: &Tenant{Number: 7}}},
		{kind: KindNetwork, what: "number 7", dir: "network-numbers", path: "7", tombstone: true,
			a: network("web", Network{Number: 7}), b: network("db", Network{Number: 7})},
		{kind: KindNetwork, what: "VLAN id 42", dir: "vlans", path: "42", tombstone: true,
			a: network("web", Network{Number: 7, Segmentation: SegmentationVLAN, Segment: 42}),
			b: network("db", Network{Number: 8, Segmentation: SegmentationVLAN, Segment: 42})},
		{kind: KindHost, what: "datapath id 000000000000000a", dir: "datapath-ids", path: "000000000000000a",
			a: host("h1", Host{DatapathID: 10}), b: host("h2", Host{DatapathID: 10})},
		{kind: KindHost, what: "VTEP 192.0.2.9", dir: "vteps", path: "192.0.2.9",
			a: host("h1", Host{DatapathID: 1, VTEPs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")}}),
			b: host("h2", Host{DatapathID: 2, VTEPs: []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.9")}})},
		{kind: KindPort, what: "name a1", dir: "ports", path: "alice/web/a1", unseen: true,
			a: port("h1", "a1", Port{Number: 1, MAC: MAC{2, 1}}), b: port("h2", "a1", Port{Number: 2, MAC: MAC{2, 2}})},
		{kind: KindPort, what: "number 7", dir: "port-numbers", path: "7", tombstone: true,
			a: port("h1", "a1", Port{Number: 7, MAC: MAC{2, 1}}), b: port("h1", "a2", Port{Number: 7, MAC: MAC{2, 2}})},
		{kind: KindPort, what: "MAC 02:05:00:00:00:00", dir: "macs", path: "alice/web/02:05:00:00:00:00",
			a: port("h1", "a1", Port{Number: 1, MAC: MAC{2, 5}}), b: port("h2", "a2", Port{Number: 2, MAC: MAC{2, 5}})},
		{kind: KindPort, what: "interface sl-a",
			a: port("h1", "a1", Port{Number: 1, MAC: MAC{2, 1}, Interface: "sl-a"}), b: port("h1", "a2", Port{Number: 2, MAC: MAC{2, 2}, Interface: "sl-a"})},
		{kind: KindPort, what: "address 10.0.0.5", dir: "addresses", path: "alice/web/10.0.0.5",
			a: port("h1", "a1", Port{Number: 1, MAC: MAC{2, 1}, Addresses: address("5")}),
			b: port("h2", "a2", Port{Number: 2, MAC: MAC{2, 2}, Addresses: address("5")[1:]})},
		{kind: KindSticky, what: "name a1", dir: "ports", path: "alice/web/a1", unseen: true,
			a: sticky("h1", "a1", Sticky{MAC: MAC{2, 1}}), b: sticky("h2", "a1", Sticky{MAC: MAC{2, 2}})},
		{kind: KindSticky, what: "MAC 02:05:00:00:00:00", dir: "macs", path: "alice/web/02:05:00:00:00:00", unseen: true,
			a: sticky("h1", "a1", Sticky{MAC: MAC{2, 5}}), b: sticky("h2", "a2", Sticky{MAC: MAC{2, 5}})},
		{kind: KindSticky, what: "address 10.0.0.6", dir: "addresses", path: "alice/web/10.0.0.6", unseen: true,
			a: sticky("h1", "a1", Sticky{MAC: MAC{2, 1}, Addresses: address("6")}), b: sticky("h2", "a2", Sticky{MAC: MAC{2, 2}, Addresses: address("6")[1:]})},
	}
}

// name is the promise's for messages.
func (p promise) name() string { return string(p.kind) + ": " + p.what }

// The descriptions make exactly the promises that this test knows.
func TestUniqueValues(t *testing.T) {
	var want, got []uniqueFacts
	var kindsWanted, kindsGot []Kind
	var tombstones []string
	for _, d := range kinds {
		for _, u := range d.unique() {
			got, kindsGot = append(got, u), append(kindsGot, d.kind())
		}
	}
	for _, p := range promises() {
		name := p.what[:strings.LastIndex(p.what, " ")]
		want = append(want, uniqueFacts{name: name, dir: p.dir, tombstone: p.tombstone, enforced: !p.unseen})
		kindsWanted = append(kindsWanted, p.kind)
		if p.tombstone {
			tombstones = append(tombstones, p.dir)
		}
		checkTaken(t, p)
	}
	if !slices.Equal(want, got) || !slices.Equal(kindsWanted, kindsGot) {
		t.Errorf("unique values that this test knows:\n%+v of %v\ndescribed:\n%+v of %v", want, kindsWanted, got, kindsGot)
	}
	if diff := cmp.Diff(tombstones, TombstoneDirs()); diff != "" {
		t.Errorf("tombstones (-want +got):\n%s", diff)
	}
}

// checkTaken: an object that has the value has a key for it under alloc/.
func checkTaken(t *testing.T, p promise) {
	t.Helper()
	taken := TakenBy(p.a.Key, p.a.Object)
	at := slices.IndexFunc(taken, func(k Taken) bool { return k.Dir == p.dir && k.Value == p.path })
	if at < 0 != (p.dir == "") {
		t.Errorf("%s: it took %+v", p.name(), taken)
	}
	if at < 0 {
		return
	}
	want := Taken{Owner: p.a.Key, Dir: p.dir, Value: p.path, Tombstone: p.tombstone}
	if taken[at] != want || want.Key().String() != Prefix+"alloc/"+p.dir+"/"+p.path {
		t.Errorf("%s: taken %+v under %s, want %+v", p.name(), taken[at], taken[at].Key(), want)
	}
}

// A network without a VLAN takes no VLAN id, a host without a switch or tunnel address and
// a port without an interface claim none.
func TestNoValueIsNobodys(t *testing.T) {
	tunnel := TakenBy(NetworkKey("alice", "web"), &Network{Number: 7, Segment: 7, Segmentation: SegmentationTunnel})
	if len(tunnel) != 1 || tunnel[0].Dir != "network-numbers" {
		t.Errorf("a tunnel network took %+v", tunnel)
	}
	for _, o := range []Object{nil, &Presence{Ports: 1}, &Gateway{}, &Host{VTEPs: []netip.Addr{{}}}} {
		if got := TakenBy(TenantKey("alice"), o); got != nil {
			t.Errorf("%+v took %+v", o, got)
		}
	}
	s := NewState()
	s.Apply(Batch{Revision: 1, Events: []Event{
		{Key: HostKey("h1"), Object: &Host{VTEPs: []netip.Addr{{}, netip.IPv4Unspecified()}}, Created: 1},
		{Key: HostKey("h2"), Object: &Host{VTEPs: []netip.Addr{{}, netip.IPv4Unspecified()}}, Created: 2},
		{Key: PortKey("h1", "alice", "web", "a1"), Object: &Port{Number: 1, MAC: MAC{2, 1}}},
		{Key: PortKey("h1", "alice", "web", "a2"), Object: &Port{Number: 2, MAC: MAC{2, 2}}},
	}})
	if p := s.ContestedHost(s.Host("h2")); p != nil {
		t.Errorf("hosts without address: %v", p)
	}
	if p := s.ContestedPort(s.Port(PortKey("h1", "alice", "web", "a2"))); p != nil {
		t.Errorf("ports without interface: %v", p)
	}
	if s.HostByVTEP(netip.Addr{}) != nil || s.HostByVTEP(netip.IPv4Unspecified()) != nil || s.HostByDatapath(0) != nil || s.PortByInterface("h1", "") != nil {
		t.Error("no value is somebody's")
	}
}

// contestedBy asks State why an object cannot be programmed, by the kind's own function.
func contestedBy(s *State, key Key) []Problem {
	switch key.Kind {
	case KindTenant:
		return s.ContestedTenant(s.Tenant(key.Tenant))
	case KindNetwork:
		return s.ContestedNetwork(s.Network(key.NetworkName()))
	case KindHost:
		return s.ContestedHost(s.Host(key.Host))
	default:
		return s.ContestedPort(s.Port(key))
	}
}

// Of two objects with one value the older has it, and the other is told so; it gets the
// value once the older is gone. Whoever loses or gains a value is among the changes.
func TestContests(t *testing.T) {
	for _, p := range promises() {
		if p.unseen {
			continue
		}
		c := contest{t: t, p: p, s: NewState()}
		c.put(p.a, 1)
		c.put(p.b, 2, p.b.Key)
		c.lacks(p.b, p.a)
		c.drop(p.a, p.a.Key, p.b.Key)
		c.lacks(Event{}, p.b)
		c.put(p.a, 3, p.a.Key)
		c.lacks(p.a, p.b)
		c.put(p.a, 1, p.a.Key, p.b.Key) // it was deleted and is the older again
		c.lacks(p.b, p.a)
		c.drop(p.b, p.b.Key)
		c.lacks(Event{}, p.a)
	}
}

type contest struct {
	t *testing.T
	p promise
	s *State
}

// put applies an object created at a revision; the changes must tell of the given keys.
func (c contest) put(e Event, created Revision, told ...Key) {
	c.t.Helper()
	e.Created, e.Modified = created, c.s.Revision()+1
	c.apply(e, told)
}

func (c contest) drop(e Event, told ...Key) {
	c.t.Helper()
	c.apply(Event{Key: e.Key}, told)
}

func (c contest) apply(e Event, told []Key) {
	c.t.Helper()
	changes := c.s.Apply(Batch{Revision: c.s.Revision() + 1, Events: []Event{e}})
	for _, key := range told {
		if !slices.ContainsFunc(changes, func(c Change) bool { return c.Key == key }) {
			c.t.Errorf("%s: no change tells of %s: %+v", c.p.name(), key, changes)
		}
	}
}

// lacks: loser is told that holder has the value, and nobody else is told anything.
func (c contest) lacks(loser, holder Event) {
	c.t.Helper()
	if got := contestedBy(c.s, holder.Key); got != nil {
		c.t.Errorf("%s: the holder is told %v", c.p.name(), got)
	}
	if loser.Object == nil {
		return
	}
	want := []Problem{{Key: loser.Key, Object: loser.Key.Short(), LeavesOut: LeavesOutPorts,
		Text: c.p.what + " belongs to the older " + holder.Key.Short() + ": delete one of the two"}}
	if diff := cmp.Diff(want, contestedBy(c.s, loser.Key)); diff != "" {
		c.t.Errorf("%s (-want +told):\n%s", c.p.name(), diff)
	}
}

// referenceCases are all references, with an object of each side, and what the parent's
// delete says of the child. An empty text: it is not refused.
func referenceCases() []struct {
	child, parent Event
	onDelete      onDelete
	says          string
} {
	tenant := Event{Key: TenantKey("alice"), Object: &Tenant{Number: 1}, Created: 1, Modified: 1}
	host := Event{Key: HostKey("h1"), Object: &Host{}, Created: 1, Modified: 1}
	network := Event{Key: NetworkKey("alice", "web"), Object: &Network{Number: 1}, Created: 1, Modified: 1}
	port := Event{Key: PortKey("h1", "alice", "web", "a1"), Object: &Port{Number: 1}}
	return []struct {
		child, parent Event
		onDelete      onDelete
		says          string
	}{
		{network, tenant, refuses, `in use: it has network alice/web: delete its networks but "default" first`},
		{port, tenant, refuses, "in use: it has ports alice/web/a1: detach them first, and delete what is sticky"},
		{port, network, refuses, "in use: it has ports alice/web/a1: detach them first, and delete what is sticky"},
		{port, host, cleared, ""},
		{Event{Key: GatewayKey("alice"), Object: &Gateway{Active: "h1"}}, tenant, follows, ""},
		{Event{Key: PeeringKey("alice", "bob"), Object: &Peering{}}, tenant, follows, ""},
		{Event{Key: PublicationKey("alice", "tcp-80"), Object: &Publication{}}, tenant, follows, ""},
		{Event{Key: IdleKey("alice"), Object: &Idle{}}, tenant, follows, ""},
		{Event{Key: MasterKey("h1"), Object: &Master{}}, host, follows, ""},
		{Event{Key: LiveHostKey("h1"), Object: &LiveHost{}}, host, follows, ""},
		{Event{Key: StatusHostKey("h1"), Object: &StatusHost{}}, host, follows, ""},
		{Event{Key: EnrolmentKey("h1"), Object: &Enrolment{}}, host, follows, ""},
		{Event{Key: EmptiedKey("h1"), Object: &Emptied{}}, host, follows, ""},
		{Event{Key: DrainKey("h1"), Object: &Drain{}}, host, follows, ""},
	}
}

// What refers to an object refuses its delete, follows it, or is cleared after it.
func TestReferences(t *testing.T) {
	var want, got []string
	for _, tc := range referenceCases() {
		want = append(want, fmt.Sprint(tc.child.Key.Kind, " ", tc.onDelete, " ", tc.parent.Key.Kind))
		checkDelete(t, tc.child, tc.parent, tc.onDelete, tc.says)
	}
	for _, d := range kinds {
		for _, r := range d.about().refers {
			got = append(got, fmt.Sprint(d.kind(), " ", r.onDelete, " ", r.to))
			if r.onDelete == follows && len(takenBy(d.kind())) > 0 {
				t.Errorf("%s takes values: it cannot follow %s unread", d.kind(), r.to)
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("references (-tested +described):\n%s", diff)
	}
}

func checkDelete(t *testing.T, child, parent Event, on onDelete, says string) {
	t.Helper()
	s := NewState()
	s.Apply(Batch{Revision: 5, Events: []Event{parent, child}})
	name := fmt.Sprint("delete of ", parent.Key, " with ", child.Key)
	p, err := ProposeDelete(s, parent.Key)
	if on == refuses {
		if !errors.Is(err, ErrInUse) || err.Error() != says {
			t.Errorf("%s: %v, want %s", name, err, says)
		}
		checkGuard(t, child, parent, says)
		return
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	under := func(path string) bool { return strings.HasPrefix(child.Key.String(), path) }
	if goes := slices.Contains(p.Writes, Event{Key: child.Key}) || slices.ContainsFunc(p.Clears, under); goes != (on == follows) {
		t.Errorf("%s writes %+v and clears %q", name, p.Writes, p.Clears)
	}
}

// checkGuard: where the state lacks the child, the delete presumes that there is none, under
// a path where etcd has the child or a value that it took, and refuses with the same words. Or
// the path is among what is to be read, and nothing new may be there.
func checkGuard(t *testing.T, child, parent Event, says string) {
	t.Helper()
	s := NewState()
	s.Apply(Batch{Revision: 5, Events: []Event{parent}})
	p, err := ProposeDelete(s, parent.Key)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{child.Key.String()}
	for _, taken := range TakenBy(child.Key, child.Object) {
		paths = append(paths, taken.Key().String())
	}
	for _, presumed := range p.Presumes {
		for _, path := range paths {
			if !strings.HasPrefix(path, presumed.Path) {
				continue
			}
			switch presumed.Condition {
			case NothingNewUnder:
				if !slices.Contains(NeededToDelete(parent.Key), presumed.Path) || presumed.Revision != 5 {
					t.Errorf("delete of %s presumes %+v, needs %v", parent.Key, presumed, NeededToDelete(parent.Key))
				}
				return
			case NoneUnder:
				if err := presumed.InUse([]string{path}, 0); !errors.Is(err, ErrInUse) || err.Error() != says {
					t.Errorf("delete of %s: %v, want %s", parent.Key, err, says)
				}
				return
			}
		}
	}
	t.Errorf("delete of %s presumes nothing of %v: %+v", parent.Key, paths, p.Presumes)
}

// What holds numbers or parts is not deleted plainly, and what needs a parent is not put
// plainly without it.
func TestPlainWrites(t *testing.T) {
	own := []Kind{KindTenant, KindNetwork, KindHost, KindPort, KindSticky}
	for _, d := range kinds {
		if got := HasOwnDelete(d.kind()); got != slices.Contains(own, d.kind()) {
			t.Errorf("%s has a delete of its own: %v", d.kind(), got)
		}
	}
	if HasOwnDelete("else") {
		t.Error("an unknown kind has a delete of its own")
	}
	for _, tc := range examples {
		var want []Key
		switch tc.key.Kind {
		case KindGateway:
			want = []Key{TenantKey(tc.key.Tenant)}
		case KindIdle:
			want = []Key{TenantKey("batch")}
		}
		if got := NeededToPut(tc.key); !slices.Equal(got, want) {
			t.Errorf("%s needs %v, want %v", tc.key, got, want)
		}
	}
	if got := NeededToPut(Key{Kind: "else", Name: "x"}); got != nil {
		t.Errorf("an object of an unknown kind needs %v", got)
	}
}
