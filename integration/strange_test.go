package integration

import (
	"fmt"
	"strings"
	"testing"

	"sluice/flows"
	"sluice/flows/verify"
	"sluice/integration/lab"
	"sluice/store"
)

// strange are flows that do what no flow of Sluice does, each with whatever else there is in Open vSwitch.
func strange(a, b, c owns, port map[string]string) []harm {
	own, mine := "cookie="+a.cookie, a.of(flows.KindTenant, 0)
	here := own + ",table=10,reg1=" + a.register + " actions="
	forward := own + ",table=80,metadata=" + a.metadata + " actions="
	commits := func(with string) string {
		return mine + fmt.Sprintf(",table=54,tcp,%s actions=ct(commit,zone=%d,%s,exec(set_field:%#x->ct_mark))", a.all(), store.NATZone(a.tenant), with, a.tenant)
	}
	return []harm{
		{"a group of both", own + ",table=100,reg2=" + a.register + " actions=group:7"},
		{"learns", forward + "learn(table=80,priority=70,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[]),goto_table:90"},
		{"a copy for the controller", own + ",table=40," + a.all() + " actions=controller(max_len=65535,userdata=01.02)"},
		{"back to the first table", forward + "resubmit(,0)"},
		{"back as if it came by another port", here + "resubmit(" + b.ofport + ",0)"},
		{"back with another port in it", here + "load:" + b.ofport + "->NXM_OF_IN_PORT[],resubmit(,0)"},
		{"to where it came from", here + "IN_PORT"},
		{"to a port that a register says", here + "load:" + b.ofport + "->NXM_NX_REG6[],output:NXM_NX_REG6[]"},
		{"by an action set", here + "write_actions(output:" + b.ofport + "),goto_table:30"},
		{"a clone past what counts", forward + "clone(load:" + b.register + "->NXM_NX_REG2[],resubmit(,100))"},
		{"a bundle", here + "bundle(symmetric_l4,0,hrw,ofport,members:" + b.ofport + ")"},
		{"a queue", here + "set_queue:1,output:" + b.ofport},
		{"by the stack", forward + "load:" + b.register + "->NXM_NX_REG6[],push:NXM_NX_REG6[],pop:NXM_NX_REG2[],goto_table:90"},
		{"by a wide register", forward + fmt.Sprintf("load:%s->NXM_NX_XXREG0[32..63],goto_table:90", b.register)},
		{"the tenant's half of metadata", own + ",table=30,metadata=" + a.metadata + fmt.Sprintf(" actions=load:%#x->OXM_OF_METADATA[32..63],goto_table:40", c.tenant)},
		{"metadata that the sender says", own + ",table=60,ip,metadata=" + a.metadata + " actions=move:NXM_OF_IP_SRC[0..7]->OXM_OF_METADATA[32..39],goto_table:80"},
		{"a conntrack zone that a register says", mine + ",table=50,ip," + a.all() + " actions=ct(table=51,zone=NXM_NX_REG6[0..15],nat)"},
		{"a helper of conntrack", commits("table=56,nat(src=" + a.transit() + "),alg=ftp")},
		{"a translated destination", commits("table=56,nat(dst=" + c.ip + ")")},
		{"a connection on the side", commits("nat(src=" + a.transit() + ")")},
		{"a conjunction", mine + ",table=54,conj_id=1,ip," + a.all() + " actions=goto_table:56"},
		{"an old way to tag", a.of(flows.KindNetwork, a.network) + ",table=110,metadata=" + a.metadata + " actions=mod_vlan_vid:5,output:" + port["tun"]},
		{"a tag at the door", own + ",table=100,reg2=" + a.register + " actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:" + a.ofport},
	}
}

