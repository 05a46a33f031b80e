package hostagent

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/go-openvswitch/ovs"
	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
	"sluice/store"
)

// table is an nftables table with its handles, which change when it is written anew; empty: it is
// not there.
func (h *host) table(name string) string {
	h.t.Helper()
	return h.run("sh", "-c", "nft -a list table inet "+name+" 2>/dev/null || true")
}

// picture is everything on the host that an agent makes, with what would change if it were
// made again: row ids, interface indexes, rule handles.
func (h *host) picture() string {
	h.t.Helper()
	volatile := regexp.MustCompile(`(?m)^(statistics|status|link_resets|cfg_|db_version|cur_cfg|last_change).*\n|valid_lft .*|Error: Peer netns reference is invalid\.\n| ?tentative ?| +$`)
	text := h.vsctl("list", "bridge") + h.vsctl("list", "port") + h.vsctl("list", "interface") +
		h.vsctl("--columns=_uuid,target,connection_mode,max_backoff", "list", "controller") +
		h.vsctl("list", "flow_table") + h.table(tableName) + h.table(limitsTable) +
		h.run("ip", "-d", "addr") + h.run("ip", "route") +
		h.run("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.sluice-gw.rp_filter", "net.ipv4.conf.sluice-gw.forwarding",
			"net.ipv4.conf.under0.forwarding")
	return volatile.ReplaceAllString(text, "")
}

func TestRestartChangesNothing(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, stop := h.agent()
	for _, name := range []string{"a1", "a2"} {
		if _, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: name, NetNS: newContainer(t).netns()}); err != nil {
			t.Fatal(err)
		}
	}
	registered, hostRevision, err := h.client.Get(t.Context(), store.HostKey("h1"))
	if err != nil {
		t.Fatal(err)
	}
	before, traces := h.settled(), h.traces()

	stop()
	if diff := cmp.Diff(before, h.picture()); diff != "" {
		t.Errorf("stopping changed the host: -before +after\n%s", diff)
	}
	a, _, _ := h.agent()
	if !a.mender.round(t.Context()) {
		t.Errorf("mending failed: %v", a.Status().Problems)
	}
	if diff := cmp.Diff(before, h.picture()); diff != "" {
		t.Errorf("the restart changed the host: -before +after\n%s", diff)
	}
	if diff := cmp.Diff(traces, h.traces()); diff != "" {
		t.Errorf("the restart changed ports: -before +after\n%s", diff)
	}
	again, revision, err := h.client.Get(t.Context(), store.HostKey("h1"))
	if err != nil || revision != hostRevision {
		t.Errorf("the restart wrote the host anew: %+v at %d, before %+v at %d (%v)", again, revision, registered, hostRevision, err)
	}
}

// TestKilledWhileAttaching kills the agent while an attach waits for its flows: the half
// made port goes at the next start, and one that was acknowledged stays.
func TestKilledWhileAttaching(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	agent, stderr := h.process()
	c := h.dial()
	h.eventually("the agent is ready", func() bool {
		_, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: "kept", NetNS: newContainer(t).netns()})
		return err == nil
	})
	before := h.traces()
	h.put(store.StatusHostKey("h1"), &store.StatusHost{State: store.HostDown})
	failed := make(chan error)
	go func() {
		_, err := c.Attach(context.Background(), api.AttachRequest{Tenant: "alice", Name: "half", NetNS: newContainer(t).netns()})
		failed <- err
	}()
	h.eventually("half a port in all places", func() bool { return len(h.traces()) == len(before)+4 })
	kill(agent)
	if err := <-failed; err == nil {
		t.Error("the attach succeeded")
	}

	h.agent()
	if diff := cmp.Diff(before, h.traces()); diff != "" {
		t.Errorf("after the restart: -before +after\n%s\n%s", diff, stderr)
	}
}

