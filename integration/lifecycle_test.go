package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/flows"
	"sluice/integration/lab"
)

// keysOf are all keys in etcd that name a tenant, in the key or the value, but events, which come later and stay for a week.
func keysOf(t *testing.T, tenant string) []string {
	t.Helper()
	st, err := lab.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{st.Etcd}, Context: t.Context()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Get(t.Context(), "/sluice/v1/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Kvs) == 0 {
		t.Fatal("etcd holds nothing under /sluice/v1/")
	}
	var keys []string
	for _, kv := range got.Kvs {
		// Elections are the etcd client library's own and hold plain names.
		if !json.Valid(kv.Value) && !strings.HasPrefix(string(kv.Key), "/sluice/v1/elections/") {
			t.Errorf("%s holds no JSON: %s", kv.Key, kv.Value)
		}
		if strings.Contains(string(kv.Key)+" "+string(kv.Value), tenant) && !strings.HasPrefix(string(kv.Key), "/sluice/v1/status/events/") {
			keys = append(keys, string(kv.Key))
		}
	}
	return keys
}

// portsEverywhere lists the containers' interfaces of all hosts.
func portsEverywhere(t *testing.T, st lab.Status) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, h := range st.Hosts {
		for _, p := range containerPorts(t, h) {
			count[h.Name+" "+p]++
		}
	}
	return count
}

// A tenant that is deleted leaves no flow, no interface, and no key but events, which tell of it for a week.
func TestDeletedTenantLeavesNothing(t *testing.T) {
	st := needLab(t)
	for _, segmentation := range []string{"tunnel", "vlan"} {
		t.Run(segmentation, func(t *testing.T) {
			was := portsEverywhere(t, st)
			name := "brief-" + segmentation
			a, b := pair(t, name, "--segmentation", segmentation, "--gateway", "h3")
			wantPing(t, a, lab.InternetAddress)
			number := answer[struct{ Number uint32 }](t, "tenant", "show", name).Number
			if n := flowsOf(t, st, number); n == 0 {
				t.Fatal("the tenant has no flow to begin with: the test would see nothing go")
			}
			sluice(t, "lab", "rm", a.Name)
			refused(t, []string{name, b.Name}, "tenant", "delete", name)
			sluice(t, "lab", "rm", b.Name)
			sluice(t, "tenant", "delete", name)
			eventually(t, "no flow or key is left", func() error {
				if n := flowsOf(t, st, number); n > 0 {
					return fmt.Errorf("%d flows are left", n)
				}
				keys := keysOf(t, name)
				if len(keys) > 0 {
					return fmt.Errorf("keys are left: %s", strings.Join(keys, " "))
				}
				return nil
			})
			if is := portsEverywhere(t, st); len(is) != len(was) {
				t.Errorf("interfaces before: %v, after: %v", was, is)
			}
		})
	}
}

// A host holds no flow of a network before its first container there nor after its last, and the gateway host none
// while the tenant has no container anywhere.
func TestFlowsComeAndGoWithContainers(t *testing.T) {
	st := needLab(t)
	tenant(t, "nap", "--gateway", "h3")
	number := answer[struct{ Number uint32 }](t, "tenant", "show", "nap").Number
	holds := func(when string, hosts ...string) {
		t.Helper()
		eventually(t, when, func() error {
			for _, h := range st.Hosts {
				n := flowsOf(t, lab.Status{Hosts: []lab.Host{h}}, number)
				if want := slices.Contains(hosts, h.Name); (n > 0) != want {
					return fmt.Errorf("%s: host %s holds %d flows of the tenant, want some: %t", when, h.Name, n, want)
				}
			}
			return nil
		})
	}
	for range 2 { // it wakes up as it did the first time
		holds("it sleeps")
		a := container(t, "h1", "nap", "nap-a")
		holds("its first container", "h1", "h3")
		wantPing(t, a, lab.InternetAddress)
		b := container(t, "h2", "nap", "nap-b")
		holds("its second one", "h1", "h2", "h3")
		sluice(t, "lab", "rm", a.Name)
		holds("the first one is gone", "h2", "h3")
		wantPing(t, b, lab.InternetAddress)
		sluice(t, "lab", "rm", b.Name)
	}
	holds("all are gone")
}

