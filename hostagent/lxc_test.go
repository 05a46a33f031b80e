package hostagent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
	"sluice/hostagent/lxc"
	"sluice/store"
)

// lxcCall is what LXC says of a container, with init's number.
func (h *host) lxcCall(hook, name string, box *container) lxc.Call {
	h.t.Helper()
	path := h.path("lxc/" + name + "/config")
	return lxc.Call{Hook: hook, Container: name, Config: path, PID: box.cmd.Process.Pid}
}

// A container of LXC has its addresses while init waits. What a start left whose stop LXC never told goes at
// the next one, which takes over its addresses and MAC; a late stop of the old one leaves the new one alone.
func TestLXC(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, agent, _ := h.agent()
	empty := h.traces()
	alice := lxc.Interface{Tenant: "alice"}
	start := func(c lxc.Call, at lxc.Interface) api.Attachment {
		t.Helper()
		a, err := lxc.Start(t.Context(), agent, c, at, 0)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	stop := func(c lxc.Call) {
		t.Helper()
		if err := lxc.Stop(t.Context(), agent, c, 0); err != nil {
			t.Fatal(err)
		}
	}
	first, second := newContainer(t), newContainer(t)
	other := start(h.lxcCall(lxc.StartHost, "other", newContainer(t)), alice) // holds the first address
	old := h.lxcCall(lxc.StartHost, "web", first)
	was := start(old, alice)
	office := start(old, lxc.Interface{Tenant: "bob", Name: "web-office", IfName: "net1"})
	expectIn(t, "container's interface", first.run("ip", "addr", "show", "dev", "eth0"), was.Addresses[0], was.MAC, "mtu 1450")
	if office.Network != "default" || office.Name != "web-office" {
		t.Errorf("the second interface is port %s/%s", office.Network, office.Name)
	}

	again := h.lxcCall(lxc.StartHost, "web", second)
	is := start(again, alice)
	if diff := cmp.Diff([]any{was.Addresses, was.MAC}, []any{is.Addresses, is.MAC}); diff != "" {
		t.Errorf("after a start without a stop: -was +is\n%s", diff)
	}
	stop(old)
	ports, err := agent.List(t.Context())
	if err != nil || len(ports) != 2 {
		t.Errorf("after the old start's late stop: ports %v, error %v; want other and web", ports, err)
	}
	expectIn(t, "new container's interface", second.run("ip", "addr", "show", "dev", "eth0"), is.Addresses[0])

	reboot := again
	reboot.Reboot = true
	stop(reboot)
	if _, err := agent.Get(t.Context(), api.DetachRequest{Tenant: "alice", Name: "web"}); err != nil {
		t.Errorf("a container that starts again lost its port: %v", err)
	}
	stop(again)
	stop(again)
	stop(h.lxcCall(lxc.PostStop, "elsewhere", second))
	if err := agent.Detach(t.Context(), api.DetachRequest{Tenant: "alice", Name: other.Name}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after all have stopped: -want +got\n%s", diff)
	}
}

// A container has what its hook's line asks for. One that comes into another tenant leaves the last one.
func TestLXCAsItAsks(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, agent, _ := h.agent()
	at := lxc.Interface{Tenant: "alice", Addresses: []string{"10.0.0.50"}, MAC: "02:00:00:00:00:50", IfName: "net7"}
	a, err := lxc.Start(t.Context(), agent, h.lxcCall(lxc.StartHost, "web", newContainer(t)), at, 0)
	if err != nil {
		t.Fatal(err)
	}
	if a.Addresses[0] != "10.0.0.50/24" || a.MAC != "02:00:00:00:00:50" || a.IfName != "net7" {
		t.Errorf("it asked for 10.0.0.50, 02:00:00:00:00:50 and net7, and has %v, %s, %s", a.Addresses, a.MAC, a.IfName)
	}
	moved := h.lxcCall(lxc.StartHost, "web", newContainer(t))
	if a, err = lxc.Start(t.Context(), agent, moved, lxc.Interface{Tenant: "bob"}, 0); err != nil || a.MAC == "02:00:00:00:00:50" {
		t.Errorf("in another tenant: MAC %s, error %v", a.MAC, err)
	}
	if ports, err := agent.List(t.Context()); err != nil || len(ports) != 1 {
		t.Errorf("ports %v, error %v; want one", ports, err)
	}
}

// A sticky container has its addresses again after a stop, though another one came meanwhile; a start that fails keeps
// nothing for a name that had nothing.
func TestLXCSticky(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	_, agent, _ := h.agent()
	empty := h.traces()
	alice := lxc.Interface{Tenant: "alice", Sticky: true}
	first := h.lxcCall(lxc.StartHost, "web", newContainer(t))
	was, err := lxc.Start(t.Context(), agent, first, alice, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := lxc.Stop(t.Context(), agent, first, 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after its stop: -want +got\n%s", diff)
	}
	address, _, _ := strings.Cut(was.Addresses[0], "/")
	if _, err := agent.Attach(t.Context(), api.AttachRequest{Tenant: "alice", Name: "thief", NetNS: newContainer(t).netns(), Address: address}); !api.IsConflict(err) {
		t.Errorf("another container with its address: %v", err)
	}
	again := h.lxcCall(lxc.StartHost, "web", newContainer(t))
	is, err := lxc.Start(t.Context(), agent, again, alice, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{was.Addresses, was.MAC}, []any{is.Addresses, is.MAC}); diff != "" {
		t.Errorf("after a stop and a start: -was +is\n%s", diff)
	}
	alice.IfName = "lo" // which is there: the attach fails when all else is made
	if _, err := lxc.Start(t.Context(), agent, h.lxcCall(lxc.StartHost, "fails", newContainer(t)), alice, 0); err == nil {
		t.Error("it started")
	}
	if list, _, err := h.client.List(t.Context(), store.KindSticky); err != nil || len(list) > 0 {
		t.Errorf("names have %v, %v", list, err)
	}
}

// The stop of a container whose port came from another host removes it.
func TestLXCThatMoved(t *testing.T) {
	h := newHost(t)
	h.realizeAll()
	a, agent, _ := h.agent()
	empty := h.traces()
	h.register("h2", "198.51.100.2")
	alice := lxc.Interface{Tenant: "alice"}
	there := h.lxcCall(lxc.StartHost, "web", newContainer(t)) // stands for one on h2: it has another start
	was, err := lxc.Start(t.Context(), agent, there, alice, 0)
	if err != nil {
		t.Fatal(err)
	}
	h.move("web", "h1", "h2")
	a.mender.round(t.Context()) // lets go of it
	h.move("web", "h2", "h1")
	here := h.lxcCall(lxc.StartHost, "web", newContainer(t))
	if is, err := lxc.Start(t.Context(), agent, here, alice, 0); err != nil || is.MAC != was.MAC || is.Interface != was.Interface {
		t.Errorf("after the move: %+v, error %v; it was %+v", is, err, was)
	}
	if err := lxc.Stop(t.Context(), agent, here, 0); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("after its stop: -want +got\n%s", diff)
	}
}

func TestLXCRefusals(t *testing.T) {
	h := newHost(t)
	nobody := api.Dial(h.path("nobody.sock"))
	h.realizeAll()
	_, agent, _ := h.agent()
	empty := h.traces()
	calls := 0
	call := func() lxc.Call {
		calls++
		return h.lxcCall(lxc.StartHost, fmt.Sprint("web-", calls), newContainer(t))
	}
	gone := call()
	gone.PID = 1 << 22 // no process has it
	for _, x := range []struct {
		name  string
		agent *api.Client
		call  lxc.Call
		at    lxc.Interface
		says  string
	}{
		{"no agent", nobody, call(), lxc.Interface{Tenant: "alice"}, "is sluice agent running?"},
		{"unknown tenant", agent, call(), lxc.Interface{Tenant: "carol"}, "network carol/default does not exist"},
		{"unknown network", agent, call(), lxc.Interface{Tenant: "alice", Network: "db"}, "network alice/db does not exist"},
		{"an address of no subnet", agent, call(), lxc.Interface{Tenant: "alice", Addresses: []string{"192.0.2.1"}}, "it is in no subnet"},
		{"a MAC that is none", agent, call(), lxc.Interface{Tenant: "alice", MAC: "02"}, `"02"`},
		{"a container that ended meanwhile", agent, gone, lxc.Interface{Tenant: "alice"}, "namespace /proc/4194304/ns/net"},
	} {
		began := time.Now()
		if _, err := lxc.Start(t.Context(), x.agent, x.call, x.at, 0); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: error %v after %s, want %q", x.name, err, time.Since(began), x.says)
		}
	}
	if diff := cmp.Diff(empty, h.traces()); diff != "" {
		t.Errorf("refused starts left: -want +got\n%s", diff)
	}
	if err := lxc.Stop(t.Context(), nobody, call(), 0); err == nil {
		t.Error("a stop without an agent says that all is well")
	}
}
