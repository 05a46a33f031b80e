package bench

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/integration/lab"
	"sluice/store"
)

// checkLab is what must hold of every case that runs in a lab.
func checkLab(t *testing.T, got []Result) {
	t.Helper()
	left, err := lab.Namespaces()
	if err != nil || len(left) > 0 {
		t.Errorf("the lab left %v, %v", left, err)
	}
	for _, r := range got {
		for _, f := range r.Facts {
			if !f.Bound.Holds(f.Value) {
				t.Errorf("%v: %s: %v, want %s", r.Params, f.Name, f.Value, f.Bound)
			}
		}
	}
}

// describe is what was measured and with how many samples.
func describe(results []Result, param string) (lines []string) {
	for _, r := range results {
		lines = append(lines, fmt.Sprintf("%v %s=%v samples=%d", r.Params["what"], param, r.Params[param], len(r.Samples)))
	}
	return lines
}

// wantMeasured wants these results: what, by a parameter, and how many samples.
func wantMeasured(t *testing.T, results []Result, param string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, describe(results, param)); diff != "" {
		t.Fatalf("measured (-want +got):\n%s", diff)
	}
}

// However many tenants are present, one more has at most 40 flows where it is and none
// elsewhere, and the simulated hosts hold what those present need and no more.
func checkTenants(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "present",
		"create a tenant present=0 samples=8",
		"create a tenant present=2 samples=4",
		"create a tenant present=10 samples=4",
		"create a tenant present=40 samples=4",
		"create a tenant present=200 samples=4",
		"a NORMAL bridge and a GRE port a tenant and host present=0 samples=2",
		"a NORMAL bridge and a GRE port a tenant and host present=2 samples=1",
		"a NORMAL bridge and a GRE port a tenant and host present=6 samples=1",
		"a NORMAL bridge and a GRE port a tenant and host present=10 samples=1",
	)
	const held = "flows held by the simulated hosts" // that all are gone at the end is checked by the case
	first, last := factOf(results[0], held), factOf(results[4], held)
	if each := (last - first) / 200; each < 10 || each != float64(int(each)) {
		t.Errorf("200 tenants hold %v flows: %v each, and all are alike", last-first, each)
	}
	if used := factOf(results[0], "most flows of the tenant on a host that it uses"); used < 10 {
		t.Errorf("a tenant has %v flows on a host that it uses", used)
	}
}

// However many tenants sleep, no switch holds a flow of any, nor one of its own more.
func checkSleep(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "asleep", "the first container of a tenant asleep=0 samples=8", "the first container of a tenant asleep=100 samples=4")
}

func factOf(r Result, name string) float64 {
	for _, f := range r.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return -1
}

func checkAttach(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "concurrent", "attach concurrent=1 samples=20", "attach concurrent=2 samples=10")
}

// Every pair is measured in every way: alone in turns, and all at one time.
func checkBandwidth(t *testing.T, results []Result) {
	checkLab(t, results)
	wantMeasured(t, results, "tenants",
		"round trip tenants=1 samples=6",
		"TCP throughput tenants=1 samples=1",
		"TCP throughput, spoke to spoke tenants=2 samples=1",
	)
	for _, r := range results {
		if r.Median <= 0 || r.Reference.Median <= 0 || r.Bound == nil {
			t.Errorf("%v: %+v", r.Params, r)
		}
	}
}

// The tenants that are present are written past the API, and must be such as it makes: each
// key and number once, ports on two hosts, every value that is taken in alloc/.
func TestPresentTenantsAreWhole(t *testing.T) {
	p := newPresent(3, 50)
	s, events := store.NewState(), p.hostObjects()
	for n := range p.tenants {
		events = append(events, p.objects(n)...)
	}
	seen := map[store.Key]bool{}
	for i := range events {
		if seen[events[i].Key] {
			t.Errorf("%s is written twice", events[i].Key)
		}
		seen[events[i].Key] = true
		events[i].Created, events[i].Modified = 1, 1
	}
	s.Apply(store.Batch{Revision: 1, Events: events})
	for tenant := range s.Tenants() {
		name := store.NetworkName{Tenant: tenant.Key.Tenant, Network: "default"}
		if hosts := s.HostsOf(name); len(hosts) != presentPorts || s.Gateway(name.Tenant) == nil {
			t.Errorf("%s is on %v, its gateway is %v", name, hosts, s.Gateway(name.Tenant))
		}
		for port := range s.PortsOf(name) {
			if s.PortByNumber(port.Value.Number) != port || s.PortByMAC(name, port.Value.MAC) != port {
				t.Errorf("%s shares its number or MAC with another", port.Key)
			}
			if !seen[store.AllocKey("port-numbers", fmt.Sprint(port.Value.Number))] {
				t.Errorf("%s: its number is not taken", port.Key)
			}
		}
		if s.TenantName(tenant.Value.Number) != tenant.Key.Tenant || !seen[store.AllocKey("tenant-numbers", fmt.Sprint(tenant.Value.Number))] {
			t.Errorf("%s: its number %d is not its own", tenant.Key, tenant.Value.Number)
		}
	}
}
