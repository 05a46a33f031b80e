package simulate

import (
	"net/netip"
	"strings"
	"testing"
)

// pair is two hosts with a container at port 1 of each.
func pair(t *testing.T, first, second []string) *Cluster {
	t.Helper()
	host := func(name, vtep string, lines []string) *Host {
		return &Host{Name: name, Bridge: bridge(t, lines...), VTEP: netip.MustParseAddr(vtep), Tunnel: 100, Gateway: 200,
			Ports: map[uint32]string{1: name + "-container"}}
	}
	return NewCluster(host("h1", "172.30.0.1", first), host("h2", "172.30.0.2", second))
}

var toSecond = []string{"in_port=1,actions=set_field:172.30.0.2->tun_dst,set_field:5->tun_id,output:100,output:200"}

func TestTunnelJoinsHosts(t *testing.T) {
	c := pair(t, toSecond, []string{"in_port=100,tun_src=172.30.0.1,tun_dst=172.30.0.2,tun_id=5,actions=output:1"})
	walk, err := c.Send("h1", 1, UDP(alice, bob))
	if err != nil {
		t.Fatal(err)
	}
	if len(walk.Deliveries) != 2 {
		t.Fatalf("delivered %d times:\n%s", len(walk.Deliveries), walk)
	}
	kernel, container := walk.Deliveries[0], walk.Deliveries[1]
	if !kernel.Kernel || kernel.Host != "h1" || container.Kernel || container.Host != "h2" || container.Port != 1 {
		t.Errorf("delivered to %+v", walk.Deliveries)
	}
	if container.Packet != UDP(alice, bob) {
		t.Errorf("arrived as %s", &container.Packet)
	}
	if got := strings.Join(container.Through, " "); got != "h1 h2" {
		t.Errorf("came through %s", got)
	}
}

func TestTunnelOverIPv6(t *testing.T) {
	first := bridge(t, "in_port=1,actions=set_field:fd00::2->tun_ipv6_dst,output:100")
	second := bridge(t, "in_port=100,tun_ipv6_src=fd00::1,tun_ipv6_dst=fd00::2,actions=output:1")
	c := NewCluster(
		&Host{Name: "h1", Bridge: first, VTEP: netip.MustParseAddr("fd00::1"), Tunnel: 100},
		&Host{Name: "h2", Bridge: second, VTEP: netip.MustParseAddr("fd00::2"), Tunnel: 100, Ports: map[uint32]string{1: "c"}})
	walk, err := c.Send("h1", 1, UDP(alice, bob))
	if err != nil || len(walk.Deliveries) != 1 {
		t.Fatalf("%v\n%s", err, walk)
	}
}

// A host with addresses of both families sends from that of the other end's.
func TestTunnelFromFurtherAddress(t *testing.T) {
	first := bridge(t, "in_port=1,actions=set_field:fd00::2->tun_ipv6_dst,output:100")
	second := bridge(t, "in_port=100,tun_ipv6_src=fd00::1,tun_ipv6_dst=fd00::2,actions=output:1")
	both := func(v4, v6 string) *Host {
		return &Host{VTEP: netip.MustParseAddr(v4), Further: []netip.Addr{netip.MustParseAddr(v6)}, Tunnel: 100}
	}
	h1, h2 := both("172.30.0.1", "fd00::1"), both("172.30.0.2", "fd00::2")
	h1.Name, h1.Bridge = "h1", first
	h2.Name, h2.Bridge, h2.Ports = "h2", second, map[uint32]string{1: "c"}
	c := NewCluster(h1, h2)
	walk, err := c.Send("h1", 1, UDP(alice, bob))
	if err != nil || len(walk.Deliveries) != 1 {
		t.Fatalf("%v\n%s", err, walk)
	}
}

func TestClusterRefusesNonsense(t *testing.T) {
	for _, c := range []struct {
		what          string
		first, second []string
		why           string
	}{
		{"a loop", toSecond, []string{"actions=load:0xffff->NXM_OF_IN_PORT[],set_field:172.30.0.2->tun_dst,output:100"}, "no other host"},
		{"ping-pong", []string{"actions=load:0xffff->NXM_OF_IN_PORT[],set_field:172.30.0.2->tun_dst,output:100"},
			[]string{"actions=load:0xffff->NXM_OF_IN_PORT[],set_field:172.30.0.1->tun_dst,output:100"}, "a loop?"},
		{"nobody's address", []string{"actions=set_field:172.30.0.9->tun_dst,output:100"}, nil, "no other host"},
		{"the other family", []string{"actions=set_field:fd00::2->tun_ipv6_dst,output:100"}, nil, "no address of that family"},
		{"two addresses", []string{"actions=set_field:172.30.0.2->tun_dst,set_field:fd00::2->tun_ipv6_dst,output:100"}, nil, "at once"},
		{"a wide key", []string{"actions=set_field:172.30.0.2->tun_dst,set_field:0x1000000->tun_id,output:100"}, nil, "24 bits"},
		{"a missing port", []string{"actions=output:7"}, nil, "not there"},
	} {
		walk, err := pair(t, c.first, c.second).Send("h1", 1, UDP(alice, bob))
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", c.what, err, c.why)
		}
		if len(walk.Hops) == 0 {
			t.Errorf("%s: no walk beside the error", c.what)
		}
	}
	if _, err := pair(t, nil, nil).Send("h9", 1, UDP(alice, bob)); err == nil {
		t.Error("a host that is not there takes frames")
	}
}

func TestFlowsCount(t *testing.T) {
	b := bridge(t, "table=0,actions=resubmit(,1),resubmit(,1)", "table=1,ip,actions=output:1", "table=1,arp,actions=output:1")
	for range 3 {
		if _, err := b.Run(UDP(alice, bob), 2); err != nil {
			t.Fatal(err)
		}
	}
	var got []uint64
	for f := range b.Flows() {
		got = append(got, f.Packets)
		if f.Bytes != 0 {
			t.Error("the simulator knows no lengths")
		}
	}
	if len(got) != 3 || got[0] != 3 || got[1]+got[2] != 6 {
		t.Errorf("counted %v", got)
	}
}
