package hostagent

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"sluice/hostagent/api"
	"sluice/store"
)

func TestAttachAndDetach(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	before := h.traces()

	for _, want := range []struct {
		request  api.AttachRequest
		ifName   string
		mtu      string
		defaults []string
	}{
		{
			api.AttachRequest{Tenant: "alice", Name: "a1", Address: "10.0.0.7", MAC: "02:00:00:00:00:07", ContainerID: "x1", Runtime: "test"},
			"eth0", "mtu 1450", []string{"default via 10.0.0.1", "default via fd00:a::1"},
		},
		{
			api.AttachRequest{Tenant: "bob", Name: "a1", Address: "10.0.0.7", MAC: "02:00:00:00:00:07", IfName: "net1"},
			"net1", "mtu 1446", []string{"default via 10.0.0.1"},
		},
	} {
		box := newContainer(t)
		want.request.NetNS = box.netns()
		got, err := c.Attach(t.Context(), want.request)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Warnings) > 0 || got.Addresses[0] != "10.0.0.7/24" || got.Host != "h1" {
			t.Errorf("attached %+v", got)
		}
		expectIn(t, "container's interface", box.run("ip", "-d", "addr", "show", "dev", want.ifName),
			want.mtu, "02:00:00:00:00:07", "10.0.0.7/24", "state UP")
		if ipv6 := box.run("ip", "-6", "addr", "show", "dev", want.ifName, "scope", "global"); strings.Contains(ipv6, "tentative") {
			t.Errorf("the container's IPv6 address is not usable at once:\n%s", ipv6)
		}
		expectIn(t, "container's routes", box.run("ip", "route")+box.run("ip", "-6", "route"), want.defaults...)
		expectIn(t, "container's offloads", box.run("ethtool", "-k", want.ifName), "tx-checksumming: off", "tx-tcp-segmentation: off")
		expectIn(t, "host's interface", h.run("ip", "link", "show", "dev", got.Interface), want.mtu, "NOARP", "state UP")
		expectIn(t, "row", h.vsctl("get", "interface", got.Interface, "external_ids"),
			"iface-id=\"h1/"+want.request.Tenant+"/default/a1\"", "attached-mac=\"02:00:00:00:00:07\"")

		again, err := c.Attach(t.Context(), want.request)
		if !api.IsConflict(err) {
			t.Errorf("a second attach of the same name: %+v, error %v; want a conflict", again, err)
		}
	}
	list, err := c.List(t.Context())
	if err != nil || len(list) != 2 || list[0].MTU != 1450 || list[1].MTU != 1446 {
		t.Errorf("list: %+v, error %v", list, err)
	}

	for _, tenant := range []string{"alice", "bob"} {
		port := api.DetachRequest{Tenant: tenant, Name: "a1"}
		if err := c.Detach(t.Context(), port); err != nil {
			t.Error(err)
		}
		if err := c.Detach(t.Context(), port); !api.IsNotFound(err) || !strings.Contains(err.Error(), tenant+"/default/a1") {
			t.Errorf("detach of what is gone: %v; want not found, with its name", err)
		}
	}
	if diff := cmp.Diff(before, h.traces()); diff != "" {
		t.Errorf("after detach: -before +after\n%s", diff)
	}
}

func expectIn(t *testing.T, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s: no %q in\n%s", what, want, text)
		}
	}
}

// A port whose value somebody spoilt can be detached: its key goes, and its interface, which the host
// knows. Of a port that the host knows nothing of the key goes.
func TestDetachOfAPortThatCannotBeRead(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	before := h.traces()
	if _, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: "a1", NetNS: newContainer(t).netns()}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a1", "a9"} {
		h.spoil(name)
		port := api.DetachRequest{Tenant: "alice", Name: name}
		if _, err := c.Get(t.Context(), port); err == nil || !strings.Contains(err.Error(), "unreadable") {
			t.Errorf("%s: it shows, or says %v", name, err)
		}
		if err := c.Detach(t.Context(), port); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Detach(t.Context(), port); !api.IsNotFound(err) {
			t.Errorf("%s, again: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, h.traces()); diff != "" {
		t.Errorf("after detach: -before +after\n%s", diff)
	}
}

// The interface of a port that cannot be read is not one of no port: it outlives its quarantine, and
// goes once the key is gone.
func TestInterfaceOfAPortThatCannotBeRead(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	h.options.Quarantine = time.Nanosecond
	a, c, _ := h.agent()
	h.attach(c, "alice", "a1")
	h.stamp()
	h.judged(a)
	interfaces := func() int {
		a.mender.round(t.Context())
		links, err := portLinks()
		if err != nil {
			t.Fatal(err)
		}
		return len(links)
	}
	h.spoil("a1")
	for range 3 {
		if n := interfaces(); n != 1 {
			t.Fatalf("%d interfaces, of one port that cannot be read", n)
		}
	}
	h.deletePortKey("a1")
	h.eventually("it goes with its key", func() bool { return interfaces() == 0 })
}