// lying are flows by which a switch says or passes what is not so.
func lying(a, c owns) []harm {
	own := "cookie=" + a.cookie
	told := func(match, mac string) string {
		return own + ",table=30,arp,metadata=" + a.metadata + "," + match + ",arp_op=1 actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:" + mac + "->eth_src,goto_table:44"
	}
	return []harm{
		{"ARP for another's address", told("arp_tpa=10.71.0.200", a.mac)},
		{"ARP for the router", told("arp_tpa=10.71.0.1", a.mac)},
		{"ARP with a MAC of nobody", told("arp_tpa="+a.ip, "02:66:00:00:00:66")},
		{"an answer that names another MAC", own + ",table=44,arp,reg1=" + a.register + " actions=set_field:2->arp_op,set_field:02:66:00:00:00:66->arp_sha," +
			"move:NXM_NX_REG1[]->NXM_NX_REG2[],load:0xffff->NXM_OF_IN_PORT[],goto_table:100"},
		{"an address besides its own", own + ",table=10,ip,reg1=" + a.register + ",dl_src=" + a.mac + ",nw_src=" + a.ip + "/31 actions=goto_table:30"},
		{"what comes from a container, as from outside", a.of(flows.KindTenant, 0) + ",table=40,ip,reg0=1," + a.all() + ",dl_dst=02:00:5e:00:01:01 actions=load:3->NXM_NX_REG0[],goto_table:50"},
		{"a mark of gateway hosts, into a tunnel", a.of(flows.KindNetwork, a.network) + ",table=80,metadata=" + a.metadata + ",dl_dst=02:00:5e:00:01:02 actions=set_field:172.30.0.2->tun_dst,goto_table:90"},
		{"what a peer sent, still for the router", a.of(flows.KindTenant, 0) + ",table=60,ip," + a.all() + " actions=goto_table:80"},
		{"broadcasts for carol too", a.of(flows.KindNetwork, a.network) + ",table=80,reg0=1,metadata=" + a.metadata + ",dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=load:" + a.register +
			"->NXM_NX_REG2[],resubmit(,90),load:" + c.register + "->NXM_NX_REG2[],resubmit(,92)"},
		{"a cookie of carol's", "cookie=" + c.cookie + ",table=80,metadata=" + a.metadata + " actions=load:" + a.register + "->NXM_NX_REG2[],goto_table:90"},
		{"no cookie", "table=10,reg1=" + a.register + " actions=goto_table:30"},
	}
}

// harmless are flows that let nothing pass which did not before: narrower ones beside their likes, refusals, and what is never reached.
func harmless(a owns, tunnel string) map[string]string {
	own, mine, net := "cookie="+a.cookie, a.of(flows.KindTenant, 0), a.of(flows.KindNetwork, a.network)
	return map[string]string{
		"a refusal of one container":    own + ",table=10,priority=60000,tcp,reg1=" + a.register + ",tp_dst=25 actions=drop",
		"a refusal of everybody":        "table=0,priority=60000,dl_type=0x88cc actions=drop",
		"a refusal of a range":          "table=40,priority=60000,ip,dl_dst=02:00:5e:00:01:01,nw_dst=198.18.0.0/15 actions=load:7->NXM_NX_REG3[],goto_table:250",
		"admitted by protocol":          own + ",table=10,priority=205,tcp,reg1=" + a.register + ",dl_src=" + a.mac + ",nw_src=" + a.ip + " actions=goto_table:30",
		"admitted for a while":          own + ",table=10,priority=204,hard_timeout=60,udp,reg1=" + a.register + ",dl_src=" + a.mac + ",nw_src=" + a.ip + " actions=goto_table:30",
		"forwarded again, higher":       own + ",table=80,priority=60000,metadata=" + a.metadata + ",dl_dst=" + a.mac + " actions=load:" + a.register + "->NXM_NX_REG2[],goto_table:90",
		"forwarded by set_field":        own + ",table=80,priority=60000,ip,metadata=" + a.metadata + ",dl_dst=" + a.mac + " actions=set_field:" + a.register + "->reg2,goto_table:90",
		"delivered by protocol":         own + ",table=100,priority=60000,ip,reg2=" + a.register + " actions=output:" + a.ofport,
		"an ARP answer that is so":      own + ",table=30,priority=60000,arp,metadata=" + a.metadata + ",arp_tpa=" + a.ip + ",arp_op=1 actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:" + a.mac + "->eth_src,goto_table:44",
		"looked up by protocol":         mine + fmt.Sprintf(",table=50,priority=60000,tcp,%s actions=ct(table=51,zone=%d,nat)", a.all(), store.NATZone(a.tenant)),
		"into the tunnel, ARP apart":    net + ",table=110,priority=150,arp,metadata=" + a.metadata + fmt.Sprintf(" actions=set_field:%#x->tun_id,output:%s", a.network, tunnel),
		"a table that nobody goes to":   "table=200,priority=60000,ip actions=drop",
		"broadcasts that no meter sees": net + ",table=80,priority=60000,reg0=1,metadata=" + a.metadata + ",dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=load:" + a.register + "->NXM_NX_REG2[],resubmit(,90)",
	}
}