func TestTwoAgentsOfOneName(t *testing.T) {
	h := newHost(t)
	h.agent()
	second := h.options
	second.StateDir, second.Socket = h.path("other"), h.path("other.sock")
	a, err := New(second)
	if err != nil {
		t.Fatal(err)
	}
	err = a.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "host h1") || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("the second agent ended with %v; want that another agent has h1", err)
	}
	second.StateDir = h.options.StateDir
	if a, err = New(second); err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "in use by another agent") {
		t.Errorf("an agent in the same state directory ended with %v", err)
	}
}

// TestWrongName starts an agent under another name beside the switch of h1: it is refused before it
// changed anything of the switch, which goes on as h1's.
func TestWrongName(t *testing.T) {
	h := newHost(t)
	_, _, stop := h.agent()
	h.settled()
	stop()
	seen := func() string { return h.picture() + h.vsctl("get-ssl") }
	before := seen()
	for what, dir := range map[string]string{"the same state directory": h.options.StateDir, "one of its own": h.path("other")} {
		wrong := h.options
		wrong.Host, wrong.StateDir = "h9", dir
		wrong.Controllers = []string{"tcp:127.0.0.1:6654"}
		a, err := New(wrong)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "taken by host h1") {
			t.Errorf("with %s it ended with %v; want that h1 has its tunnel address", what, err)
		}
		if diff := cmp.Diff(before, seen()); diff != "" {
			t.Errorf("with %s the switch changed: -before +after\n%s", what, diff)
		}
	}
	if name, _, err := h.client.Get(t.Context(), store.HostKey("h9")); err != nil || name != nil {
		t.Errorf("etcd has h9: %+v, %v", name, err)
	}
}

// TestNameTakenOver gives a running agent's name to another of the same incarnation, which a
// copied state directory makes: the agent ends and says so.
func TestNameTakenOver(t *testing.T) {
	h := newHost(t)
	a, err := New(h.options)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(t.Context()) }()
	h.eventually("the agent is ready", func() bool { return a.registration.ready() != nil })
	other, err := h.client.RegisterHost(t.Context(), "h1", hostFor(a.o, a.id, a.underlay.known(), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "state directory") {
		t.Errorf("the agent ended with %v; want that its state directory may be a copy", err)
	}
}

