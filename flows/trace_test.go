package flows

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// Open vSwitch does with single frames what the tables are meant to say: its own trace of
// the golden tables of h1 ends in these datapath actions, the last of them the port that
// the frame leaves by.
func TestOVSTrace(t *testing.T) {
	o := newTracer(t)
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
		{"egress enters the tenant's zone", "two-tenants",
			"in_port=1,tcp,dl_src=02:00:00:00:00:11,dl_dst=02:00:5e:00:01:01,nw_src=10.0.0.11,nw_dst=203.0.113.1,nw_ttl=64,tp_src=1000,tp_dst=80",
			"ct(commit,zone=14,mark=0x9/0xffffffff,nat(src=100.64.0.7)),recirc"},
		{"and leaves to the kernel", "two-tenants",
			"in_port=1,tcp,dl_src=02:00:00:00:00:11,dl_dst=02:00:5e:00:01:01,nw_src=10.0.0.11,nw_dst=203.0.113.1,nw_ttl=64,tp_src=1000,tp_dst=80",
			"set(eth(src=02:00:5e:00:01:01,dst=02:00:5e:00:01:04)),200"},
		{"the kernel's question for a transit address", "two-tenants",
			"in_port=200,arp,dl_src=02:00:5e:00:01:04,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=100.127.255.254,arp_tpa=100.64.0.7,arp_sha=02:00:5e:00:01:04",
			",200"},
		{"who announces its own address is heard in its network", "two-tenants",
			"in_port=1,arp,dl_src=02:00:00:00:00:11,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=1,arp_spa=10.0.0.11,arp_tpa=10.0.0.11,arp_sha=02:00:00:00:00:11",
			"meter("},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			trace := o.trace(t, tt.file, tt.frame)
			for line := range strings.Lines(trace) {
				actions, ok := strings.CutPrefix(strings.TrimSpace(line), "Datapath actions: ")
				if ok && strings.Contains(actions, tt.want) {
					return
				}
			}
			t.Errorf("no datapath actions %s in\n%s", tt.want, trace)
		})
	}
}

