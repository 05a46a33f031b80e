package store

import "testing"

// A tenant wakes up with its first port, on whatever host and in whatever network, and falls asleep with its last.
func TestStirred(t *testing.T) {
	s := NewState()
	s.Apply(Batch{Revision: 1, Events: []Event{
		{Key: TenantKey("alice"), Object: &Tenant{Number: 7}}, {Key: GatewayKey("alice"), Object: &Gateway{Active: "h9"}},
		{Key: NetworkKey("alice", "default"), Object: &Network{Number: 5}}, {Key: NetworkKey("alice", "db"), Object: &Network{Number: 6}},
	}})
	a1, a2, a3 := PortKey("h1", "alice", "default", "a1"), PortKey("h2", "alice", "db", "a2"), PortKey("h2", "alice", "default", "a3")
	for i, step := range []struct {
		events         []Event
		awake, stirred bool
	}{
		{[]Event{{Key: a1, Object: &Port{Number: 1}}, {Key: a2, Object: &Port{Number: 2}}}, true, true},
		{[]Event{{Key: a3, Object: &Port{Number: 3}}}, true, false},
		{nil, true, false},
		{[]Event{{Key: a1}}, true, false},
		{[]Event{{Key: a1, Object: &Port{Number: 1}}, {Key: a2}, {Key: a3}}, true, false}, // it has others than before
		{[]Event{{Key: a1}}, false, true},
		{nil, false, false},
		{[]Event{{Key: a1, Object: &Port{Number: 1}}}, true, true},
		{[]Event{{Key: a1}, {Key: a2, Object: &Port{Number: 2}}}, true, false},
		{[]Event{{Key: a2}}, false, true},
		{[]Event{{Key: PortKey("h1", "alice", "none", "a4"), Object: &Port{Number: 4}}}, false, false}, // in no network
		{[]Event{{Key: PortKey("h2", "alice", "none", "a5"), Object: &Port{Number: 5}}, {Key: a1, Object: &Port{Number: 1}}}, true, true},
		{[]Event{{Key: a1}}, false, true},
		{[]Event{{Key: PortKey("h1", "alice", "none", "a4")}, {Key: a1, Object: &Port{Number: 1}}}, true, true}, // the one that leaves was in no network
		{[]Event{{Key: a1}}, false, true},
		{[]Event{{Key: NetworkKey("alice", "none"), Object: &Network{Number: 8}}}, true, true}, // a5 was there
		{[]Event{{Key: NetworkKey("alice", "none")}}, false, true},
	} {
		s.Apply(Batch{Revision: Revision(2 + i), Events: step.events})
		if awake, stirred := s.Awake("alice"), s.Stirred("alice"); awake != step.awake || stirred != step.stirred {
			t.Errorf("step %d: awake %t, stirred %t; want %t, %t", i, awake, stirred, step.awake, step.stirred)
		}
	}
	if s.Awake("bob") || s.Stirred("bob") {
		t.Error("a tenant that is not there is awake")
	}
}