// TestMendsWhatWasBroken breaks what the agent made, one thing at a time. The keepers mend it,
// and the next round finds nothing to do.
func TestMendsWhatWasBroken(t *testing.T) {
	h := newHost(t)
	h.options.Resolver, h.options.Upstream = true, []string{"none"}
	h.realizeAll()
	h.put(store.GatewayKey("alice"), &store.Gateway{Active: "h1"})
	a, c, _ := h.agent()
	port, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: "a1", NetNS: newContainer(t).netns()})
	if err != nil {
		t.Fatal(err)
	}
	says := func(wants []string, name string, args ...string) func() bool {
		return func() bool {
			text := h.run(name, args...)
			return !slices.ContainsFunc(wants, func(want string) bool { return !strings.Contains(text, want) })
		}
	}
	zone := fmt.Sprintf("zone=%d", store.NATZone(h.tenant("alice").Number))
	limited := says([]string{zone + ",limit=16384"}, "ovs-appctl", "dpctl/ct-get-limits")
	vsctl := func(wants []string, args ...string) func() bool {
		return func() bool {
			text := h.vsctl(args...)
			return !slices.ContainsFunc(wants, func(want string) bool { return !strings.Contains(text, want) })
		}
	}
	done := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sysctl := func(setting, value string) func() bool {
		return says([]string{setting + " = " + value}, "sysctl", setting)
	}
	gatewayRoute := says([]string{"100.64.0.0/10 dev sluice-gw scope link src 100.127.255.254 mtu 1446"}, "ip", "route")
	silent := says([]string{"NOARP", "UP"}, "ip", "link", "show", "dev", port.Interface)
	asks := func() bool { return h.asksResolver(a, "a1") }
	for _, broken := range []struct {
		name   string
		cause  func()
		mended func() bool
	}{
		{"the port's row", func() { h.deletePort(port.Interface) },
			vsctl([]string{port.Interface}, "list-ports", store.BridgeName)},
		{"the bridge", func() { done(h.ovs().Client(t.Context()).VSwitch.DeleteBridge(store.BridgeName)) },
			vsctl([]string{port.Interface, store.TunnelInterface, store.GatewayInterface}, "list-ports", store.BridgeName)},
		{"how the bridge fails", func() {
			done(h.ovs().Client(t.Context()).VSwitch.SetFailMode(store.BridgeName, ovs.FailModeStandalone))
		},
			vsctl([]string{"secure"}, "get-fail-mode", store.BridgeName)},
		{"the switch's certificate", func() { h.vsctl("set-ssl", "/no.pem", "/no.pem", "/no.crt") },
			vsctl([]string{"Private key: " + h.path("pki/host-h1.pem"), "Certificate: " + h.path("pki/host-h1.pem"),
				"CA Certificate: " + h.path("pki/ca.crt"), "Bootstrap: false"}, "get-ssl")},
		{"the tunnel port", func() { h.deletePort(store.TunnelInterface) },
			vsctl([]string{store.TunnelInterface}, "list-ports", store.BridgeName)},
		{"an option of the tunnel port", func() { h.vsctl("set", "interface", store.TunnelInterface, "options:key=5") },
			vsctl([]string{"key=flow"}, "get", "interface", store.TunnelInterface, "options")},
		{"the gateway port", func() { h.deletePort(store.GatewayInterface) }, gatewayRoute},
		{"the resolver's port", func() { h.deletePort(store.ResolverInterface) },
			vsctl([]string{store.ResolverInterface}, "list-ports", store.BridgeName)},
		{"the resolver's interface", func() { h.run("ip", "link", "delete", store.ResolverInterface) }, asks},
		{"the silence of the resolver's interface", func() { h.run("ip", "link", "set", resolverEnd, "arp", "on") },
			says([]string{"NOARP", "UP"}, "ip", "link", "show", "dev", resolverEnd)},
		{"the resolver's interface going down", func() { h.run("ip", "link", "set", resolverEnd, "down") }, asks},
		{"the gateway port's MTU", func() { h.vsctl("set", "interface", store.GatewayInterface, "mtu_request=1300") },
			says([]string{"mtu 1450"}, "ip", "link", "show", "dev", store.GatewayInterface)},
		{"the names of tables", func() { h.vsctl("clear", "bridge", store.BridgeName, "flow_tables") },
			vsctl([]string{"classify"}, "list", "flow_table")},
		{"the nftables table", func() { h.run("nft", "delete", "table", "inet", tableName) },
			says([]string{"masquerade"}, "nft", "list", "ruleset")},
		{"one rule", func() { h.run("nft", "flush", "chain", "inet", tableName, "input") },
			says([]string{"tenants do not reach the host"}, "nft", "list", "ruleset")},
		{"what the agent remembers of the table", func() { h.run("rm", h.path("state/nftables.json")) },
			func() bool { _, err := os.Stat(h.path("state/nftables.json")); return err == nil }},
		{"the transit address", func() { h.run("ip", "addr", "flush", "dev", store.GatewayInterface) },
			func() bool {
				return gatewayRoute() && strings.Contains(h.run("ip", "addr"), "100.127.255.254/10")
			}},
		{"the transit interface's state", func() { h.run("ip", "link", "set", store.GatewayInterface, "down") }, gatewayRoute},
		{"the transit route's MTU", func() {
			h.run("ip", "route", "replace", "100.64.0.0/10", "dev", store.GatewayInterface, "scope", "link", "src", "100.127.255.254", "mtu", "1200")
		}, gatewayRoute},
		{"the transit interface's filter", func() { h.run("sysctl", "-w", "net.ipv4.conf.sluice-gw.rp_filter=1") },
			sysctl("net.ipv4.conf.sluice-gw.rp_filter", "2")},
		{"the transit interface without IPv6", func() { h.run("sysctl", "-w", "net.ipv6.conf.sluice-gw.disable_ipv6=0") },
			sysctl("net.ipv6.conf.sluice-gw.disable_ipv6", "1")},
		{"a tenant's limit in the switch", func() { h.run("ovs-appctl", "dpctl/ct-del-limits", zone) }, limited},
		{"all that the switch knows", func() { kill(h.vswitchd); h.startVSwitchd() }, limited},
		{"a limit that lets nothing pass", func() { h.run("ovs-appctl", "dpctl/ct-set-limits", zone+",limit=0") }, limited},
		{"the kernel's limits", func() { h.run("nft", "flush", "chain", "inet", limitsTable, "forward") },
			says([]string{"goto most-16384"}, "nft", "list", "table", "inet", limitsTable)},
		{"forwarding", func() { h.run("sysctl", "-w", "net.ipv4.ip_forward=0") }, func() bool {
			return sysctl("net.ipv4.conf.under0.forwarding", "1")() && sysctl("net.ipv4.conf.sluice-gw.forwarding", "1")() &&
				sysctl("net.ipv4.ip_forward", "0")()
		}},
		{"what the agent knows of other hosts", func() {
			h.run("rm", h.path("state/infrastructure.json"))
			h.register("h2", "172.30.0.2")
		}, func() bool {
			known, err := os.ReadFile(h.path("state/infrastructure.json"))
			listed, listErr := listRuleset(t.Context())
			return err == nil && listErr == nil && strings.Contains(string(known), "172.30.0.2") && strings.Count(listed, "172.30.0.2") == 2
		}},
		{"a container's interface down", func() { h.run("ip", "link", "set", port.Interface, "down") }, silent},
		{"a container's interface with ARP", func() { h.run("ip", "link", "set", port.Interface, "arp", "on") }, silent},
		{"a container's interface with IPv6", func() { h.run("sysctl", "-w", "net.ipv6.conf."+port.Interface+".disable_ipv6=0") },
			sysctl("net.ipv6.conf."+port.Interface+".disable_ipv6", "1")},
	} {
		t.Run(broken.name, func(t *testing.T) {
			broken.cause()
			// What ovs-vsctl wrote reaches the agent's own connection a moment later.
			h.eventually("mended, with no problem", func() bool { return a.mender.round(t.Context()) && broken.mended() })
			before := h.settled()
			if !a.mender.round(t.Context()) {
				t.Errorf("the next round failed: %v", a.Status().Problems)
			}
			if diff := cmp.Diff(before, h.picture()); diff != "" {
				t.Errorf("the next round changed the host: -before +after\n%s", diff)
			}
		})
	}
}

