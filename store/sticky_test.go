package store

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withSticky is the cluster where the name a2 has a MAC and addresses.
func withSticky(addresses ...string) *State {
	s := cluster()
	s.Apply(Batch{Revision: 21, Events: []Event{{Key: StickyKey("h1", "alice", "default", "a2"), Created: 12, Modified: 13,
		Object: &Sticky{MAC: MAC{2, 2}, Addresses: prefixes(addresses...)}}}})
	return s
}

// What a name has its next port gets, in the transaction that ends the waiting; what is asked for goes before, and what
// is not taken is free.
func TestProposeStickyPort(t *testing.T) {
	const macs, addresses = "macs/alice/default/", "addresses/alice/default/"
	for _, x := range []struct {
		name   string
		state  *State
		spec   PortSpec
		asks   []string // of the draws: the values that alone will do
		passes []string // which of them the name had
		frees  []string
		sticky Stickiness
	}{
		{"as it was", withSticky("10.0.0.7/24", "fd00::7/64"), PortSpec{Sticky: true},
			[]string{"a2", "", "02:02:00:00:00:00", "10.0.0.7", "fd00::7"}, []string{"a2", "02:02:00:00:00:00", "10.0.0.7", "fd00::7"}, nil, StickyAgain},
		{"for the last time", withSticky("10.0.0.7/24"), PortSpec{},
			[]string{"a2", "", "02:02:00:00:00:00", "10.0.0.7", ""}, []string{"a2", "02:02:00:00:00:00", "10.0.0.7"}, nil, NotSticky},
		{"others are asked for", withSticky("10.0.0.7/24", "fd00::7/64"), PortSpec{Sticky: true, MAC: MAC{2, 9}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.8")}},
			[]string{"a2", "", "02:09:00:00:00:00", "10.0.0.8", "fd00::7"}, []string{"a2", "fd00::7"}, []string{macs + "02:02:00:00:00:00", addresses + "10.0.0.7"}, StickyAgain},
		{"the same is asked for", withSticky("10.0.0.7/24"), PortSpec{Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.7")}},
			[]string{"a2", "", "02:02:00:00:00:00", "10.0.0.7", ""}, []string{"a2", "02:02:00:00:00:00", "10.0.0.7"}, nil, NotSticky},
		{"of no subnet any more", withSticky("10.9.0.7/24"), PortSpec{},
			[]string{"a2", "", "02:02:00:00:00:00", "", ""}, []string{"a2", "02:02:00:00:00:00"}, []string{addresses + "10.9.0.7"}, NotSticky},
		{"the router's by now", withSticky("10.0.0.1/24"), PortSpec{},
			[]string{"a2", "", "02:02:00:00:00:00", "", ""}, []string{"a2", "02:02:00:00:00:00"}, []string{addresses + "10.0.0.1"}, NotSticky},
		{"nothing before", cluster(), PortSpec{Sticky: true}, []string{"a2", "", "", "", ""}, nil, nil, StickyFirst},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := x.spec
			s.Host, s.Tenant, s.Network, s.Name, s.UID = "h1", "alice", "default", "a2", "bbbbbbbbbbbb"
			p, err := s.Propose(x.state, 1)
			if err != nil {
				t.Fatal(err)
			}
			var asks, passes, frees []string
			for _, d := range p.Draws {
				asks = append(asks, d.Value)
				if d.Former != (Key{}) {
					if d.Former != StickyKey("h1", "alice", "default", "a2") {
						t.Errorf("%s is of %s", d.Value, d.Former.Short())
					}
					passes = append(passes, d.Value)
				}
			}
			for _, f := range p.Frees {
				frees = append(frees, f.Dir+"/"+f.Value)
			}
			if diff := cmp.Diff([][]string{x.asks, x.passes, x.frees}, [][]string{asks, passes, frees}); diff != "" {
				t.Errorf("asks, passes, frees: -want +got\n%s", diff)
			}
			if port := p.Writes[0].Object.(*Port); port.Sticky != x.sticky {
				t.Errorf("the port is sticky as %q, want %q", port.Sticky, x.sticky)
			}
			mine := x.state.Sticky(StickyKey("h1", "alice", "default", "a2"))
			if mine != nil && (len(p.Writes) != 2 || p.Writes[1].Key != mine.Key || p.Writes[1].Object != nil) {
				t.Errorf("the name's does not go: %+v", p.Writes)
			}
			last := p.Presumes[len(p.Presumes)-1]
			if want := map[bool]Revision{true: 13}[mine != nil]; last.Condition != Unchanged || last.Revision != want {
				t.Errorf("it presumes %+v, want revision %d", last, want)
			}
		})
	}
}