// Refused frames meet the drop table with their reason: that they go nowhere in a switch
// without tunnels would say nothing.
func TestOVSTraceRefuses(t *testing.T) {
	o := newTracer(t)
	tests := []struct {
		about, file, frame string
		want               reason
	}{
		{"a spoofed address", "two-tenants",
			"in_port=1,icmp,dl_src=02:00:00:00:00:11,dl_dst=02:00:00:00:00:12,nw_src=10.0.0.12,nw_dst=10.0.0.12,nw_ttl=64,icmp_type=8",
			reasonSpoofed},
		{"a DHCP offer", "two-tenants",
			"in_port=1,udp,dl_src=02:00:00:00:00:11,dl_dst=ff:ff:ff:ff:ff:ff,nw_src=10.0.0.11,nw_dst=255.255.255.255,nw_ttl=64,udp_src=67,udp_dst=68",
			reasonForbidden},
		{"a DHCP offer in fragments", "two-tenants",
			"in_port=1,udp,dl_src=02:00:00:00:00:11,dl_dst=ff:ff:ff:ff:ff:ff,nw_src=10.0.0.11,nw_dst=10.0.0.255,nw_ttl=64,nw_frag=first",
			reasonForbidden},
		{"a DHCP offer in fragments to one MAC", "two-tenants",
			"in_port=1,udp,dl_src=02:00:00:00:00:11,dl_dst=02:00:00:00:00:12,nw_src=10.0.0.11,nw_dst=255.255.255.255,nw_ttl=64,nw_frag=first",
			reasonForbidden},
		{"a DHCPv6 reply in fragments", "routed-ipv6",
			"in_port=1,udp6,dl_src=02:00:00:00:01:01,dl_dst=02:00:00:00:01:02,ipv6_src=fd01::11,ipv6_dst=fe80::ff:fe00:102,nw_ttl=64,nw_frag=first",
			reasonForbidden},
		{"a router advertisement in fragments", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=02:00:00:00:01:02,ipv6_src=fe80::ff:fe00:101,ipv6_dst=fd01::12,nw_ttl=255,nw_frag=later",
			reasonForbidden},
		{"a DHCP offer from another port", "two-tenants",
			"in_port=1,udp,dl_src=02:00:00:00:00:11,dl_dst=02:00:00:00:00:12,nw_src=10.0.0.11,nw_dst=10.0.0.12,nw_ttl=64,udp_src=6767,udp_dst=68",
			reasonForbidden},
		{"a DHCPv6 reply from another port", "routed-ipv6",
			"in_port=1,udp6,dl_src=02:00:00:00:01:01,dl_dst=02:00:00:00:01:02,ipv6_src=fd01::11,ipv6_dst=fd01::12,nw_ttl=64,udp_src=5470,udp_dst=546",
			reasonForbidden},
		{"neighbour discovery in fragments from a routed address", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=02:00:00:00:01:02,ipv6_src=fd01::11,ipv6_dst=fd01::12,nw_ttl=255,nw_frag=first",
			reasonForbidden},
		{"IPv6 whose headers end before its protocol", "routed-ipv6",
			"in_port=1,ipv6,dl_src=02:00:00:00:01:01,dl_dst=02:00:00:00:01:02,ipv6_src=fd01::11,ipv6_dst=fd01::12,nw_ttl=255,nw_proto=0",
			reasonForbidden},
		{"a priority tag", "two-tenants",
			"in_port=1,ip,dl_vlan=0,dl_src=02:00:00:00:00:11,dl_dst=02:00:00:00:00:12,nw_src=10.0.0.11,nw_dst=10.0.0.12,nw_ttl=64",
			reasonForbidden},
		{"a router's message", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=33:33:00:00:00:01,ipv6_src=fe80::ff:fe00:101,ipv6_dst=ff02::1,nw_ttl=255,icmpv6_type=134",
			reasonForbidden},
		{"an advertisement of another's address", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=02:00:00:00:01:02,ipv6_src=fd01::11,ipv6_dst=fd01::12,nw_ttl=255,icmpv6_type=136,icmpv6_code=0,nd_target=fd01::1,nd_tll=02:00:00:00:01:01",
			reasonSpoofed},
		{"an advertisement of one's own address at another MAC", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=02:00:00:00:01:02,ipv6_src=fd01::11,ipv6_dst=fd01::12,nw_ttl=255,icmpv6_type=136,icmpv6_code=0,nd_target=fd01::11,nd_tll=02:00:00:00:01:02",
			reasonSpoofed},
		{"a solicitation from another MAC", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=33:33:ff:00:00:12,ipv6_src=fd01::11,ipv6_dst=ff02::1:ff00:12,nw_ttl=255,icmpv6_type=135,icmpv6_code=0,nd_target=fd01::12,nd_sll=02:00:00:00:01:02",
			reasonSpoofed},
		{"a search for a duplicate of a foreign address", "routed-ipv6",
			"in_port=1,icmp6,dl_src=02:00:00:00:01:01,dl_dst=33:33:ff:00:00:12,ipv6_src=::,ipv6_dst=ff02::1:ff00:12,nw_ttl=255,icmpv6_type=135,icmpv6_code=0,nd_target=fd01::12",
			reasonUnanswered},
		{"gratuitous ARP for the router", "two-tenants",
			"in_port=1,arp,dl_src=02:00:00:00:00:11,dl_dst=ff:ff:ff:ff:ff:ff,arp_op=2,arp_spa=10.0.0.1,arp_tpa=10.0.0.1,arp_sha=02:00:00:00:00:11",
			reasonSpoofed},
		{"the kernel's frame to no transit address", "two-tenants",
			"in_port=200,ip,dl_src=02:00:5e:00:01:04,dl_dst=02:00:00:00:00:11,nw_src=203.0.113.1,nw_dst=10.0.0.11,nw_ttl=64",
			reasonNoConnection},
	}
	for _, tt := range tests {
		t.Run(tt.about, func(t *testing.T) {
			trace := o.trace(t, tt.file, tt.frame)
			met := regexp.MustCompile(fmt.Sprintf(`\n *%d\. reg3=%#x\b`, tableDrop, uint64(tt.want)))
			if !met.MatchString(trace) || !strings.HasSuffix(strings.TrimSpace(trace), "Datapath actions: drop") {
				t.Errorf("it is not refused as %s:\n%s", tt.want, trace)
			}
		})
	}
}

// tracer is an Open vSwitch that holds the tables of one golden file's h1.
type tracer struct {
	ovs
	loaded string
}

func newTracer(t *testing.T) *tracer { return &tracer{ovs: startOVS(t)} }

// trace is what Open vSwitch says of a frame in the tables of a file.
func (o *tracer) trace(t *testing.T, file, frame string) string {
	t.Helper()
	o.load(t, file)
	return string(o.Trace("br0", frame).RawOutput)
}

// load gives the switch the tables of a file, unless it has them.
func (o *tracer) load(t *testing.T, file string) {
	t.Helper()
	if o.loaded == file {
		return
	}
	d, _ := readDocument(t, "testdata/"+file+".golden")
	flows, _ := compileHost(d.State, d.switches()[0])
	var text []string
	for _, f := range flows {
		text = append(text, f.String())
	}
	o.replace(t, text)
	o.loaded = file
}