// TestAProblemStopsNoOther takes the host's tunnel address away, which the agent cannot give
// back, and breaks two more things: they are mended all the same.
func TestAProblemStopsNoOther(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, _, _ := h.agent()
	h.run("ip", "addr", "flush", "dev", "under0")
	h.run("nft", "delete", "table", "inet", tableName)
	h.deletePort(store.TunnelInterface)
	h.eventually("the rest is mended", func() bool {
		return !a.mender.round(t.Context()) && strings.Contains(h.vsctl("list-ports", store.BridgeName), store.TunnelInterface)
	})
	h.eventually("so is nftables, also by what the address told", func() bool {
		rules := h.run("nft", "list", "ruleset")
		return strings.Contains(rules, "172.30.0.0/24") && strings.Contains(rules, "masquerade")
	})
	want := []string{"underlay: no interface of this host holds the tunnel address 172.30.0.1"}
	if diff := cmp.Diff(want, a.Status().Problems); diff != "" {
		t.Errorf("problems: -want +got\n%s", diff)
	}
}

// TestNoLongerAGateway starts an agent as a plain host where it was a gateway host.
func TestNoLongerAGateway(t *testing.T) {
	h := newHost(t)
	_, _, stop := h.agent()
	stop()
	h.options.Gateway = false
	h.agent()
	if ports := h.vsctl("list-ports", store.BridgeName); strings.Contains(ports, store.GatewayInterface) {
		t.Errorf("the gateway port is still there: %s", ports)
	}
	if rules := h.run("nft", "list", "ruleset"); strings.Contains(rules, "masquerade") || !strings.Contains(rules, "containers") {
		t.Errorf("the rules of a plain host are\n%s", rules)
	}
}

