package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Of the port's own limit and its tenant's the smaller one holds, each with its burst.
func TestRatesOfAPort(t *testing.T) {
	for _, c := range []struct {
		own, tenant PortLimits
		egress      Rate
		ingress     Rate
	}{
		{PortLimits{}, PortLimits{}, Rate{}, Rate{}},
		{PortLimits{EgressKbps: 8000}, PortLimits{}, Rate{8000, 8000}, Rate{}},
		{PortLimits{}, PortLimits{IngressKbps: 8000}, Rate{}, Rate{8000, 8000}},
		{PortLimits{EgressKbps: 8000, EgressBurst: 20_000, IngressKbps: 9000, IngressBurst: 1}, PortLimits{EgressKbps: 9000, IngressKbps: 8000}, Rate{8000, 20_000}, Rate{8000, 8000}},
		{PortLimits{EgressKbps: 8000, IngressKbps: 7000}, PortLimits{EgressKbps: 7000, IngressKbps: 8000}, Rate{7000, 7000}, Rate{7000, 7000}},
		{PortLimits{EgressKbps: 8000, EgressBurst: 1<<32 - 1, IngressKbps: 10}, PortLimits{EgressKbps: 8000}, Rate{8000, 32_000}, Rate{10, 150}},
		{PortLimits{IngressKbps: maxKbps, IngressBurst: 1<<32 - 1, EgressKbps: 1<<32 - 1, EgressBurst: 1<<32 - 1}, PortLimits{}, Rate{1<<32 - 1, 1<<32 - 1}, Rate{maxKbps, 4 * maxKbps}},
	} {
		p := &Port{Limits: c.own}
		l := Limits{PortEgressKbps: c.tenant.EgressKbps, PortIngressKbps: c.tenant.IngressKbps}
		if egress, ingress := p.Egress(l), p.Ingress(l); egress != c.egress || ingress != c.ingress {
			t.Errorf("%+v in a tenant with %+v sends %v and gets %v, want %v and %v", c.own, c.tenant, egress, ingress, c.egress, c.ingress)
		}
	}
}

// What the operator said of one direction holds there in place of what the runtime asked; the tenant's limit holds beside it.
func TestLimitsThatWereSet(t *testing.T) {
	kbps := func(n uint32) *uint32 { return &n }
	asked := PortLimits{EgressKbps: 8000, EgressBurst: 20_000, IngressKbps: 9000}
	for _, c := range []struct {
		set             PortLimitsSet
		egress, ingress Rate
	}{
		{PortLimitsSet{}, Rate{8000, 20_000}, Rate{9000, 9000}},
		{PortLimitsSet{EgressKbps: kbps(6000)}, Rate{6000, 20_000}, Rate{9000, 9000}},
		{PortLimitsSet{EgressKbps: kbps(1000)}, Rate{1000, 4000}, Rate{9000, 9000}},
		{PortLimitsSet{IngressKbps: kbps(9500)}, Rate{8000, 20_000}, Rate{9500, 9500}},
		{PortLimitsSet{EgressKbps: kbps(0), IngressKbps: kbps(0)}, Rate{10_000, 10_000}, Rate{}},
		{PortLimitsSet{EgressKbps: kbps(12_000)}, Rate{10_000, 10_000}, Rate{9000, 9000}},
	} {
		p := &Port{Limits: asked, LimitsSet: c.set}
		l := Limits{PortEgressKbps: 10_000}
		if egress, ingress := p.Egress(l), p.Ingress(l); egress != c.egress || ingress != c.ingress {
			t.Errorf("%+v sends %v and gets %v, want %v and %v", p.OwnLimits(), egress, ingress, c.egress, c.ingress)
		}
	}
}

func TestProposePortLimits(t *testing.T) {
	key, kbps := PortKey("h1", "batch", "db", "p"), uint32(5000)
	was := &Port{UID: "p", Number: 9, MAC: MAC{2, 9}, Interface: "sl-p", Limits: PortLimits{EgressKbps: 1}, LimitsSet: PortLimitsSet{IngressKbps: &kbps}}
	s := batchState(Event{Key: key, Created: 7, Modified: 8, Object: was})
	p, err := PortLimitsSpec{key, PortLimitsSet{EgressKbps: &kbps}}.Propose(s)
	want := *was
	want.LimitsSet = PortLimitsSet{EgressKbps: &kbps}
	if diff := cmp.Diff(Proposal{
		Writes:   []Event{{Key: key, Object: &want}},
		Presumes: []Presumption{{Condition: Unchanged, Path: key.String(), Revision: 8}},
	}, p); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	if was.LimitsSet.EgressKbps != nil {
		t.Error("the port of the state was changed")
	}
	if _, err := (PortLimitsSpec{Key: PortKey("h1", "batch", "db", "q")}).Propose(s); !errors.Is(err, ErrNotFound) {
		t.Errorf("of a port that is not: %v", err)
	}
	most, more := uint32(maxKbps), uint32(maxKbps+1)
	for says, set := range map[string]PortLimitsSet{
		"":                                  {EgressKbps: &most, IngressKbps: &most},
		"of what the port sends: give 1 to": {EgressKbps: &more},
		"of what the port gets: give 1 to":  {IngressKbps: &more},
	} {
		_, err := PortLimitsSpec{key, set}.Propose(s)
		if (err == nil) != (says == "") || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says)) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

// What was set stays with a port whose container starts again under another wish, and with one that moves.
func TestLimitsSetStay(t *testing.T) {
	kbps := uint32(5000)
	key := PortKey("h1", "batch", "db", "p")
	s := batchState(Event{Key: HostKey("h2"), Created: 6, Modified: 7, Object: &Host{}},
		Event{Key: key, Created: 7, Modified: 8, Object: &Port{UID: "abcdefghijkl", Number: 9, LimitsSet: PortLimitsSet{EgressKbps: &kbps}}})
	again, err := PortSpec{Host: "h1", Tenant: "batch", Network: "db", Name: "p", UID: "abcdefghijkl", Limits: PortLimits{IngressKbps: 7}}.Propose(s, 0)
	if err != nil || len(again.Writes) != 1 {
		t.Fatalf("%+v, %v", again, err)
	}
	if got := again.Writes[0].Object.(*Port).OwnLimits(); got != (PortLimits{EgressKbps: kbps, IngressKbps: 7}) {
		t.Errorf("attached again it has %+v", got)
	}
	moved, err := PortMove{Key: key, Host: "h2"}.Propose(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := moved.Writes[1].Object.(*Port).OwnLimits().EgressKbps; got != kbps {
		t.Errorf("on another host it has %d", got)
	}
}

func TestLimitsOfANewPort(t *testing.T) {
	for _, c := range []struct {
		limits PortLimits
		says   string
	}{
		{PortLimits{EgressKbps: maxKbps, EgressBurst: 1}, ""},
		{PortLimits{EgressKbps: maxKbps + 1}, "of what the port sends: give 1 to 100000000"},
		{PortLimits{IngressKbps: maxKbps + 1}, "of what the port gets: give 1 to 100000000"},
		{PortLimits{IngressBurst: 8}, "a burst of 8 kilobits of what the port gets, and no rate"},
		{PortLimits{EgressBurst: 8, IngressKbps: 1}, "a burst of 8 kilobits of what the port sends, and no rate"},
	} {
		err := PortSpec{Name: "web", UID: "abcdefghijkl", Limits: c.limits}.Validate()
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %v, want %q", c.limits, err, c.says)
		}
	}
}
