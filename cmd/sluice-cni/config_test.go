package main

import (
	"encoding/json"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
)

func TestPortName(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct{ args, id, ifName, want string }{
		{"", id, "eth0", "0123456789ab-2da1ce22"},
		{"", id, "net1", "0123456789ab-b08f7cf9"},
		{"", "cni_test", "eth0", "cni-test-8130412a"},
		{"", "____", "eth0", "ed9aaf2c"},
		{"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=7", id, "eth0", "web-0-2da1ce22"},
		{"K8S_POD_NAME=a.very.long.name.of.a.pod.which.goes.on.and.on.until.it.ends", id, "eth0",
			"a-very-long-name-of-a-pod-which-goes-on-and-on-unt-2da1ce22"},
	} {
		pod, err := parseArgs(c.args)
		if err != nil {
			t.Fatal(err)
		}
		if got := portName(pod, c.id, c.ifName); got != c.want {
			t.Errorf("args %q, container %s, %s: port %q, want %q", c.args, c.id, c.ifName, got, c.want)
		}
	}
}

func TestConfigNamesItsTenant(t *testing.T) {
	if _, err := parseConfig([]byte(`{"cniVersion":"1.0.0","name":"shop","type":"sluice"}`)); err == nil {
		t.Error("a configuration without tenant was taken")
	}
	c, err := parseConfig([]byte(`{"cniVersion":"1.0.0","name":"shop","type":"sluice","tenant":"alice"}`))
	if err != nil || c.Network != "default" {
		t.Errorf("config %+v, error %v; want network default", c, err)
	}
}

func TestResult(t *testing.T) {
	r, err := resultOf(api.Attachment{
		MAC: "02:00:00:00:00:07", Addresses: []string{"10.0.0.7/24", "fd00:a::7/64"}, Gateways: []string{"10.0.0.1", "fd00:a::1"},
		MTU: 1450, Interface: "sl-abcdefghijkl", IfName: "eth0", NetNS: "/run/netns/x",
	}, &config{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "cniVersion": "1.1.0",
 "interfaces": [
  {
   "name": "sl-abcdefghijkl"
  },
  {
   "mac": "02:00:00:00:00:07",
   "mtu": 1450,
   "name": "eth0",
   "sandbox": "/run/netns/x"
  }
 ],
 "ips": [
  {
   "address": "10.0.0.7/24",
   "gateway": "10.0.0.1",
   "interface": 1
  },
  {
   "address": "fd00:a::7/64",
   "gateway": "fd00:a::1",
   "interface": 1
  }
 ],
 "routes": [
  {
   "dst": "0.0.0.0/0",
   "gw": "10.0.0.1"
  },
  {
   "dst": "::/0",
   "gw": "fd00:a::1"
  }
 ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestStale(t *testing.T) {
	c := &config{PluginConf: types.PluginConf{Name: "shop", ValidAttachments: []types.GCAttachment{{ContainerID: "x", IfName: "eth0"}}}}
	port := func(runtime, network, id, ifName string) api.Attachment {
		return api.Attachment{Runtime: runtime, ContainerID: id, Labels: map[string]string{labelNetwork: network, labelIfName: ifName}}
	}
	for _, x := range []struct {
		name string
		port api.Attachment
		want bool
	}{
		{"known to the runtime", port("cni", "shop", "x", "eth0"), false},
		{"its second interface is not", port("cni", "shop", "x", "net1"), true},
		{"unknown container", port("cni", "shop", "y", "eth0"), true},
		{"another configuration's", port("cni", "office", "y", "eth0"), false},
		{"another runtime's", port("lxc", "shop", "y", "eth0"), false},
	} {
		if got := stale(x.port, c); got != x.want {
			t.Errorf("%s: stale %v, want %v", x.name, got, x.want)
		}
	}
}
