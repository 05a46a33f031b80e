package store

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newRegistrant is that of a host h3 that takes nothing of another's.
func newRegistrant(edit func(*Registrant)) Registrant {
	s := Registrant{Name: "h3", Host: Host{Incarnation: "three", DatapathID: 3, Encap: "vxlan", VTEPs: vteps("172.30.0.3", "fd30::3")}}
	edit(&s)
	return s
}

func vteps(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// threeHosts are h1, live, h2, and h4 that uses gre, at revision 20.
func threeHosts() *State {
	s := NewState()
	host := func(name string, id DatapathID, encap, vtep string) Event {
		return Event{Key: HostKey(name), Created: 3, Modified: 4,
			Object: &Host{Incarnation: name, DatapathID: id, Encap: encap, VTEPs: vteps(vtep)}}
	}
	s.Apply(Batch{Revision: 20, Events: []Event{
		host("h1", 1, "vxlan", "172.30.0.1"), host("h2", 2, "vxlan", "::ffff:172.30.0.2"), host("h4", 4, "gre", "fd30::4"),
		{Key: LiveHostKey("h1"), Created: 5, Modified: 6, Object: &LiveHost{Incarnation: "h1", Since: time.Unix(0, 0).UTC()}},
	}})
	return s
}

func TestRegistrantRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*Registrant)
		want error
		text string
	}{
		"name": {func(s *Registrant) { s.Name = "h3/x" }, ErrInvalid,
			`invalid: name "h3/x" is not a DNS label: use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends`},
		"incarnation": {func(s *Registrant) { s.Host.Incarnation = "" }, ErrInvalid, "invalid: it has no incarnation"},
		"live": {func(s *Registrant) { s.Name = "h1" }, ErrHostTaken,
			"host name taken: another agent runs under this name since 1970-01-01T00:00:00Z: stop it, or give this one another --host"},
		"registered": {func(s *Registrant) { s.Name = "h2" }, ErrHostTaken,
			"host name taken: another agent, not running now, registered it: if this machine replaces that one, run `sluice host delete h2` first"},
		"a VTEP": {func(s *Registrant) { s.Host.VTEPs[0] = netip.MustParseAddr("172.30.0.2") }, ErrTaken,
			"VTEP 172.30.0.2: taken by host h2: if this machine replaces that one, run `sluice host delete h2` first, else give this one another --vtep"},
		"its second VTEP": {func(s *Registrant) { s.Host.VTEPs[1] = netip.MustParseAddr("fd30::4") }, ErrTaken,
			"VTEP fd30::4: taken by host h4: if this machine replaces that one, run `sluice host delete h4` first, else give this one another --vtep"},
		"a datapath id": {func(s *Registrant) { s.Host.DatapathID = 2 }, ErrTaken,
			"datapath id 0000000000000002: taken by host h2: if this machine replaces that one, run `sluice host delete h2` first, else give this one another --host"},
		"another encapsulation than all": {func(s *Registrant) { s.Host.Encap = "geneve" }, ErrInvalid,
			"encapsulation geneve: invalid: no frame would pass between this host and others, such as h4: start its agent with --encap gre"},
	} {
		p, err := newRegistrant(tc.edit).Propose(threeHosts())
		refused(t, name, p, err, tc.want, tc.text)
	}
}

// taking are the values that a proposal takes and frees.
func taking(p Proposal) (takes, frees []string) {
	for _, d := range p.Draws {
		takes = append(takes, d.Dir+" "+d.Value)
	}
	for _, f := range p.Frees {
		frees = append(frees, f.Dir+" "+f.Value)
	}
	return takes, frees
}

