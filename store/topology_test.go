package store

import (
	"errors"
	"testing"
)

func TestTopologySpec(t *testing.T) {
	s := NewState()
	put := func(o Object, key Key) {
		r := s.Revision() + 1
		s.Apply(Batch{Revision: r, Events: []Event{{Key: key, Object: o, Created: r, Modified: r}}})
	}
	put(&Tenant{Number: 7, Gateway: GatewayAuto, Labels: Labels{"a": "b"}, Topology: TopologyStar}, TenantKey("alice"))
	for topology, stored := range map[Topology]Topology{TopologyStar: TopologyStar, TopologyDirect: "", "": ""} {
		p, err := TopologySpec{"alice", topology}.Propose(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Writes[0].Object.(*Tenant); got.Topology != stored || got.Number != 7 || got.Labels["a"] != "b" {
			t.Errorf("%q is written as %+v", topology, got)
		}
		if len(p.Presumes) != 1 || p.Presumes[0].Revision != s.Tenant("alice").Modified {
			t.Errorf("it presumes %+v", p.Presumes)
		}
	}
	for want, spec := range map[error]TopologySpec{
		ErrNotFound: {"bob", TopologyStar},
		ErrInvalid:  {"alice", "ring"},
	} {
		if _, err := spec.Propose(s); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", spec, err, want)
		}
	}
	if err := (TopologySpec{Tenant: "Alice/"}).Validate(); !errors.Is(err, ErrInvalid) {
		t.Errorf("a bad name: %v", err)
	}
	if err := (TenantSpec{Name: "alice", Topology: "ring"}).Validate(); !errors.Is(err, ErrInvalid) {
		t.Errorf("a tenant with a bad topology: %v", err)
	}
	if g := (Gateway{Active: "h1", Relay: RelayReady}); g.Settled() {
		t.Error("a gateway that begins to relay is settled")
	}
}

// A tenant that is declared anew gets the topology that is declared, or none.
func TestTenantUpdateTopology(t *testing.T) {
	s := NewState()
	s.Apply(Batch{Revision: 1, Events: []Event{{Key: TenantKey("alice"), Object: &Tenant{Number: 7, Gateway: GatewayAuto, Topology: TopologyStar}, Created: 1, Modified: 1}}})
	for topology, want := range map[Topology]Topology{TopologyDirect: "", TopologyStar: TopologyStar} {
		p, err := TenantUpdate{Tenant: "alice", Gateway: GatewayAuto, Topology: topology}.Propose(s)
		if err != nil || p.Writes[0].Object.(*Tenant).Topology != want {
			t.Errorf("%s: %+v, %v", topology, p.Writes, err)
		}
	}
}
