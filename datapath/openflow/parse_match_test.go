package openflow_test

import (
	"strings"
	"testing"

	"sluice/datapath/openflow"
)

// refused is a flow that cannot be read, and the end of what is said of it.
type refused struct{ flow, says string }

func expectRefused(t *testing.T, cases []refused) {
	t.Helper()
	for _, c := range cases {
		f, err := openflow.ParseFlow(c.flow)
		switch {
		case err == nil:
			t.Errorf("%s\nreads %s\nwant error %s", c.flow, &f, c.says)
		case !strings.HasSuffix(err.Error(), ": "+c.says):
			t.Errorf("%s\ngot error  %v\nwant       %s", c.flow, err, c.says)
		}
	}
}

// spelling is a flow and the way in which this package writes it.
type spelling struct{ given, written string }

func expectSpelled(t *testing.T, cases []spelling) {
	t.Helper()
	for _, c := range cases {
		f, err := openflow.ParseFlow(c.given)
		if err != nil {
			t.Errorf("%s: %v", c.given, err)
			continue
		}
		if got := f.String(); got != c.written {
			t.Errorf("%s\nis written %s\nwant       %s", c.given, got, c.written)
		}
	}
}

func TestMatchRefused(t *testing.T) {
	expectRefused(t, []refused{
		{"", "no actions="},
		{"xactions=drop", "no actions="},
		{"ip actions", "no actions="},
		{"f(x),actions=drop", "f(...) in a match is not known"},
		{"reg0=(,actions=drop", "reg0: a ( without its )"},
		{"reg0=) actions=drop", "reg0: a ) without its ("},

		// Numbers and their width.
		{"cookie=,actions=drop", `cookie: "" is no number`},
		{"cookie=0x,actions=drop", `cookie: "0x" is no number`},
		{"cookie=-1,actions=drop", `cookie: "-1" is no number`},
		{"cookie=0x10000000000000000,actions=drop", "cookie: 0x10000000000000000 has more than 64 bits"},
		{"cookie=18446744073709551616,actions=drop", `cookie: "18446744073709551616" is no number`},
		{"ct_label=0xg1234567890abcdef,actions=drop", `ct_label: "0xg1234567890abcdef" is no number`},
		{"ct_label=0x1g234567890abcdef,actions=drop", `ct_label: "0x1g234567890abcdef" is no number`},
		{"ct_label=0x123456789012345678901234567890123,actions=drop", `ct_label: "0x123456789012345678901234567890123" is no number`},
		{"table=256,actions=drop", "table: 256 has more than 8 bits"},
		{"priority=x,actions=drop", `priority: "x" is no number`},
		{"idle_timeout=65536,actions=drop", "idle_timeout: 65536 has more than 16 bits"},
		{"hard_timeout=65536,actions=drop", "hard_timeout: 65536 has more than 16 bits"},
		{"flags=65536,actions=drop", "flags: 65536 has more than 16 bits"},
		{"reg0=0x100000000,actions=drop", "reg0: 0x100000000 has more than 32 bits"},
		{"reg0=1/0x100000000,actions=drop", "reg0: 0x100000000 has more than 32 bits"},
		{"reg0=1/x,actions=drop", `reg0: "x" is no number`},
		{"dl_vlan=x,actions=drop", `dl_vlan: "x" is no number`},
		{"dl_vlan_pcp=8,actions=drop", "dl_vlan_pcp: 8 has more than 3 bits"},

		// Addresses and ports.
		{"dl_src=02-00-00-00-00-01,actions=drop", `eth_src: "02-00-00-00-00-01" is no Ethernet address`},
		{"dl_src=020000000001,actions=drop", `eth_src: "020000000001" is no Ethernet address`},
		{"dl_src=02:00:00:00:00:0g,actions=drop", `eth_src: "02:00:00:00:00:0g" is no Ethernet address`},
		{"dl_src=0200:00:00::00:01,actions=drop", `eth_src: "0200:00:00::00:01" is no Ethernet address` /* six bytes, 17 letters */},
		{"dl_src=02:00:00:00:00:01/x,actions=drop", `eth_src: "x" is no Ethernet address`},
		{"ip,nw_src=fd00::1,actions=drop", `ip_src: "fd00::1" is no IPv4 address`},
		{"ip,nw_src=10.0.0.1/x,actions=drop", `ip_src: "x" is no IPv4 address`},
		{"ipv6,ipv6_src=fe80::1%eth0,actions=drop", `ipv6_src: "fe80::1%eth0" is no IPv6 address`},
		{"ipv6,ipv6_src=fd00::/129,actions=drop", "ipv6_src: a prefix of 129 bits"},
		{"in_port=x,actions=drop", `in_port_oxm: "x" is no port`},
		{"in_port=4294967296,actions=drop", `in_port_oxm: "4294967296" is no port`},

		// Words and names.
		{"=5,actions=drop", "field  is not known"},
		{"tcp7,actions=drop", `word "tcp7" is not known`},
		{"tun_metadata0=1,actions=drop", "field tun_metadata0 depends on the bridge's tunnel option table"},
		{"ct_state=+,actions=drop", `ct_state: flag "" is not known`},
		{"ct_state=trk|,actions=drop", `ct_state: flag "" is not known`},
		{"ct_state=trk|+est,actions=drop", `ct_state: flag "+est" is not known`},
		{"tcp,tcp_flags=+syn-akk,actions=drop", `tcp_flags: flag "akk" is not known`},
		{"tun_flags=+oat,actions=drop", `tun_flags: flag "oat" is not known`},
		{"ct_state=,actions=drop", `ct_state: flag "" is not known`},
		{"ct_state=256,actions=drop", "ct_state: 256 has more than 8 bits"},
		{"ip,ip_frag=maybe,actions=drop", `ip_frag: "maybe" is no number`},

		// What stands twice, or needs another.
		{"reg0=1,reg0=2,actions=drop", "field reg0 stands twice with different values"},
		{"tcp,udp,actions=drop", "field nw_proto stands twice with different values"},
		{"dl_vlan=1,dl_vlan=2,actions=drop", "field vlan_vid stands twice with different values"},
		{"vlan_tci=1/0x2000,dl_vlan_pcp=1,actions=drop", "vlan_tci stands beside another VLAN field"},
		{"ip,nw_proto=6,nw_proto=17,actions=drop", "field nw_proto stands twice with different values"},
		{"ip,nw_proto=256,actions=drop", "nw_proto: 256 has more than 8 bits"},
		{"arp,nw_proto=1,actions=drop", "nw_proto needs ip or ipv6"},
		{"arp,nw_tos=4,actions=drop", "nw_tos needs a protocol that has it"},
		{"nw_dst=10.0.0.1,actions=drop", "nw_dst needs a protocol that has it"},
		{"ipv6,nw_dst=fd00::1,actions=drop", "nw_dst needs a protocol that has it"},
		{"tcp,icmp_type=8,actions=drop", "icmp_type needs a protocol that has it"},
		{"tcp6,icmp_code=8,actions=drop", "icmp_code needs a protocol that has it"},
		{"icmp,tp_src=8,actions=drop", "tp_src needs a protocol that has it"},
		{"ip,nw_tos=256,actions=drop", `nw_tos: "256" is no multiple of 4 below 256`},
		{"ip,nw_tos=2,actions=drop", `nw_tos: "2" is no multiple of 4 below 256`},
		{"tcp,tp_dst=65536,actions=drop", "tcp_dst: 65536 has more than 16 bits"},

		// Bytes of fields that are none here.
		{"oxm=0xzz,actions=drop", `oxm: "0xzz" are no bytes`},
		{"oxm=,actions=drop", `oxm: "" are no bytes`},
		{"oxm=0x8000fe0100,oxm=0x8000fe0100,actions=drop", `oxm: "0x8000fe0100" are no bytes`},
		{"oxm=0x8000fe02,actions=drop", `oxm: "0x8000fe02" is not an unknown field`},
		{"oxm=0x8000000400000001,actions=drop", `oxm: "0x8000000400000001" is not an unknown field`},
		{"oxm=0x80000004000000018000fe0100,actions=drop", `oxm: "0x80000004000000018000fe0100" is not an unknown field`},
	})
}

