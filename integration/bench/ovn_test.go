package bench

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A tenant's objects are one command, whose parts have "--" between, with an address and a MAC in one argument.
func TestOVNTenant(t *testing.T) {
	args := ovnTenant(3).objects()
	if args[0] != "ls-add" || args[len(args)-1] != "02:00:00:00:00:02 10.0.0.2" || slices.Contains(args, "") {
		t.Errorf("objects: %q", args)
	}
	want := []string{"lr-del", "r3", "--", "ls-del", "s3", "--", "lsp-del", "e3"}
	if diff := cmp.Diff(want, ovnTenant(3).absence()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	outer := map[string]ovnTenant{}
	for n := ovnTenant(1); n <= 5000; n++ {
		if other, is := outer[n.outer()]; is {
			t.Fatalf("tenants %d and %d have the outer address %s", other, n, n.outer())
		}
		outer[n.outer()] = n
	}
}

func TestLostPings(t *testing.T) {
	for text, want := range map[string]int{
		"": 0,
		"64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=1 ms\n64 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=1 ms\n": 0,
		"64 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=1 ms\n64 bytes from 10.0.0.2: icmp_seq=5 ttl=64 time=1 ms\n": 3,
		"From 10.0.0.9 icmp_seq=7 Destination Host Unreachable\n64 bytes from 10.0.0.2: icmp_seq=8 ttl=64\n":         7,
	} {
		p := &pinger{done: true}
		p.out.WriteString(text)
		if got := p.lost(); got != want {
			t.Errorf("%d lost, want %d, of\n%s", got, want, text)
		}
	}
}

// checkOVN needs figures of both sides for all that is compared.
func checkOVN(t *testing.T, results []Result) {
	whats := map[string]int{}
	for _, r := range results {
		what, _ := r.Params["what"].(string)
		whats[what]++
		if r.Against != "OVN" || r.Reference == nil || len(r.Samples) == 0 || len(r.Reference.Samples) != len(r.Samples) {
			t.Errorf("%s: %+v", what, r)
		}
		if r.Reference != nil && r.Unit != "pings lost" && (r.Median <= 0 || r.Reference.Median <= 0) {
			t.Errorf("%s: %+v", what, r)
		}
	}
	want := map[string]int{"one more tenant": 3, "tenants from nothing, in one go": 1, "tenants from nothing, one by one": 1,
		"flows of a tenant on a host that it uses": 1, "restart of who writes flows": 1, "the gateway host dies: no way out": 1}
	if diff := cmp.Diff(want, whats); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