// What is not of Sluice's own words is refused, though most of it is no crime elsewhere; what lies is named; and what changes nothing passes.
func TestVerifyNamesStrangeFlows(t *testing.T) {
	st := needLab(t)
	endsProved(t)
	tenant(t, "alice", "--subnet", "10.71.0.0/24", "--segmentation", "tunnel", "--gateway", "h1")
	tenant(t, "bob", "--subnet", "10.71.0.0/24", "--segmentation", "vlan", "--gateway", "h2")
	tenant(t, "carol", "--subnet", "10.73.0.0/24", "--segmentation", "tunnel", "--gateway", "h1")
	a, b, c := container(t, "h1", "alice", "strange-a", "10.71.0.11"), container(t, "h1", "bob", "strange-b"), container(t, "h1", "carol", "strange-c")
	container(t, "h2", "alice", "strange-a2", "10.71.0.200")
	sluice(t, "peer", "alice", "carol")
	wantProved(t)
	h := st.Hosts[0]
	alice, bob, carol := ownsOf(t, a), ownsOf(t, b), ownsOf(t, c)
	for what, flow := range harmless(alice, tunnelPort(t, h)) {
		if _, err := h.Switch().OFCtl(t.Context(), "add-flow", store.BridgeName, flow); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if stdout, stderr, status := command(t, "verify", "--host", h.Name); status != 0 {
			t.Errorf("%s: a false alarm: %s\n%s%s", what, flow, stdout, stderr)
		}
		withdraw(t, h, flow)
	}
	group := fmt.Sprintf("group_id=7,type=all,bucket=output:%s,bucket=output:%s", alice.ofport, bob.ofport)
	if _, err := h.Switch().OFCtl(t.Context(), "add-group", store.BridgeName, group); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, list := range [][]harm{strange(alice, bob, carol, map[string]string{"tun": tunnelPort(t, h)}), lying(alice, carol)} {
		for _, flow := range list {
			if named(t, h, flow) == verify.False {
				shown++
			}
		}
	}
	_, _ = h.Switch().OFCtl(t.Context(), "del-groups", store.BridgeName, "group_id=7")
	if t.Logf("a packet shows what %d flows do", shown); shown < 12 {
		t.Errorf("a packet was found for %d flows", shown)
	}
}

// withdraw takes a flow away again, unless an audit was first.
func withdraw(t *testing.T, h lab.Host, flow string) {
	t.Helper()
	match, _, _ := strings.Cut(flow, " actions=")
	if strings.HasPrefix(match, "cookie=") {
		_, match, _ = strings.Cut(match, ",")
	}
	_, _ = h.Switch().OFCtl(t.Context(), "del-flows", store.BridgeName, strings.Replace(match, "hard_timeout=60,", "", 1), "--strict")
}
