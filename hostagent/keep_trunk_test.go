package hostagent

import (
	"strings"
	"testing"

	"sluice/store"
)

// trunkHost is a host with a veth pair of which trunk0 is to be the trunk, down as it was made.
func trunkHost(t *testing.T) *host {
	h := newHost(t)
	h.run("ip", "link", "add", "trunk0", "type", "veth", "peer", "name", "trunk1")
	t.Cleanup(func() { h.run("ip", "link", "del", "trunk0") })
	h.run("ip", "link", "set", "trunk1", "up")
	h.options.Trunk = "trunk0"
	return h
}

// says reports what the cluster was told of the trunk.
func (h *host) says(trunk string, ready bool) func() bool {
	return func() bool {
		got, _, err := h.client.Get(h.t.Context(), store.HostKey("h1"))
		if err != nil || got == nil {
			return false
		}
		told := got.(*store.Host)
		return told.Trunk == trunk && told.TrunkReady == ready
	}
}

func (h *host) isUp(name string) bool {
	return strings.Contains(h.run("ip", "link", "show", name), ",UP")
}

// A trunk is plugged, and ready only once the switch has its flows; a restart changes nothing; an agent without it takes it out and
// leaves the interface down, as it was.
func TestTrunkComesAndGoes(t *testing.T) {
	h := trunkHost(t)
	_, _, stop := h.agent()
	h.eventually("the trunk is told, and not ready: nobody programs the host", h.says("trunk0", false))
	h.realizeAll()
	h.eventually("the trunk is ready", h.says("trunk0", true))
	if !h.isUp("trunk0") {
		t.Error("the interface is down")
	}
	_, before, err := h.client.Get(t.Context(), store.HostKey("h1"))
	if err != nil {
		t.Fatal(err)
	}

	stop()
	a, _, stop := h.agent()
	if !a.mender.round(t.Context()) {
		t.Errorf("mending failed: %v", a.Status().Problems)
	}
	if _, after, err := h.client.Get(t.Context(), store.HostKey("h1")); err != nil || after != before {
		t.Errorf("the restart wrote the host anew: %d, before %d (%v)", after, before, err)
	}

	h.run("ip", "link", "set", "trunk1", "down")
	a.mender.wake()
	h.eventually("without a wire it is not ready", h.says("trunk0", false))
	h.run("ip", "link", "set", "trunk1", "up")
	a.mender.wake()
	h.eventually("with it it is again", h.says("trunk0", true))

	stop()
	h.options.Trunk = ""
	h.agent()
	h.eventually("there is no trunk any more", h.says("", false))
	if strings.Contains(h.vsctl("list-ports", store.BridgeName), "trunk0") || h.isUp("trunk0") {
		t.Error("the interface is in the bridge still, or up")
	}
}

// Without its trunk a host is registered and has its ports, says what is wrong with it, and has it once it is there. One that goes away is told too.
func TestAgentWithoutItsTrunk(t *testing.T) {
	h := trunkHost(t)
	h.run("ip", "link", "del", "trunk0")
	lacks := func(why string) func() bool {
		return func() bool {
			got, _, err := h.client.Get(t.Context(), store.HostKey("h1"))
			if err != nil || got == nil {
				return false
			}
			told := got.(*store.Host).NoTrunk
			return told == why || why != "" && strings.Contains(told, why)
		}
	}
	a, _, _ := h.agent()
	h.realizeAll()
	h.eventually("it says that there is no trunk", lacks("trunk trunk0: this host has no such interface: name another with --trunk"))
	if problems := a.Status().Problems; len(problems) != 1 || !strings.HasPrefix(problems[0], "trunk: trunk trunk0: this host has no such interface") {
		t.Errorf("problems %q", problems)
	}
	h.run("ip", "link", "add", "trunk0", "type", "veth", "peer", "name", "trunk1")
	h.run("ip", "link", "set", "trunk1", "up")
	h.eventually("the trunk that came is ready", h.says("trunk0", true))
	h.eventually("and nothing is said of it", lacks(""))
	h.run("ip", "link", "set", "trunk1", "down")
	a.mender.wake()
	h.eventually("it says that there is no wire", lacks("trunk trunk0: it has no carrier"))
	h.run("ip", "link", "del", "trunk0")
	a.mender.wake()
	h.eventually("it says that the trunk is gone", lacks("this host has no such interface"))
	h.eventually("and that it has none", h.says("", false))
	h.run("ip", "link", "add", "trunk0", "type", "veth", "peer", "name", "trunk1") // which trunkHost takes away
}

// An interface that is not fit is named, with why.
func TestUnfitTrunk(t *testing.T) {
	h := trunkHost(t)
	vsctl := func(args ...string) []string {
		return append([]string{"ovs-vsctl", "--db=unix:" + h.path("db.sock"), "--no-wait"}, args...)
	}
	for _, c := range []struct {
		why, trunk string
		do, undo   []string
	}{
		{"trunk nosuch: this host has no such interface: name another with --trunk", "nosuch", nil, nil},
		{"it has the address 198.51.100.1, by which the host speaks", "trunk0",
			[]string{"ip", "address", "add", "198.51.100.1/24", "dev", "trunk0"}, []string{"ip", "address", "flush", "dev", "trunk0"}},
		{"it is in bridge other", "trunk0", vsctl("add-br", "other", "--", "add-port", "other", "trunk0"), vsctl("del-br", "other")},
		{"it is in bridge linux", "trunk0", []string{"sh", "-c", "ip link add linux type bridge && ip link set trunk0 master linux"}, []string{"ip", "link", "del", "linux"}},
		{"its MTU is 1000, and containers of VLAN networks send packets of 1446: give it that or more", "trunk0",
			[]string{"ip", "link", "set", "trunk0", "mtu", "1000"}, []string{"ip", "link", "set", "trunk0", "mtu", "1500"}},
		{"it is the uplink: free it, or name another with --trunk", "under0", nil, nil},
	} {
		if c.do != nil {
			h.run(c.do[0], c.do[1:]...)
		}
		o := h.options
		o.Trunk = c.trunk
		found := Check(t.Context(), o)
		if said := found[len(found)-1]; said.Name != "trunk" || said.Err == nil || !strings.Contains(said.Err.Error(), c.why) {
			t.Errorf("the preflight says %q, want %q", said, c.why)
		}
		if c.undo != nil {
			h.run(c.undo[0], c.undo[1:]...)
		}
	}
	if found := Check(t.Context(), h.options); found[len(found)-1].Err != nil {
		t.Errorf("one that is fit: %s", found[len(found)-1])
	}
}
