package hostagent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
	"sluice/store"
)

func TestDefaults(t *testing.T) {
	bare := api.AttachRequest{Tenant: "alice", Name: "a1"}
	if err := defaults(&bare); err != nil || bare.Network != "default" || bare.IfName != "eth0" {
		t.Errorf("bare request became %+v, error %v", bare, err)
	}
	full := api.AttachRequest{Tenant: "alice", Network: "dmz", Name: "a1", IfName: "net-1.abcdefghi"}
	want := full
	if err := defaults(&full); err != nil || !cmp.Equal(want, full) {
		t.Errorf("full request became %+v, error %v", full, err)
	}
	for _, c := range []struct{ tenant, network, name, ifName, says string }{
		{"A", "dmz", "a1", "eth0", "tenant"},
		{"alice", "A", "a1", "eth0", "network"},
		{"alice", "dmz", "A", "eth0", "port"},
		{"alice", "dmz", "a1", "abcdefghijklmnop", "interface name"},
		{"alice", "dmz", "a1", "a/b", "interface name"},
		{"alice", "dmz", "a1", "a b", "interface name"},
		{"alice", "dmz", "a1", "a:b", "interface name"},
		{"alice", "dmz", "a1", ".", "interface name"},
		{"alice", "dmz", "a1", "..", "interface name"},
	} {
		r := api.AttachRequest{Tenant: c.tenant, Network: c.network, Name: c.name, IfName: c.ifName}
		err := defaults(&r)
		if err == nil || !strings.HasPrefix(err.Error(), c.says) || statusOf(err) != 422 {
			t.Errorf("%+v: %v; want status 422 and %q", c, err, c.says)
		}
	}
}

func TestAddresses(t *testing.T) {
	var spec store.PortSpec
	if err := addresses(api.AttachRequest{}, &spec); err != nil || len(spec.Addresses) > 0 || !spec.MAC.IsZero() {
		t.Errorf("none asked for: %+v, error %v", spec, err)
	}
	asked := api.AttachRequest{Address: "10.0.0.5", Addresses: []string{"fd00::5"}, MAC: "02:00:00:00:00:07"}
	if err := addresses(asked, &spec); err != nil || fmt.Sprint(spec.Addresses) != "[10.0.0.5 fd00::5]" || spec.MAC.String() != asked.MAC {
		t.Errorf("asked for: %+v, error %v", spec, err)
	}
	for _, r := range []api.AttachRequest{{Address: "10.0.0.5/24"}, {Addresses: []string{"10.0.0.5", ""}}, {MAC: "02:00"}} {
		if err := addresses(r, &spec); err == nil || statusOf(err) != 422 {
			t.Errorf("%+v: %v; want status 422", r, err)
		}
	}
}