// A container that is in two networks keeps the default route of the first.
func TestSecondNetworkOfAContainer(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	box := newContainer(t)
	if _, err := c.Attach(t.Context(), attachTo("alice", "a1", box)); err != nil {
		t.Fatal(err)
	}
	second := attachTo("bob", "b1", box)
	second.IfName = "eth1"
	got, err := c.Attach(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"the container has a default route already: none was added through 10.0.0.1"}
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("warnings: -want +got\n%s", diff)
	}
	expectIn(t, "container's routes", box.run("ip", "route"), "default via 10.0.0.1 dev eth0")
}

// TestFailedAttachLeavesNothing fails attaches at each of their steps.
func TestFailedAttachLeavesNothing(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	a.patience = time.Second
	box := newContainer(t)
	if _, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: "there", NetNS: box.netns(), Address: "10.0.0.9"}); err != nil {
		t.Fatal(err)
	}
	before := h.traces()
	valid := api.AttachRequest{Tenant: "alice", Name: "a1", NetNS: box.netns(), IfName: "eth1"}

	for _, c := range []struct {
		name   string
		change func(*api.AttachRequest)
		says   string
		status int
	}{
		{"unknown tenant", func(r *api.AttachRequest) { r.Tenant = "carol" }, "network carol/default does not exist", 404},
		{"unknown network", func(r *api.AttachRequest) { r.Network = "dmz" }, "network alice/dmz does not exist", 404},
		{"name is no label", func(r *api.AttachRequest) { r.Name = "A_1" }, "DNS label", 422},
		{"name in use", func(r *api.AttachRequest) { r.Name = "there" }, "alice/default/there", 409},
		{"address in use", func(r *api.AttachRequest) { r.Address = "10.0.0.9" }, "10.0.0.9", 409},
		{"address outside", func(r *api.AttachRequest) { r.Address = "10.9.9.9" }, "10.9.9.9", 422},
		{"no address", func(r *api.AttachRequest) { r.Address = "ten" }, `address "ten"`, 422},
		{"MAC of a group", func(r *api.AttachRequest) { r.MAC = "01:00:00:00:00:01" }, "group", 422},
		{"interface in use", func(r *api.AttachRequest) { r.IfName = "eth0" }, "has an interface eth0 already", 409},
		{"interface name too long", func(r *api.AttachRequest) { r.IfName = "abcdefghijklmnop" }, "at most 15", 422},
		{"no namespace", func(r *api.AttachRequest) { r.NetNS = "/run/netns/sluice-none" }, "/run/netns/sluice-none", 422},
		{"not a namespace", func(r *api.AttachRequest) { r.NetNS = "/etc/passwd" }, "not a network namespace", 422},
		{"the host's namespace", func(r *api.AttachRequest) { r.NetNS = "/proc/self/ns/net" }, "the host's own", 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := valid
			c.change(&request)
			_, err := a.Attach(t.Context(), request)
			expectFailure(t, h, before, err, c.status, c.says)
		})
	}
	t.Run("switch gone", func(t *testing.T) {
		kill(h.vswitchd)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := a.Attach(ctx, valid)
		h.run("rm", h.path("ovs-vswitchd.pid"))
		h.startVSwitchd()
		expectFailure(t, h, before, err, 0, "alice/default/a1")
	})
	t.Run("interface missing in the switch", func(t *testing.T) {
		h.put(store.StatusHostKey("h1"), &store.StatusHost{
			State: store.HostMissing, Realized: 1 << 40, Missing: []string{store.PortKey("h1", "alice", "default", "a1").Short()},
		})
		_, err := a.Attach(t.Context(), valid)
		expectFailure(t, h, before, err, http.StatusGatewayTimeout, "lacks its interface")
	})
	for what, object := range map[string]store.Key{ // all that the port needs
		"network left out": store.NetworkKey("alice", "default"), "tenant left out": store.TenantKey("alice"), "host unreachable": store.HostKey("h1"),
	} {
		t.Run(what, func(t *testing.T) {
			h.put(store.StatusHostKey("h1"), &store.StatusHost{State: store.HostUnreachable, Realized: 1 << 40,
				Problems: store.Problems{{Object: object.Short(), Text: "it is " + what}}})
			_, err := a.Attach(t.Context(), valid)
			expectFailure(t, h, before, err, http.StatusGatewayTimeout, "it is "+what)
		})
	}
	t.Run("host down", func(t *testing.T) {
		h.put(store.StatusHostKey("h1"), &store.StatusHost{State: store.HostDown})
		_, err := a.Attach(t.Context(), valid)
		expectFailure(t, h, before, err, http.StatusGatewayTimeout, "host h1 is down")
	})
	t.Run("client gone", func(t *testing.T) {
		a.patience = patience
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			h.eventually("the port is being made", func() bool { return len(h.traces()) > len(before) })
			cancel()
		}()
		_, err := c.Attach(ctx, valid)
		if err == nil {
			t.Fatal("attached without waiting for the flows")
		}
		h.eventually("the attach was undone", func() bool { return cmp.Equal(before, h.traces()) })
	})
}

