package hostagent

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
	"sluice/store"
)

// picture is everything on the host that an agent makes, with what would change if it were
// made again: row ids, interface indexes, rule handles.
func (h *host) picture() string {
	h.t.Helper()
	volatile := regexp.MustCompile(`(?m)^(statistics|status|link_resets|cfg_|db_version|cur_cfg|last_change).*\n|valid_lft .*| ?tentative ?| +$`)
	text := h.vsctl("list", "bridge") + h.vsctl("list", "port") + h.vsctl("list", "interface") +
		h.vsctl("--columns=_uuid,target,connection_mode,max_backoff", "list", "controller") +
		h.vsctl("list", "flow_table") + h.run("nft", "-a", "list", "ruleset") +
		h.run("ip", "-d", "addr") + h.run("ip", "route") +
		h.run("sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.sluice-gw.rp_filter")
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
	before, traces := h.picture(), h.traces()

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

// TestMendsWhatWasLost deletes what the agent made, one thing at a time.
func TestMendsWhatWasLost(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	port, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: "a1", NetNS: newContainer(t).netns()})
	if err != nil {
		t.Fatal(err)
	}
	for _, loss := range []struct {
		name   string
		cause  func()
		mended func() bool
	}{
		{"the port's row", func() { h.vsctl("del-port", port.Interface) }, func() bool {
			return strings.Contains(h.vsctl("list-ports", store.BridgeName), port.Interface)
		}},
		{"the bridge", func() { h.vsctl("del-br", store.BridgeName) }, func() bool {
			ports := h.vsctl("list-ports", store.BridgeName)
			return strings.Contains(ports, port.Interface) && strings.Contains(ports, store.TunnelInterface)
		}},
		{"the nftables table", func() { h.run("nft", "delete", "table", "inet", tableName) }, func() bool {
			return strings.Contains(h.run("nft", "list", "ruleset"), "masquerade")
		}},
		{"one rule", func() { h.run("nft", "flush", "chain", "inet", tableName, "input") }, func() bool {
			return strings.Contains(h.run("nft", "list", "ruleset"), "tenants do not reach the host")
		}},
		{"the transit address", func() { h.run("ip", "addr", "flush", "dev", store.GatewayInterface) }, func() bool {
			return strings.Contains(h.run("ip", "addr"), "100.127.255.254/10") &&
				strings.Contains(h.run("ip", "route"), "100.64.0.0/10 dev sluice-gw scope link src 100.127.255.254 mtu 1446")
		}},
	} {
		t.Run(loss.name, func(t *testing.T) {
			loss.cause()
			if !a.mender.round(t.Context()) || !loss.mended() {
				t.Errorf("not mended: problems %v", a.Status().Problems)
			}
		})
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