// TestHostDeletedAndBack deletes a host under its running agent: its ports are not its own
// any more, and it takes new ones under a new registration.
func TestHostDeletedAndBack(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	empty := h.traces()
	box := newContainer(t)
	request := api.AttachRequest{Tenant: "alice", Name: "a1", NetNS: box.netns()}
	if _, err := c.Attach(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	first := a.registration.current().Created
	if _, err := h.client.DeleteHost(t.Context(), "h1"); err != nil {
		t.Fatal(err)
	}
	h.eventually("the host is back", func() bool {
		r := a.registration.ready()
		return r != nil && r.Created > first
	})
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("what the deleted host left: -want +got\n%s", diff)
	}
	h.realizeAll() // a controller claims it anew: the deletion took its master too
	if _, err := c.Attach(t.Context(), request); err != nil {
		t.Errorf("attach to the host that came back: %v", err)
	}
}

// TestPortWhoseContainerVanished keeps the port: the runtime has yet to detach it.
func TestPortWhoseContainerVanished(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	empty := h.traces()
	box := newContainer(t)
	if _, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: "a1", NetNS: box.netns()}); err != nil {
		t.Fatal(err)
	}
	kill(box.cmd)
	h.eventually("the interface is gone", func() bool {
		links, err := portLinks()
		return err == nil && len(links) == 0
	})
	if !a.mender.round(t.Context()) {
		t.Errorf("problems: %v", a.Status().Problems)
	}
	if list, err := c.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("ports %+v, error %v; want the port still there", list, err)
	}
	if err := c.Detach(t.Context(), api.DetachRequest{Tenant: "alice", Name: "a1"}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after detach: -want +got\n%s", diff)
	}
}

// TestEditsOfTheSwitchAreMendedAtOnce edits the switch's database: an agent that looks once an
// hour, unless something is heard, mends it all the same.
func TestEditsOfTheSwitchAreMendedAtOnce(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agentWith(func(a *Agent) { a.mender.interval = time.Hour })
	port, err := c.Attach(t.Context(), attachTo("alice", "a1", newContainer(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range []struct {
		name   string
		cause  func()
		mended func() bool
	}{
		{"a container's port is deleted", func() { h.deletePort(port.Interface) },
			func() bool { return strings.Contains(h.vsctl("list-ports", store.BridgeName), port.Interface) }},
		{"the tunnel port is deleted", func() { h.deletePort(store.TunnelInterface) },
			func() bool { return strings.Contains(h.vsctl("list-ports", store.BridgeName), store.TunnelInterface) }},
		{"the controllers are deleted", func() { h.vsctl("del-controller", store.BridgeName) },
			func() bool { return h.vsctl("get-controller", store.BridgeName) != "" }},
		{"the bridge learns", func() { h.vsctl("set-fail-mode", store.BridgeName, "standalone") },
			func() bool { return strings.Contains(h.vsctl("get-fail-mode", store.BridgeName), "secure") }},
		{"the bridge is deleted", func() { h.vsctl("del-br", store.BridgeName) },
			func() bool { return strings.Contains(h.vsctl("list-ports", store.BridgeName), port.Interface) }},
	} {
		edit.cause()
		h.eventually(edit.name+", and mended", edit.mended)
	}
}
