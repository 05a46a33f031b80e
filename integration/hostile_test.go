package integration

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/flows"
	"sluice/flows/verify"
	"sluice/integration/lab"
	"sluice/store"
)

// owns is a container as hostile flows on its host speak of it: its port, and numbers of its tenant and network.
type owns struct {
	side
	tenant, network uint32
}

func ownsOf(t *testing.T, c lab.Container) owns {
	t.Helper()
	s := sideOf(t, c)
	v, err := strconv.ParseUint(s.metadata, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	tenant, network := flows.MetadataOf(v)
	return owns{s, tenant, network}
}

// all is the metadata of all frames of the tenant, as a match; whose is the same as a value.
func (o owns) all() string   { return fmt.Sprintf("metadata=%s/0xffffffff00000000", o.whose()) }
func (o owns) whose() string { return fmt.Sprintf("%#x", uint64(o.tenant)<<32) }
func (o owns) of(kind flows.Kind, object uint32) string {
	return fmt.Sprintf("cookie=%#x", uint64(kind)<<56|uint64(o.tenant)<<32|uint64(object))
}
func (o owns) transit() string { return store.DefaultTransit.Address(o.tenant).String() }
func (o owns) desk() string    { return store.Desk(o.tenant, store.Resolver4).String() }

// harm is a hostile flow without its priority, and what it would bring about.
type harm struct{ what, flow string }

// entering are flows by which frames come in as somebody else's, or with what they may not say.
func entering(a, b, c owns, port map[string]string) []harm {
	own := "cookie=" + a.cookie
	return []harm{
		{"the kernel's answers to bob for alice", a.of(flows.KindTenant, 0) + ",table=0,ip,in_port=" + port["gw"] + ",nw_dst=" + b.transit() + " actions=load:3->NXM_NX_REG0[],write_metadata:" + a.whose() + ",goto_table:50"},
		{"the resolver's answers to bob for alice", a.of(flows.KindResolver, 0) + ",table=0,ip,in_port=" + port["dns"] + ",nw_src=" + b.desk() + " actions=load:5->NXM_NX_REG0[],set_field:02:00:5e:00:01:01->eth_src,set_field:169.254.53.53->ip_src,write_metadata:" + a.whose() + ",goto_table:60"},
		{"a container as the resolver", c.of(flows.KindResolver, 0) + ",table=0,ip,in_port=" + a.ofport + " actions=load:5->NXM_NX_REG0[],set_field:02:00:5e:00:01:01->eth_src,write_metadata:" + c.whose() + ",goto_table:60"},
		{"a container as the kernel", c.of(flows.KindTenant, 0) + ",table=0,ip,in_port=" + a.ofport + " actions=load:3->NXM_NX_REG0[],write_metadata:" + c.whose() + ",goto_table:50"},
		{"what the kernel sends with a tag", a.of(flows.KindTenant, 0) + ",table=0,ip,in_port=" + port["gw"] + ",vlan_tci=0x1000/0x1000,nw_dst=" + a.transit() + " actions=load:3->NXM_NX_REG0[],write_metadata:" + a.whose() + ",goto_table:50"},
		{"a stranger's tunnel", "table=0,in_port=" + port["tun"] + ",tun_src=172.30.0.99 actions=load:2->NXM_NX_REG0[],goto_table:5"},
		{"alice's key for carol", c.of(flows.KindNetwork, c.network) + fmt.Sprintf(",table=5,tun_id=%#x actions=write_metadata:%s,goto_table:40", a.network, c.metadata)},
		{"any source", own + ",table=10,ip,reg1=" + a.register + " actions=goto_table:30"},
		{"another's ARP", own + ",table=10,arp,reg1=" + a.register + ",dl_src=" + a.mac + " actions=goto_table:30"},
		{"a DHCP server", own + ",table=10,udp,reg1=" + a.register + ",dl_src=" + a.mac + ",nw_src=" + a.ip + ",tp_src=67 actions=goto_table:30"},
		{"a router", own + ",table=10,icmp6,reg1=" + a.register + ",dl_src=" + a.mac + ",icmp_type=134 actions=goto_table:30"},
		{"a tag", own + ",table=10,reg1=" + a.register + ",vlan_tci=0x1000/0x1000,dl_src=" + a.mac + " actions=goto_table:30"},
		{"another's neighbour advertisement", own + ",table=12,icmp6,reg1=" + a.register + ",icmp_type=136,icmp_code=0 actions=goto_table:30"},
	}
}

// routing are flows by which frames cross, or leave by what is not theirs.
func routing(a, b, c owns) []harm {
	cross := func(from, to owns, match string) string {
		return from.of(flows.KindPeering, to.tenant) + ",table=40,ip," + match + " actions=load:2->NXM_NX_REG4[],load:" + fmt.Sprintf("%#x", from.tenant) +
			"->NXM_NX_REG5[],write_metadata:" + to.metadata + ",goto_table:46"
	}
	asks := func(rest, desk string) string {
		return a.of(flows.KindResolver, 0) + ",table=40," + rest + ",reg0=1," + a.all() + ",dl_dst=02:00:5e:00:01:01,nw_dst=169.254.53.53 actions=set_field:02:00:5e:00:01:01->eth_src," +
			"set_field:02:00:5e:00:01:05->eth_dst,set_field:" + desk + "->ip_dst,load:0xfffffffe->NXM_NX_REG2[],goto_table:90"
	}
	out := func(o owns, rest string) string {
		return o.of(flows.KindTenant, 0) + ",table=40,ip," + o.all() + "," + rest + " actions=goto_table:50"
	}
	return []harm{
		{"metadata of carol's", "cookie=" + a.cookie + ",table=30,reg1=" + a.register + " actions=write_metadata:" + c.metadata + ",goto_table:40"},
		{"a peering that nobody agreed on", cross(a, c, "reg0=1,metadata="+a.metadata)},
		{"a peering from any source", cross(a, b, "reg0=1,metadata="+a.metadata+",nw_dst=10.72.0.0/24")},
		{"a peering for what comes by tunnel", cross(a, b, "reg0=2,metadata="+a.metadata+",nw_src=10.71.0.0/24,nw_dst=10.72.0.0/24")},
		{"a peering without its sender", strings.Replace(cross(a, b, "reg0=1,metadata="+a.metadata+",nw_src=10.71.0.0/24,nw_dst=10.72.0.0/24"), fmt.Sprintf("load:%#x->NXM_NX_REG5[],", a.tenant), "", 1)},
		{"egress to the transit range", out(a, "dl_dst=02:00:5e:00:01:01,nw_dst="+b.transit())},
		{"egress to a metadata server", out(a, "dl_dst=02:00:5e:00:01:01,nw_dst=169.254.169.254")},
		{"egress by another's gateway host", out(b, "dl_dst=02:00:5e:00:01:01")},
		{"egress of what is for a container", out(a, "dl_dst="+a.mac+",nw_dst="+a.ip)},
		{"what a host asks that is no gateway host", a.of(flows.KindTenant, 0) + ",table=40,ip,reg0=2,tun_src=172.30.0.3," + a.all() + ",dl_dst=02:00:5e:00:01:02 actions=load:4->NXM_NX_REG0[],goto_table:50"},
		{"what a host sends back that was not asked", a.of(flows.KindTenant, 0) + ",table=40,ip,reg0=2,tun_src=172.30.0.3," + a.all() + ",dl_dst=02:00:5e:00:01:03 actions=goto_table:54"},
		{"a question at another's desk", asks("udp,tp_dst=53", b.desk())},
		{"what is no question", asks("tcp,tp_dst=22", a.desk())},
		{"another's MAC on what is routed", "cookie=" + a.cookie + ",table=46,ip," + a.all() + " actions=dec_ttl,set_field:" + b.mac + "->eth_src,goto_table:60"},
		{"routed to carol", "cookie=" + a.cookie + ",table=60,ip," + a.all() + ",nw_dst=" + c.ip + " actions=load:" + c.metadata + "->OXM_OF_METADATA[],set_field:" + c.mac + "->eth_dst,goto_table:80"},
	}
}

// leaving are flows of the gateway's tables, and of those by which frames leave.
func leaving(a, b, c owns, port map[string]string) []harm {
	mine, own := a.of(flows.KindTenant, 0), "cookie="+a.cookie
	commit := func(zone uint16, source string) string {
		return fmt.Sprintf("ct(commit,table=56,zone=%d,nat(src=%s),exec(set_field:%#x->ct_mark))", zone, source, a.tenant)
	}
	return []harm{
		{"another's connections", mine + fmt.Sprintf(",table=50,ip,%s actions=ct(table=51,zone=%d,nat)", a.all(), store.NATZone(b.tenant))},
		{"connections without the mark", mine + ",table=51,ip,ct_state=+est+trk," + a.all() + " actions=goto_table:52"},
		{"from outside without a connection", mine + ",table=52,ip,reg0=3," + a.all() + " actions=set_field:02:00:5e:00:01:04->eth_src,goto_table:60"},
		{"a connection to etcd", mine + ",table=54,ip," + a.all() + ",nw_dst=172.30.0.100/30 actions=" + commit(store.NATZone(a.tenant), a.transit())},
		{"a connection as bob", mine + ",table=54,ip," + a.all() + " actions=" + commit(store.NATZone(a.tenant), b.transit())},
		{"a connection in bob's zone", mine + ",table=54,ip," + a.all() + " actions=" + commit(store.NATZone(b.tenant), a.transit())},
		{"out without translation", mine + ",table=56,ip," + a.all() + " actions=set_field:02:00:5e:00:01:01->eth_src,set_field:02:00:5e:00:01:04->eth_dst,load:0xffffffff->NXM_NX_REG2[],goto_table:90"},
		{"forwarded to carol", own + ",table=80,metadata=" + a.metadata + " actions=load:" + c.register + "->NXM_NX_REG2[],goto_table:90"},
		{"forwarded by tunnel to a stranger", own + ",table=80,metadata=" + a.metadata + " actions=set_field:172.30.0.99->tun_dst,goto_table:90"},
		{"forwarded from any network", own + ",table=80," + a.all() + " actions=load:" + a.register + "->NXM_NX_REG2[],goto_table:90"},
		{"another port once it was counted", mine + ",table=92," + a.all() + " actions=load:" + c.register + "->NXM_NX_REG2[],goto_table:100"},
		{"delivered to carol", own + ",table=100,reg2=" + a.register + " actions=output:" + c.ofport},
		{"delivered to the host", own + ",table=100,reg2=" + a.register + " actions=LOCAL"},
		{"delivered from another address", own + ",table=100,ip,reg2=" + a.register + " actions=set_field:10.71.0.200->ip_src,output:" + a.ofport},
		{"into a tunnel under carol's key", a.of(flows.KindNetwork, a.network) + fmt.Sprintf(",table=110,metadata=%s actions=set_field:%#x->tun_id,output:%s", a.metadata, c.network, port["tun"])},
		{"from one tunnel into the next", a.of(flows.KindNetwork, a.network) + fmt.Sprintf(",table=110,reg0=2,metadata=%s actions=set_field:%#x->tun_id,output:%s", a.metadata, a.network, port["tun"])},
		{"what was refused", mine + ",table=250," + a.all() + " actions=output:" + c.ofport},
	}
}

// Hostile flows in every table, about peers, the resolver, gateways and their moves, are named by the flow itself; of most a packet shows what
// they do. The controller finds them by itself too.
func TestVerifyNamesHostileFlowsOfEveryTable(t *testing.T) {
	st := needLab(t)
	endsProved(t)
	tenant(t, "alice", "--subnet", "10.71.0.0/24", "--segmentation", "tunnel", "--gateway", "h1")
	tenant(t, "bob", "--subnet", "10.72.0.0/24", "--segmentation", "vlan", "--gateway", "h2")
	tenant(t, "carol", "--subnet", "10.73.0.0/24", "--segmentation", "tunnel", "--gateway", "h1")
	a, b, c := container(t, "h1", "alice", "hostile-a"), container(t, "h1", "bob", "hostile-b"), container(t, "h1", "carol", "hostile-c")
	container(t, "h2", "bob", "hostile-b2")
	container(t, "h3", "alice", "hostile-a3")
	sluice(t, "peer", "alice", "bob")
	wantProved(t)
	port := map[string]string{}
	for name, iface := range map[string]string{"tun": store.TunnelInterface, "gw": store.GatewayInterface, "dns": store.ResolverInterface} {
		text, err := st.Hosts[0].Switch().VSCtl(t.Context(), "get", "Interface", iface, "ofport")
		if err != nil {
			t.Fatal(err)
		}
		port[name] = strings.TrimSpace(text)
	}
	alice, bob, carol := ownsOf(t, a), ownsOf(t, b), ownsOf(t, c)
	refuted, tried := 0, 0
	for _, list := range [][]harm{entering(alice, bob, carol, port), routing(alice, bob, carol), leaving(alice, bob, carol, port)} {
		for _, h := range list {
			tried++
			if named(t, st.Hosts[0], h) == verify.False {
				refuted++
			}
		}
	}
	t.Logf("a packet shows what %d of %d flows do", refuted, tried)
	if refuted < tried/2 {
		t.Errorf("a packet was found for %d of %d flows", refuted, tried)
	}
}

// named installs a hostile flow, above all others, and asks that the proof names it. Where an audit took the flow away before
// the proof read it, it is installed again.
func named(t *testing.T, host lab.Host, h harm) verify.Verdict {
	t.Helper()
	flow := strings.Replace(h.flow, "table=", "priority=60000,table=", 1)
	_, match, _ := strings.Cut(flow, "priority=")
	match, _, _ = strings.Cut("priority="+match, " actions=")
	for try := 1; ; try++ {
		if _, err := host.Switch().OFCtl(t.Context(), "add-flow", store.BridgeName, flow); err != nil {
			t.Errorf("%s: %v", h.what, err)
			return ""
		}
		stdout, stderr, status := command(t, "verify", "--host", host.Name, "-o", "json")
		mended := !strings.Contains(dumpText(t, host, store.BridgeName), "priority=60000")
		_, _ = host.Switch().OFCtl(t.Context(), "del-flows", store.BridgeName, match, "--strict")
		var got client.Verification
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Errorf("%s: status %d, %v\n%s%s\n%s", h.what, status, err, stdout, stderr, flow)
			return ""
		}
		for _, f := range got.Hosts[0].Findings {
			if strings.Contains(f.Flow, "priority=60000") && status == 1 {
				t.Logf("%s, %s: %s: %s", f.Verdict, h.what, f.Rule, f.Text)
				return f.Verdict
			}
		}
		if !mended || try == 5 {
			t.Errorf("%s: status %d: the flow is not named: %s\n%s", h.what, status, flow, stdout)
			return ""
		}
	}
}
