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
	handed := api.AttachRequest{Tenant: "alice", Name: "a1", HandOver: true}
	if err := defaults(&handed); err != nil || handed.IfName != "" {
		t.Errorf("a request to hand over became %+v, error %v", handed, err)
	}
	for _, r := range []api.AttachRequest{{HandOver: true, NetNS: "/run/netns/x"}, {HandOver: true, IfName: "eth0"}} {
		r.Tenant, r.Name = "alice", "a1"
		if err := defaults(&r); err == nil || statusOf(err) != 422 || !strings.Contains(err.Error(), "handed over") {
			t.Errorf("%+v: %v; want status 422", r, err)
		}
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

func TestMTUFor(t *testing.T) {
	for _, c := range []struct {
		asked, most, want int
	}{{0, 1450, 1450}, {1450, 1450, 1450}, {1400, 1450, 1400}, {576, 1450, 576}, {1451, 1450, 0}, {575, 1450, 0}, {-1, 1450, 0}} {
		got, err := mtuFor(c.asked, c.most)
		if got != c.want || (err == nil) != (c.want > 0) || err != nil && statusOf(err) != 422 {
			t.Errorf("%d of %d: %d, %v", c.asked, c.most, got, err)
		}
	}
}

func TestRoutes(t *testing.T) {
	if got, err := routes(api.AttachRequest{}); got != nil || err != nil {
		t.Errorf("none asked for: %v, %v", got, err)
	}
	if got, err := routes(api.AttachRequest{Routes: []api.Route{}}); got == nil || len(got) > 0 || err != nil {
		t.Errorf("no route at all: %v, %v", got, err)
	}
	asked := []api.Route{{Destination: "10.8.0.1/16"}, {Destination: "::/0", Gateway: "fd00::9"}}
	got, err := routes(api.AttachRequest{Routes: asked})
	texts := ""
	for _, r := range got {
		texts += fmt.Sprintf("%s via %s; ", r.to, r.via)
	}
	if err != nil || texts != "10.8.0.0/16 via invalid IP; ::/0 via fd00::9; " {
		t.Errorf("asked for: %s, %v", texts, err)
	}
	for _, bad := range []api.Route{{}, {Destination: "10.0.0.1"}, {Destination: "10.0.0.0/8", Gateway: "x"}, {Destination: "10.0.0.0/8", Gateway: "fd00::1"}} {
		if _, err := routes(api.AttachRequest{Routes: []api.Route{bad}}); err == nil || statusOf(err) != 422 {
			t.Errorf("%+v: %v; want status 422", bad, err)
		}
	}
}