func expectFailure(t *testing.T, h *host, before []string, err error, status int, says string) {
	t.Helper()
	if err == nil {
		t.Fatal("attached")
	}
	if !strings.Contains(err.Error(), says) || status != 0 && statusOf(err) != status {
		t.Errorf("status %d, error %v; want %d and %q", statusOf(err), err, status, says)
	}
	h.eventually("undone", func() bool { return cmp.Equal(before, h.traces()) })
}

func TestAttachWarnsOfHostsBehind(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	other := h.register("h2", "198.51.100.2")
	h.eventually("h2 is known to be alive", func() bool { return slices.Contains(a.alive.all(), "h2") })
	_, err := h.client.CreatePort(t.Context(), store.PortSpec{
		Host: "h2", HostCreated: other, Tenant: "bob", Network: "default", Name: "b2", UID: "bbbbbbbbbbbb",
	})
	if err != nil {
		t.Fatal(err)
	}
	for tenant, want := range map[string][]string{
		"bob":   {"not yet realized on h2"},
		"alice": nil, // h2 lags, but holds nothing of hers
	} {
		got, err := c.Attach(t.Context(), api.AttachRequest{Tenant: tenant, Name: "b1", NetNS: newContainer(t).netns()})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Warnings); diff != "" {
			t.Errorf("warnings to %s: -want +got\n%s", tenant, diff)
		}
	}
}

// TestManyAtOnce attaches and detaches many containers side by side.
func TestManyAtOnce(t *testing.T) {
	const many = 40
	h := newHost(t)
	h.realizeAll()
	_, c, _ := h.agent()
	empty := h.traces()
	boxes := make([]*container, many)
	for n := range boxes {
		boxes[n] = newContainer(t)
	}
	var mu sync.Mutex
	addresses := make(map[string]string)
	inParallel(t, many, func(n int) error {
		name := fmt.Sprintf("a%d", n)
		got, err := c.Attach(t.Context(), attachTo("alice", name, boxes[n]))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, address := range got.Addresses {
			if other, taken := addresses[address]; taken {
				return fmt.Errorf("%s and %s both have %s", name, other, address)
			}
			addresses[address] = name
		}
		return nil
	})
	if got, want := len(h.traces()), 3*many; got != want {
		t.Errorf("%d links, rows and keys, want %d", got, want)
	}
	inParallel(t, many, func(n int) error {
		return c.Detach(t.Context(), api.DetachRequest{Tenant: "alice", Name: fmt.Sprintf("a%d", n)})
	})
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after detach: -want +got\n%s", diff)
	}
}

func inParallel(t *testing.T, n int, do func(int) error) {
	t.Helper()
	var g errgroup.Group
	for i := range n {
		g.Go(func() error { return do(i) })
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// TestAttachWaitsItsTurn refuses a tenant that makes too many ports, and no other; nothing is left of
// the refused one.
func TestAttachWaitsItsTurn(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, c, _ := h.agent()
	before := h.traces()
	alices := a.pace.of("alice", h.tenant("alice").Limits)
	for range 2 { // as if she had made as many, and as many waited
		alices.ReserveN(time.Now(), alices.Burst())
	}
	_, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: "a1", NetNS: newContainer(t).netns()})
	if err == nil || !strings.Contains(err.Error(), "tenant alice: it makes more than 20 ports a second on this host") {
		t.Errorf("alice's attach: %v", err)
	}
	if diff := cmp.Diff(before, h.traces()); diff != "" {
		t.Errorf("the refused attach left: -before +after\n%s", diff)
	}
	if _, err := c.Attach(t.Context(), api.AttachRequest{Tenant: "bob", Name: "b1", NetNS: newContainer(t).netns()}); err != nil {
		t.Errorf("bob's attach: %v", err)
	}
}