// flowsOf counts a tenant's flows on all hosts.
func flowsOf(t *testing.T, st lab.Status, number uint32) (n int) {
	t.Helper()
	for _, h := range st.Hosts {
		for _, f := range dump(t, h) {
			if flows.Slice(f.cookie).Tenant() == number {
				n++
			}
		}
	}
	return n
}

// An attach that fails says why and leaves nothing: no namespace, interface, key or name.
func TestFailedAttachLeavesNothing(t *testing.T) {
	st := needLab(t)
	tenant(t, "failing")
	container(t, "h1", "failing", "failing-1", "10.0.0.50")
	ports, keys := portsEverywhere(t, st), keysOf(t, "failing")
	for _, c := range []struct {
		why    string
		words  []string
		args   []string
		status int
	}{
		{"no such tenant", []string{"nosuch"}, []string{"h2", "nosuch", "failing-2"}, 1},
		{"no such network", []string{"nosuch"}, []string{"h2", "failing/nosuch", "failing-2"}, 1},
		{"address taken", []string{"10.0.0.50"}, []string{"h2", "failing", "failing-2", "--ip", "10.0.0.50"}, 1},
		{"the router's address", []string{"10.0.0.1"}, []string{"h2", "failing", "failing-2", "--ip", "10.0.0.1"}, 1},
		{"no such host", []string{"h9"}, []string{"h9", "failing", "failing-2"}, 1},
		{"no DNS label", []string{"Failing_2"}, []string{"h2", "failing", "Failing_2"}, 2},
		{"name taken", []string{"failing-1"}, []string{"h2", "failing", "failing-1"}, 1},
	} {
		t.Run(c.why, func(t *testing.T) {
			fails(t, c.status, c.words, append([]string{"lab", "run"}, c.args...)...)
			if got := portsEverywhere(t, st); fmt.Sprint(got) != fmt.Sprint(ports) {
				t.Errorf("interfaces before: %v, after: %v", ports, got)
			}
			if got := keysOf(t, "failing"); fmt.Sprint(got) != fmt.Sprint(keys) {
				t.Errorf("keys before: %v, after: %v", keys, got)
			}
		})
	}
}

// An attach while the controller is away fails within its time and leaves nothing, or
// succeeds once it is back; one after that works.
func TestAttachWithoutController(t *testing.T) {
	st := needLab(t)
	tenant(t, "orphan")
	ports := portsEverywhere(t, st)
	sluice(t, "lab", "kill", "controller")
	refused(t, []string{"orphan-1"}, "lab", "run", "h1", "orphan", "orphan-1")
	sluice(t, "lab", "up")
	if got := portsEverywhere(t, st); fmt.Sprint(got) != fmt.Sprint(ports) {
		t.Errorf("interfaces before: %v, after: %v", ports, got)
	}
	eventually(t, "no port is left", func() error {
		for _, k := range keysOf(t, "orphan-1") {
			return fmt.Errorf("key %s is left", k)
		}
		return nil
	})
	a := container(t, "h1", "orphan", "orphan-1")
	b := container(t, "h2", "orphan", "orphan-2")
	wantPing(t, a, ipOf(b))
}

// What is in use is not deleted, and what is wrong is refused, in words.
func TestRefusals(t *testing.T) {
	needLab(t)
	tenant(t, "strict", "--subnet", "10.30.0.0/24")
	for _, c := range []struct {
		words []string
		args  []string
	}{
		{[]string{"strict"}, []string{"tenant", "create", "strict"}},
		{[]string{"10.30.0.0/33"}, []string{"tenant", "create", "strict-2", "--subnet", "10.30.0.0/33"}},
		{[]string{"172.30.0.0/24"}, []string{"tenant", "create", "strict-2", "--subnet", "172.30.0.0/24"}},
		{[]string{"100.64.0.0/10"}, []string{"tenant", "create", "strict-2", "--subnet", "100.64.1.0/24"}},
		{[]string{"10.30.0.0/24"}, []string{"network", "create", "strict/more", "--subnet", "10.30.0.128/25"}},
		{[]string{"nosuch"}, []string{"tenant", "delete", "nosuch"}},
		{[]string{"nosuch"}, []string{"tenant", "show", "nosuch"}},
		{[]string{"h9"}, []string{"host", "show", "h9"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) { refused(t, c.words, c.args...) })
	}
	// No cluster takes such a name: that is wrong usage.
	fails(t, 2, []string{"Not_A_Label"}, "tenant", "create", "Not_A_Label")
}
