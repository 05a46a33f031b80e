package store

import (
	"slices"
	"testing"
)

// One batch deletes a tenant with its gateway and last port: who removes their flows still
// learns the number and the hosts. The next batch forgets them.
func TestFormer(t *testing.T) {
	s := NewState()
	tenant, gateway := TenantKey("alice"), GatewayKey("alice")
	network, port := NetworkKey("alice", "default"), PortKey("h2", "alice", "default", "a2")
	s.Apply(Batch{Revision: 1, Events: []Event{
		{Key: tenant, Object: &Tenant{Number: 7}}, {Key: network, Object: &Network{Number: 5}},
		{Key: gateway, Object: &Gateway{Active: "h1"}}, {Key: port, Object: &Port{Number: 101}},
	}})
	if numbers, hosts := s.FormerNumbers("alice"), s.FormerHosts("alice"); len(numbers)+len(hosts) > 0 {
		t.Errorf("a new tenant had the numbers %v on %v", numbers, hosts)
	}
	s.Apply(Batch{Revision: 2, Events: []Event{{Key: port}, {Key: gateway}, {Key: network}, {Key: tenant}}})
	if got := s.FormerNumbers("alice"); !slices.Equal(got, []uint32{7}) {
		t.Errorf("the deleted tenant had the numbers %v", got)
	}
	if got := s.FormerHosts("alice"); !slices.Equal(got, []string{"h1", "h2"}) {
		t.Errorf("the deleted tenant was on %v", got)
	}
	s.Apply(Batch{Revision: 3})
	if numbers, hosts := s.FormerNumbers("alice"), s.FormerHosts("alice"); len(numbers)+len(hosts) > 0 {
		t.Errorf("the next batch still knows the numbers %v on %v", numbers, hosts)
	}
}