func TestRegistrantProposes(t *testing.T) {
	again := func(edit func(*Host)) Registrant {
		s := Registrant{Name: "h1", Host: *threeHosts().Host("h1").Value}
		edit(&s.Host)
		return s
	}
	for name, tc := range map[string]struct {
		spec           Registrant
		writes         bool
		takes, frees   []string
		host, leaseKey Revision // presumed of the host's key and of its lease key
	}{
		"a new host": {newRegistrant(func(*Registrant) {}), true,
			[]string{"datapath-ids 0000000000000003", "vteps 172.30.0.3", "vteps fd30::3"}, nil, 0, 0},
		"one that says a VTEP twice": {newRegistrant(func(s *Registrant) { s.Host.VTEPs = vteps("172.30.0.3", "::ffff:172.30.0.3") }), true,
			[]string{"datapath-ids 0000000000000003", "vteps 172.30.0.3"}, nil, 0, 0},
		"one with the encapsulation of few": {newRegistrant(func(s *Registrant) { s.Host.Encap, s.Host.VTEPs = "gre", nil }), true,
			[]string{"datapath-ids 0000000000000003"}, nil, 0, 0},
		"one that comes back":                    {again(func(*Host) {}), false, nil, nil, 4, 6},
		"one with another MTU":                   {again(func(h *Host) { h.UnderlayMTU = 9000 }), true, nil, nil, 4, 6},
		"one whose cluster changes its tunnels":  {again(func(h *Host) { h.Encap = "geneve" }), true, nil, nil, 4, 6},
		"one that moved":                         {again(func(h *Host) { h.VTEPs = vteps("172.30.0.9") }), true, []string{"vteps 172.30.0.9"}, []string{"vteps 172.30.0.1"}, 4, 6},
		"one that got a VTEP besides":            {again(func(h *Host) { h.VTEPs = append(h.VTEPs, vteps("fd30::1")...) }), true, []string{"vteps fd30::1"}, nil, 4, 6},
		"one that keeps what another claims too": {again(func(h *Host) { h.Weight = 2 }), true, nil, nil, 4, 6},
	} {
		state := threeHosts()
		if name == "one that keeps what another claims too" {
			state.Apply(Batch{Revision: 21, Events: []Event{{Key: HostKey("h5"), Created: 1, Object: &Host{VTEPs: vteps("172.30.0.1")}}}})
		}
		p, err := tc.spec.Propose(state)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		takes, frees := taking(p)
		if !slices.Equal(takes, tc.takes) || !slices.Equal(frees, tc.frees) || len(p.Writes) == 1 != tc.writes {
			t.Errorf("%s: it takes %v, frees %v and writes %v", name, takes, frees, p.Writes)
		}
		if tc.writes && cmp.Diff(p.Writes[0], Event{Key: tc.spec.Key(), Object: &tc.spec.Host}, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) != "" {
			t.Errorf("%s: it writes %+v", name, p.Writes[0])
		}
		want := []Presumption{{Condition: Unchanged, Path: tc.spec.Key().String(), Revision: tc.host},
			{Condition: Unchanged, Path: LiveHostKey(tc.spec.Name).String(), Revision: tc.leaseKey}}
		if diff := cmp.Diff(want, p.Presumes); diff != "" {
			t.Errorf("%s: presumes (-want +got):\n%s", name, diff)
		}
		if tc.spec.Registered(state) == tc.writes {
			t.Errorf("%s: registered so: %v", name, !tc.writes)
		}
	}
}

// A value whose key says already that it is the host's is not taken again: the key must stay so.
func TestRegistrantThatHoldsValues(t *testing.T) {
	spec := newRegistrant(func(*Registrant) {})
	key := AllocKey("vteps", "172.30.0.3").String()
	spec.Held = map[string]Revision{key: 17}
	p, err := spec.Propose(threeHosts())
	if err != nil {
		t.Fatal(err)
	}
	if takes, _ := taking(p); !slices.Equal(takes, []string{"datapath-ids 0000000000000003", "vteps fd30::3"}) {
		t.Errorf("it takes %v", takes)
	}
	if got, want := p.Presumes[2:], []Presumption{{Condition: Unchanged, Path: key, Revision: 17}}; !cmp.Equal(got, want) {
		t.Errorf("it presumes %+v besides, want %+v", got, want)
	}
}

// What a value's key under alloc/ says where the value is another's by then.
func TestRegistrantMeetsAnotherOwner(t *testing.T) {
	p, err := newRegistrant(func(*Registrant) {}).Propose(threeHosts())
	if err != nil {
		t.Fatal(err)
	}
	for owner, tc := range map[string]struct {
		want error
		text string
	}{
		"hosts/h1":      {ErrTaken, "datapath id 0000000000000003: taken by host h1: if this machine replaces that one, run `sluice host delete h1` first, else give this one another --host"},
		"hosts/new":     {ErrConflict, "0000000000000003: changed meanwhile: hosts/new registers with it now, or left it behind: the leading controller frees what is left"},
		"hosts/h3":      {ErrConflict, "0000000000000003: changed meanwhile: hosts/h3 registers with it now, or left it behind: the leading controller frees what is left"},
		"tenants/alice": {ErrConflict, "0000000000000003: changed meanwhile: tenants/alice registers with it now, or left it behind: the leading controller frees what is left"},
	} {
		if err := p.Draws[0].Taken(owner); !errors.Is(err, tc.want) || err.Error() != tc.text {
			t.Errorf("owner %s: %v", owner, err)
		}
	}
}
