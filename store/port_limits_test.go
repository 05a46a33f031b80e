package store

import (
	"errors"
	"strings"
	"testing"
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

func TestLimitsOfANewPort(t *testing.T) {
	for _, c := range []struct {
		limits PortLimits
		says   string
	}{
		{PortLimits{EgressKbps: maxKbps, EgressBurst: 1}, ""},
		{PortLimits{EgressKbps: maxKbps + 1}, "of what it sends: give 1 to 100000000"},
		{PortLimits{IngressKbps: maxKbps + 1}, "of what it gets: give 1 to 100000000"},
		{PortLimits{IngressBurst: 8}, "a burst of 8 kilobits of what it gets, and no rate"},
		{PortLimits{EgressBurst: 8, IngressKbps: 1}, "a burst of 8 kilobits of what it sends, and no rate"},
	} {
		err := PortSpec{Name: "web", UID: "abcdefghijkl", Limits: c.limits}.Validate()
		if (err == nil) != (c.says == "") || err != nil && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %v, want %q", c.limits, err, c.says)
		}
	}
}
