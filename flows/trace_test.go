package flows

import (
	"strings"
	"testing"
)

// Open vSwitch does with single frames what the tables are meant to say: its own trace of
// the golden tables of h1 ends in these datapath actions, the last of them the port that
// the frame leaves by.
func TestOVSTrace(t *testing.T) {
	o := startOVS(t)
	tests := []struct {
		about, file, frame, want string
	}{
		{"ARP for a port elsewhere is answered", "two-tenants",
			"in_port=1,arp,dl_src=02:00:00:00:00:11,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=10.0.0.11,arp_tpa=10.0.0.12,arp_sha=02:00:00:00:00:11",
			"set(eth(src=02:00:00:00:00:12,dst=02:00:00:00:00:11)),set(arp(sip=10.0.0.12,tip=10.0.0.11,op=2,sha=02:00:00:00:00:12,tha=02:00:00:00:00:11)),1"},
		{"the router answers an echo request", "two-tenants",
			"in_port=1,icmp,dl_src=02:00:00:00:00:11,dl_dst=02:00:5e:00:01:01,nw_src=10.0.0.11,nw_dst=10.0.0.1,nw_ttl=7,icmp_type=8,icmp_code=0",
			"set(eth(src=02:00:5e:00:01:01,dst=02:00:00:00:00:11)),set(ipv4(src=10.0.0.1,dst=10.0.0.11,ttl=64)),set(icmp(type=0,code=0)),1"},
		{"the router answers a neighbour solicitation", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=33:33:ff:00:00:01,ipv6_src=fd01::11,ipv6_dst=ff02::1:ff00:1,nw_ttl=255,icmpv6_type=135,icmpv6_code=0,nd_target=fd01::1,nd_sll=02:00:00:00:01:01",
			"set(eth(src=02:00:5e:00:01:01,dst=02:00:00:00:01:01)),set(ipv6(src=fd01::1,dst=fd01::11)),set(nd_ext(nd_reserved=0xe0000000,nd_options_type=2)),set(nd(tll=02:00:5e:00:01:01)),set(icmpv6(type=136,code=0)),1"},
		{"the router answers an echo request by IPv6", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=02:00:5e:00:01:01,ipv6_src=fd01::11,ipv6_dst=fd01::1,nw_ttl=7,icmpv6_type=128,icmpv6_code=0",
			"set(eth(src=02:00:5e:00:01:01,dst=02:00:00:00:01:01)),set(ipv6(src=fd01::1,dst=fd01::11,hlimit=64)),set(icmpv6(type=129,code=0)),1"},
		{"a neighbour solicitation of a foreign address", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=33:33:ff:00:00:12,ipv6_src=::,ipv6_dst=ff02::1:ff00:12,nw_ttl=255,icmpv6_type=135,icmpv6_code=0,nd_target=fd01::12",
			"drop"},
		{"a spoofed address", "two-tenants",
			"in_port=1,icmp,dl_src=02:00:00:00:00:11,dl_dst=02:00:00:00:00:12,nw_src=10.0.0.12,nw_dst=10.0.0.12,nw_ttl=64,icmp_type=8", "drop"},
		{"a DHCP offer in fragments", "two-tenants",
			"in_port=1,udp,dl_src=02:00:00:00:00:11,dl_dst=ff:ff:ff:ff:ff:ff,nw_src=10.0.0.11,nw_dst=255.255.255.255,nw_ttl=64,nw_frag=first", "drop"},
		{"a DHCPv6 reply in fragments", "routed-ipv6",
			"in_port=1,udp6,dl_src=02:00:00:00:01:01,dl_dst=02:00:00:00:01:02,ipv6_src=fd01::11,ipv6_dst=fe80::ff:fe00:102,nw_ttl=64,nw_frag=first", "drop"},
		{"egress enters the tenant's zone", "two-tenants",
			"in_port=1,tcp,dl_src=02:00:00:00:00:11,dl_dst=02:00:5e:00:01:01,nw_src=10.0.0.11,nw_dst=203.0.113.1,nw_ttl=64,tp_src=1000,tp_dst=80",
			"ct(commit,zone=14,nat(src=100.64.0.7)),recirc"},
		{"and leaves to the kernel", "two-tenants",
			"in_port=1,tcp,dl_src=02:00:00:00:00:11,dl_dst=02:00:5e:00:01:01,nw_src=10.0.0.11,nw_dst=203.0.113.1,nw_ttl=64,tp_src=1000,tp_dst=80",
			"set(eth(src=02:00:5e:00:01:01,dst=02:00:5e:00:01:04)),200"},
		{"the kernel's question for a transit address", "two-tenants",
			"in_port=200,arp,dl_src=02:00:5e:00:01:04,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=100.127.255.254,arp_tpa=100.64.0.7,arp_sha=02:00:5e:00:01:04",
			",200"},
	}
	loaded := ""
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			if loaded != tt.file {
				d, _ := readDocument(t, "testdata/"+tt.file+".golden")
				flows, _ := compileHost(d.state, d.switches[0])
				var text []string
				for _, f := range flows {
					text = append(text, f.String())
				}
				o.replace(t, text)
				loaded = tt.file
			}
			trace := o.run(t, "ovs-appctl", "-t", o.path("vs.ctl"), "ofproto/trace", "br0", tt.frame)
			for line := range strings.Lines(trace) {
				actions, ok := strings.CutPrefix(strings.TrimSpace(line), "Datapath actions: ")
				if ok && (actions == tt.want || tt.want != "drop" && strings.Contains(actions, tt.want)) {
					return
				}
			}
			t.Errorf("no datapath actions %s in\n%s", tt.want, trace)
		})
	}
}