// A sticky port leaves all but its number to its name. One of which nobody was told leaves what was there before it.
func TestDeleteOfStickyPort(t *testing.T) {
	key := PortKey("h1", "alice", "default", "a1")
	for _, x := range []struct {
		name   string
		sticky Stickiness
		delete func(*State) (Proposal, error)
		stays  bool
	}{
		{"detached at first", StickyFirst, func(s *State) (Proposal, error) { return ProposeDeletePortOf(s, key, "aaaaaaaaaaaa", 0) }, true},
		{"detached again", StickyAgain, func(s *State) (Proposal, error) { return ProposeDeletePort(s, key, 3) }, true},
		{"detached", NotSticky, func(s *State) (Proposal, error) { return ProposeDeletePort(s, key, 0) }, false},
		{"undone at first", StickyFirst, func(s *State) (Proposal, error) { return ProposeUndoPort(s, key, "aaaaaaaaaaaa", 3) }, false},
		{"undone again", StickyAgain, func(s *State) (Proposal, error) { return ProposeUndoPort(s, key, "aaaaaaaaaaaa", 3) }, true},
		{"undone", NotSticky, func(s *State) (Proposal, error) { return ProposeUndoPort(s, key, "aaaaaaaaaaaa", 3) }, false},
	} {
		s := cluster()
		port := *s.Port(key).Value
		port.Sticky = x.sticky
		s.Apply(Batch{Revision: 22, Events: []Event{{Key: key, Object: &port, Created: 10, Modified: 22}}})
		p, err := x.delete(s)
		if err != nil {
			t.Fatal(err)
		}
		writes, passes, frees := []Event{{Key: key}}, 0, 4
		if x.stays {
			writes = append(writes, Event{Key: StickyKey("h1", "alice", "default", "a1"), Object: &Sticky{MAC: port.MAC, Addresses: port.Addresses}})
			passes, frees = 3, 1
		}
		if diff := cmp.Diff(writes, p.Writes, comparers...); diff != "" {
			t.Errorf("%s: writes -want +got\n%s", x.name, diff)
		}
		if len(p.Passes) != passes || len(p.Frees) != frees || x.stays && p.Frees[0].Dir != "port-numbers" {
			t.Errorf("%s: passes %+v, frees %+v", x.name, p.Passes, p.Frees)
		}
		for _, pass := range p.Passes {
			if pass.Owner != key || pass.To != StickyKey("h1", "alice", "default", "a1") {
				t.Errorf("%s: %s/%s goes to %s", x.name, pass.Dir, pass.Value, pass.To.Short())
			}
		}
		wrong := []Presumption{}
		for _, presumed := range p.Presumes {
			if !strings.Contains(presumed.Path, "ports/h1/") && presumed.Path != HostKey("h1").String() {
				wrong = append(wrong, presumed)
			}
		}
		if len(wrong) > 0 || len(p.Presumes) == 0 {
			t.Errorf("%s presumes %+v", x.name, p.Presumes)
		}
	}
	if _, err := ProposeUndoPort(cluster(), key, "cccccccccccc", 0); err == nil {
		t.Error("another port of the name is undone")
	}
}

func TestStickies(t *testing.T) {
	s := withSticky("10.0.0.7/24")
	s.Apply(Batch{Revision: 22, Events: []Event{{Key: StickyKey("h1", "alice", "default", "a0"), Object: &Sticky{}}}})
	var names []string
	for i := range s.Stickies() {
		names = append(names, i.Key.Name)
	}
	if !slices.Equal(names, []string{"a0", "a2"}) {
		t.Errorf("stickies %v", names)
	}
	for range s.Stickies() {
		break
	}
	for owner, want := range map[string]bool{"stickies/h1/alice/default/a2": true, "ports/h1/alice/default/stickies": false, "": false} {
		if IsSticky(owner) != want {
			t.Errorf("%q is sticky: %v", owner, !want)
		}
	}
	text := Subnet{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParseAddr("10.0.0.1")}.exhausted(NetworkName{"alice", "default"}, nil, Counted{InUse: 3, Sticky: 250}).Error()
	if want := "3 by ports, 250 by names whose ports are gone (sluice sticky list); the router has 10.0.0.1: detach ports, delete what is sticky, or make"; !strings.Contains(text, want) {
		t.Errorf("%q lacks %q", text, want)
	}
}
