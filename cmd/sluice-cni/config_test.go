package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
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
		if got := portName(&config{}, pod, c.id, c.ifName); got != c.want {
			t.Errorf("args %q, container %s, %s: port %q, want %q", c.args, c.id, c.ifName, got, c.want)
		}
	}
}

// A sticky port is found again by a container with another id.
func TestStickyPortName(t *testing.T) {
	c, err := parseConfig([]byte(`{"cniVersion": "1.1.0", "name": "shop", "tenant": "alice", "sticky": true}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ args, ifName, want string }{
		{"K8S_POD_NAME=web", "eth0", "web"},
		{"K8S_POD_NAME=web", "eth1", "web-eth1"},
		{"K8S_POD_NAME=Web.1", "eth0", "web-1-44592c90"},
		{"", "eth0", "0123456789ab"},
	} {
		r, err := attachRequest(c, &skel.CmdArgs{ContainerID: "0123456789abcdef", IfName: x.ifName, Args: x.args})
		if err != nil || r.Name != x.want || !r.Sticky {
			t.Errorf("args %q, %s: port %q, sticky %v (%v), want %q", x.args, x.ifName, r.Name, r.Sticky, err, x.want)
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
	}, &config{}, &current.Result{CNIVersion: "1.1.0"})
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
		{"one that came from another host", api.Attachment{Runtime: "cni", ContainerID: "y", Labels: map[string]string{labelNetwork: "shop"}, Arrives: true}, false},
	} {
		if got := stale(x.port, c); got != x.want {
			t.Errorf("%s: stale %v, want %v", x.name, got, x.want)
		}
	}
}

// A plugin before this one may have made interfaces of its own: they stay, and ours refer to themselves.
func TestResultAfterAnotherPlugin(t *testing.T) {
	before := &current.Result{
		CNIVersion: "1.1.0", Interfaces: []*current.Interface{{Name: "dummy0", Sandbox: "/run/netns/x"}},
		IPs:    []*current.IPConfig{{Interface: current.Int(0)}},
		Routes: []*types.Route{{}}, DNS: types.DNS{Nameservers: []string{"192.0.2.1"}},
	}
	c := &config{PluginConf: types.PluginConf{DNS: types.DNS{Nameservers: []string{"192.0.2.2"}}}}
	r, err := resultOf(api.Attachment{Interface: "sl-x", IfName: "eth0", NetNS: "/run/netns/x",
		Addresses: []string{"10.0.0.7/24"}, Gateways: []string{"10.0.0.1"}}, c, before)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range r.Interfaces {
		names = append(names, i.Name)
	}
	if diff := cmp.Diff([]string{"dummy0", "sl-x", "eth0"}, names); diff != "" {
		t.Errorf("interfaces -want +got\n%s", diff)
	}
	if len(r.IPs) != 2 || *r.IPs[0].Interface != 0 || *r.IPs[1].Interface != 2 || len(r.Routes) != 2 {
		t.Errorf("addresses %v, routes %v", r.IPs, r.Routes)
	}
	if r.DNS.Nameservers[0] != "192.0.2.1" || len(before.Interfaces) != 1 {
		t.Errorf("the other plugin's answer was changed: %v, %v", r.DNS, before.Interfaces)
	}
	before.DNS = types.DNS{}
	own := api.Attachment{DNS: &api.DNS{Nameservers: []string{"169.254.53.53"}, Search: []string{"alice.sluice"}}}
	if r, err := resultOf(own, &config{}, before); err != nil || len(r.DNS.Nameservers) != 1 || r.DNS.Nameservers[0] != "169.254.53.53" || r.DNS.Search[0] != "alice.sluice" {
		t.Errorf("DNS of the host's resolver: %v, %v", r.DNS, err)
	}
	if r, err := resultOf(own, c, before); err != nil || r.DNS.Nameservers[0] != "192.0.2.2" {
		t.Errorf("DNS of the configuration, which goes before the resolver's: %v, %v", r.DNS, err)
	}
	if r, err = resultOf(api.Attachment{}, c, before); err != nil || r.DNS.Nameservers[0] != "192.0.2.2" {
		t.Errorf("DNS of the configuration: %v, %v", r, err)
	}
}

// MTU and routes of the configuration are asked for, and told in the result; none at all is another thing than none.
func TestAskedRoutes(t *testing.T) {
	for text, want := range map[string][]api.Route{
		`"mtu": 1400`:               nil,
		`"mtu": 1400, "routes": []`: {},
		`"mtu": 1400, "routes": [{"dst": "10.8.0.0/16"}, {"dst": "::/0", "gw": "fd00::9"}]`: {{Destination: "10.8.0.0/16"}, {Destination: "::/0", Gateway: "fd00::9"}},
	} {
		c, err := parseConfig([]byte(`{"cniVersion": "1.1.0", "name": "shop", "tenant": "alice", ` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		r, err := attachRequest(c, &skel.CmdArgs{ContainerID: "c"})
		if diff := cmp.Diff(want, r.Routes); diff != "" || err != nil || r.MTU != 1400 {
			t.Errorf("%s: MTU %d, %v, routes -want +got\n%s", text, r.MTU, err, diff)
		}
		result, err := resultOf(api.Attachment{Routes: r.Routes, MTU: 1400, Gateways: []string{"10.0.0.1"}}, c, &current.Result{})
		if routes := max(len(want), map[bool]int{true: 1}[want == nil]); err != nil || len(result.Routes) != routes || result.Interfaces[1].Mtu != 1400 {
			t.Errorf("%s: the result has routes %v and MTU %d (%v)", text, result.Routes, result.Interfaces[1].Mtu, err)
		}
	}
}

// Addresses and MACs are asked for in three ways, the newest first.
func TestAskedAddresses(t *testing.T) {
	const (
		newest = `"runtimeConfig": {"ips": ["10.0.0.7/24", "fd00::7/64"], "mac": "02:00:00:00:00:07"}`
		older  = `"args": {"cni": {"ips": ["10.0.0.8"]}}`
	)
	for _, x := range []struct {
		name, conf, args string
		addresses        []string
		mac              string
	}{
		{"nothing", `"mtu": 0`, "", nil, ""},
		{"runtimeConfig", newest + "," + older, "IP=10.0.0.9;MAC=02:00:00:00:00:09", []string{"10.0.0.7", "fd00::7"}, "02:00:00:00:00:07"},
		{"args", older, "IP=10.0.0.9", []string{"10.0.0.8"}, ""},
		{"CNI_ARGS", `"mtu": 0`, "IgnoreUnknown=1;IP=10.0.0.9,fd00::9;MAC=02:00:00:00:00:09", []string{"10.0.0.9", "fd00::9"}, "02:00:00:00:00:09"},
	} {
		c, err := parseConfig([]byte(`{"cniVersion": "1.1.0", "name": "shop", "tenant": "alice", ` + x.conf + `}`))
		if err != nil {
			t.Fatal(err)
		}
		r, err := attachRequest(c, &skel.CmdArgs{ContainerID: "c", IfName: "eth0", Args: x.args})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(x.addresses, r.Addresses); diff != "" || r.MAC != x.mac {
			t.Errorf("%s: MAC %q, addresses -want +got\n%s", x.name, r.MAC, diff)
		}
	}
}

func TestAgrees(t *testing.T) {
	port := api.Attachment{Tenant: "alice", Network: "default", Name: "web", MAC: "02:00:00:00:00:07", Addresses: []string{"10.0.0.7/24"}}
	_, address, _ := net.ParseCIDR("10.0.0.7/24")
	address.IP = net.ParseIP("10.0.0.7")
	_, other, _ := net.ParseCIDR("192.0.2.0/24")
	before := func(mac string, ip *net.IPNet) *current.Result {
		return &current.Result{
			Interfaces: []*current.Interface{{Name: "eth0"}, {Name: "eth0", Sandbox: "/run/netns/x", Mac: mac}},
			IPs:        []*current.IPConfig{{Interface: current.Int(1), Address: *ip}, {Interface: current.Int(0), Address: *other}, {Address: *other}},
		}
	}
	for _, x := range []struct {
		name, ifName, says string
		before             *current.Result
	}{
		{"as it was", "eth0", "", before("02:00:00:00:00:07", address)},
		{"no such interface", "net1", "prevResult has no interface net1 in the container", before("02:00:00:00:00:07", address)},
		{"another MAC", "eth0", "has MAC 02:00:00:00:00:07, not 02:00:00:00:00:08", before("02:00:00:00:00:08", address)},
		{"another address", "eth0", "has addresses [10.0.0.7/24], not 192.0.2.0/24", before("02:00:00:00:00:07", other)},
	} {
		err := agrees(port, x.before, x.ifName)
		if (err == nil) != (x.says == "") || err != nil && !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v, want %q", x.name, err, x.says)
		}
	}
}

// A key that nobody reads is named: with "net-work" the container would come into the network default.
func TestMisspelt(t *testing.T) {
	const common = `"cniVersion": "1.1.0", "name": "shop", "type": "sluice-cni", "tenant": "alice", `
	for more, says := range map[string]string{
		`"network": "db", "socket": "/run/x", "patience": "5s", "mtu": 1400, "routes": []`:      "",
		`"capabilities": {}, "runtimeConfig": {}, "args": {}, "prevResult": {}, "dns": {}`:      "",
		`"cni.dev/valid-attachments": [], "disableCheck": true, "ipam": {}, "disableGC": false`: "",
		`"net-work": "db"`: `unknown key "net-work": those of sluice-cni are tenant, network, socket, patience, mtu, routes, sticky`,
		`"Network": "db"`:  `unknown key "Network"`,
	} {
		err := misspelt([]byte("{" + common + more + "}"))
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", more, err, says)
		}
	}
}

func TestPatience(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 7 * time.Second, "500ms": 500 * time.Millisecond, "0s": 0, "-1s": -1, "20": -1} {
		got, err := (&config{Patience: text}).patience(7 * time.Second)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("patience %q: %v, error %v", text, got, err)
		}
	}
}