func TestMatchSpelled(t *testing.T) {
	expectSpelled(t, []spelling{
		// What is no match.
		{"cookie=18446744073709551615,table=255,priority=65535,actions=drop", "cookie=0xffffffffffffffff, table=255, priority=65535 actions=drop"},
		{"priority=32768,actions=drop", "actions=drop"},
		{"priority=0,actions=drop", "priority=0 actions=drop"},
		{"idle_timeout=65535,hard_timeout=65534,actions=drop", "idle_timeout=65535, hard_timeout=65534, actions=drop"},
		{"send_flow_rem,actions=drop", "send_flow_rem actions=drop"},
		{"check_overlap,actions=drop", "check_overlap actions=drop"},
		{"reset_counts,actions=drop", "reset_counts actions=drop"},
		{"no_packet_counts,actions=drop", "no_packet_counts actions=drop"},
		{"no_byte_counts,actions=drop", "no_byte_counts actions=drop"},
		{"flags=0x21,actions=drop", "send_flow_rem flags=0x20 actions=drop"},
		{"flags=0xffe0,reg0=1,actions=drop", "flags=0xffe0 reg0=0x1 actions=drop"},
		{"flags=2,flags=4,actions=drop", "check_overlap reset_counts actions=drop"},
		{"reg0=1\treg1=2\nreg2=3\rreg3=4,,  reg4=5 action=drop", "reg0=0x1,reg1=0x2,reg2=0x3,reg3=0x4,reg4=0x5 actions=drop"},
		{"reg0=1,reg0=1,actions=drop", "reg0=0x1 actions=drop"},

		// Each protocol's word.
		{"dl_type=0x800,actions=drop", "ip actions=drop"},
		{"eth_type=0x86dd,actions=drop", "ipv6 actions=drop"},
		{"dl_type=0x806,actions=drop", "arp actions=drop"},
		{"dl_type=0x8035,actions=drop", "rarp actions=drop"},
		{"dl_type=0x8847,actions=drop", "mpls actions=drop"},
		{"dl_type=0x8848,actions=drop", "mplsm actions=drop"},
		{"dl_type=0x5,actions=drop", "dl_type=0x0005 actions=drop"},
		{"ip,nw_proto=1,actions=drop", "icmp actions=drop"},
		{"ip,nw_proto=6,actions=drop", "tcp actions=drop"},
		{"ip,ip_proto=17,actions=drop", "udp actions=drop"},
		{"ip,nw_proto=132,actions=drop", "sctp actions=drop"},
		{"ip,nw_proto=58,actions=drop", "ip,nw_proto=58 actions=drop"},
		{"ipv6,nw_proto=58,actions=drop", "icmp6 actions=drop"},
		{"ipv6,nw_proto=6,actions=drop", "tcp6 actions=drop"},
		{"ipv6,nw_proto=17,actions=drop", "udp6 actions=drop"},
		{"ipv6,nw_proto=132,actions=drop", "sctp6 actions=drop"},
		{"ipv6,nw_proto=1,actions=drop", "ipv6,nw_proto=1 actions=drop"},
		{"ip,nw_proto=0,actions=drop", "ip,nw_proto=0 actions=drop"},

		// Names whose meaning hangs on the protocol, before and after its word.
		{"tp_dst=80,nw_proto=6,nw_src=10.0.0.1,nw_tos=252,ip,actions=drop", "tcp,nw_src=10.0.0.1,nw_tos=252,tp_dst=80 actions=drop"},
		{"ip,nw_proto=6,nw_proto=6,tp_src=1,actions=drop", "tcp,tp_src=1 actions=drop"},
		{"udp,tp_src=1,tp_dst=2,actions=drop", "udp,tp_src=1,tp_dst=2 actions=drop"},
		{"udp,udp_src=1,udp_dst=2,actions=drop", "udp,tp_src=1,tp_dst=2 actions=drop"},
		{"sctp6,tp_src=1,tp_dst=2,actions=drop", "sctp6,tp_src=1,tp_dst=2 actions=drop"},
		{"icmp,icmp_type=3,icmp_code=4,actions=drop", "icmp,icmp_type=3,icmp_code=4 actions=drop"},
		{"icmp6,icmp_type=135,icmp_code=0,actions=drop", "icmp6,icmp_type=135,icmp_code=0 actions=drop"},
		{"icmp6,icmpv6_type=135,icmpv6_code=0,actions=drop", "icmp6,icmp_type=135,icmp_code=0 actions=drop"},
		{"ip,nw_dst=10.0.0.1,actions=drop", "ip,nw_dst=10.0.0.1 actions=drop"},
		{"ipv6,nw_tos=4,actions=drop", "ipv6,nw_tos=4 actions=drop"},
		{"tcp_src=80,actions=drop", "OXM_OF_TCP_SRC=80 actions=drop" /* without its protocol, which no switch takes */},
		{"OXM_OF_TCP_SRC=80,actions=drop", "OXM_OF_TCP_SRC=80 actions=drop"},
		{"ip_dscp=3,actions=drop", "ip_dscp=3 actions=drop"},
		{"ip,ip_dscp=3,actions=drop", "ip,nw_tos=12 actions=drop"},

		// Other names of fields.
		{"in_port_oxm=7,tunnel_id=5,eth_src=02:00:00:00:00:01,eth_dst=02:00:00:00:00:02,actions=drop",
			"tun_id=0x5,in_port=7,dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02 actions=drop"},
		{"ip,ip_src=10.0.0.1,ip_dst=10.0.0.2,ip_ecn=1,ip_frag=no,actions=drop",
			"ip,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ecn=1,nw_frag=no actions=drop"},
		{"NXM_NX_REG0=1,actions=drop", "reg0=0x1 actions=drop"},
		{"OXM_OF_METADATA=5,actions=drop", "metadata=0x5 actions=drop"},
		{"ct_tp_src=0x50/0xfff0,actions=drop", "ct_tp_src=0x50/0xfff0 actions=drop"},

		// Ports.
		{"in_port=unset,actions=drop", "in_port=UNSET actions=drop"},
		{"in_port=ANY,actions=drop", "in_port=ANY actions=drop"},
		{"in_port=4294967286,actions=drop", "in_port=4294967286 actions=drop"},
		{"in_port=4294967287,actions=drop", "in_port=UNSET actions=drop"},

		// Values and masks.
		{"ip,nw_src=10.1.2.3/0,actions=drop", "ip actions=drop"},
		{"ip,nw_src=10.1.2.3/32,actions=drop", "ip,nw_src=10.1.2.3 actions=drop"},
		{"ip,nw_src=10.1.2.3/255.255.0.0,actions=drop", "ip,nw_src=10.1.0.0/16 actions=drop"},
		{"ip,nw_src=10.1.2.3/255.0.255.0,actions=drop", "ip,nw_src=10.0.2.0/255.0.255.0 actions=drop"},
		{"ipv6,ipv6_src=fd00::1/128,actions=drop", "ipv6,ipv6_src=fd00::1 actions=drop"},
		{"ipv6,ipv6_src=fd00:1:2:3::1/64,actions=drop", "ipv6,ipv6_src=fd00:1:2:3::/64 actions=drop"},
		{"reg0=0x1234/0xff,actions=drop", "reg0=0x34/0xff actions=drop"},
		{"reg0=5/0,actions=drop", "actions=drop"},
		{"in_port=1/4294967295,actions=drop", "in_port=1 actions=drop"},
		{"ct_label=0x10000000000000000,actions=drop", "ct_label=0x10000000000000000 actions=drop"},
		{"ct_label=0xffffffffffffffffffffffffffffffff,actions=drop", "ct_label=0xffffffffffffffffffffffffffffffff actions=drop"},
		{"ct_label=0/0xff,actions=drop", "ct_label=0/0xff actions=drop"},
		{"ipv6,ipv6_label=0x5,actions=drop", "ipv6,ipv6_label=0x00005 actions=drop"},
		{"ipv6,ipv6_label=0x5/0xf,actions=drop", "ipv6,ipv6_label=0x00005/0x0000f actions=drop"},

		// Flags.
		{"ct_state=0x21/0x23,actions=drop", "ct_state=+new-est+trk actions=drop"},
		{"ct_state=33,actions=drop", "ct_state=new|trk actions=drop"},
		{"ct_state=-new,actions=drop", "ct_state=-new actions=drop"},
		{"ct_state=0,actions=drop", "ct_state=0 actions=drop"},
		{"tcp,tcp_flags=9,actions=drop", "tcp,tcp_flags=fin|psh actions=drop"},
		{"tcp,tcp_flags=+[200]-[400]+[800],actions=drop", "tcp,tcp_flags=+[200]-[400]+[800] actions=drop"},
		{"tun_flags=oam,actions=drop", "tun_flags=+oam actions=drop"},
		{"tun_flags=0,actions=drop", "tun_flags=-oam actions=drop"},
		{"ip,ip_frag=no,actions=drop", "ip,nw_frag=no actions=drop"},
		{"ip,ip_frag=yes,actions=drop", "ip,nw_frag=yes actions=drop"},
		{"ip,ip_frag=first,actions=drop", "ip,nw_frag=first actions=drop"},
		{"ip,nw_frag=later,actions=drop", "ip,nw_frag=later actions=drop"},
		{"ip,nw_frag=not_later,actions=drop", "ip,nw_frag=not_later actions=drop"},
		{"ip,ip_frag=2/3,actions=drop", "ip,nw_frag=2/3 actions=drop"},

		// VLAN tags.
		{"dl_vlan=0,actions=drop", "dl_vlan=0 actions=drop"},
		{"dl_vlan=4095,dl_vlan_pcp=7,actions=drop", "dl_vlan=4095,dl_vlan_pcp=7 actions=drop"},
		{"vlan_vid=0x1000/0x1000,vlan_pcp=3,actions=drop", "dl_vlan_pcp=3 actions=drop"},
		{"vlan_vid=0x1000/0x1000,actions=drop", "vlan_tci=0x1000/0x1000 actions=drop"},
		{"vlan_vid=0x1005/0x100f,vlan_pcp=3,actions=drop", "vlan_tci=0x7005/0xf00f actions=drop"},
		{"vlan_vid=5,actions=drop", "vlan_tci=0x0005/0x1fff actions=drop"},
		{"vlan_tci=0xffff,actions=drop", "dl_vlan=4095,dl_vlan_pcp=7 actions=drop"},
		{"vlan_tci=0x2000/0x6000,actions=drop", "vlan_tci=0x2000/0x6000 actions=drop"},
		{"vlan_tci=0xe000/0xe000,actions=drop", "vlan_tci=0xe000/0xe000 actions=drop"}, // not dl_vlan_pcp=7, which says that there is a tag

		// What this package does not know.
		{"oxm=0x8000fe0100,reg0=1,actions=drop", "reg0=0x1,oxm=0x8000fe0100 actions=drop"},
		{"oxm=8000fe0100,actions=drop", "oxm=0x8000fe0100 actions=drop"},
		{"recirc_id=7,dp_hash=0x70/0xf0,tun_gbp_flags=0x40/0xf0,actions=drop" /* Open vSwitch refuses them, or prints no mask */, "recirc_id=7,dp_hash=0x70/0xf0,tun_gbp_flags=0x40/0xf0 actions=drop"},
	})
}
