package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// A question that has no answer is refused with what to do, as something that does not exist or as one
// that means nothing.
func TestQuestionsWithoutAnAnswer(t *testing.T) {
	l := newLab(t)
	l.put(store.TenantKey("dave"), &store.Tenant{Number: 12})
	l.network("dave", "default", 12, store.SegmentationTunnel, "fd01::/64")
	l.port("h1", "dave", "default", "six", "fd01::2")
	l.tenant("erin", 40_000, "h2") // no slot has that number
	l.network("erin", "default", 13, store.SegmentationTunnel, "10.0.0.0/24")
	l.port("h1", "erin", "default", "e-1", "10.0.0.2")
	for _, test := range []struct {
		question string
		kind     error
		says     string
	}{
		{"alice/web-3 10.0.0.7", store.ErrNotFound, "port alice/web-3 does not exist (is it web-1 or web-2?): see sluice port list"},
		{"alice/nothing 10.0.0.7", store.ErrNotFound, "port alice/nothing does not exist: see"},
		{"alic/web-1 10.0.0.7", store.ErrNotFound, "port alic/web-1 does not exist (there is no tenant alic; is it alice?)"},
		{"zoe/web-1 10.0.0.7", store.ErrNotFound, "port zoe/web-1 does not exist: see"},
		{"alice/db/web-1 10.0.0.7", store.ErrNotFound, "port alice/db/web-1 does not exist"},
		{"alice/web-1 bob/web-2", store.ErrNotFound, "port bob/web-2 does not exist (is it web-9?)"},
		{"alice/web-2 10.0.0.7", store.ErrInvalid, "port alice/web-2 is in several networks: write it as alice/NETWORK/web-2, with one of db, default"},
		{"alice/web-1 10.0.0.2", store.ErrInvalid, "10.0.0.2 is an own address of port alice/default/web-1"},
		{"alice/db-1 fd00::7", store.ErrInvalid, "port alice/db/db-1 has no address of the family of fd00::7"},
		{"alice/db-1 dave/six", store.ErrInvalid, "ports alice/db/db-1 and dave/default/six have no address of the same family"},
		{"web-1 10.0.0.7", store.ErrInvalid, `from "web-1": write a port as TENANT/PORT`},
		{"alice/a/b/c 10.0.0.7", store.ErrInvalid, "write a port as"},
		{"alice/web-1 Alice/x", store.ErrInvalid, `to "Alice/x": name "Alice" is not a DNS label`},
		{"alice/web-1 fe80::1%eth0", store.ErrInvalid, "without a zone"},
		{"alice/web-1 10.0.0.7 ipx", store.ErrInvalid, `protocol "ipx"`},
		{"alice/web-1 10.0.0.7 0", store.ErrInvalid, `protocol "0"`},
		{"alice/web-1 10.0.0.7 256", store.ErrInvalid, `protocol "256"`},
		{"alice/web-1 10.0.0.7 dport=80", store.ErrInvalid, "only tcp and udp have ports"},
		{"alice/web-1 10.0.0.7 sport=80", store.ErrInvalid, "only tcp and udp have ports"},
		{"alice/web-1 10.0.0.7 state=closed", store.ErrInvalid, `state "closed": it is one of new, established, reply, related, invalid`},
		{"alice/web-1 10.0.0.7 arp state=reply", store.ErrInvalid, "state reply: arp has no connections"},
		{"alice/web-1 10.0.0.7 udp state=invalid", store.ErrInvalid, "state invalid: only a packet of tcp or icmp"},
		{"alice/web-1 8.8.8.8 tcp state=reply", store.ErrInvalid, "state reply: no port has 8.8.8.8"},
		{"outside alice/web-1 arp", store.ErrInvalid, "arp: trace it from a port"},
		{"outside 10.0.0.7", store.ErrInvalid, "to 10.0.0.7: from outside a packet reaches"},
		{"outside 100.64.99.99", store.ErrInvalid, "to 100.64.99.99: from outside"},
		{"outside 2001:db8::1", store.ErrInvalid, "to 2001:db8::1: from outside"},
		{"2001:db8::1 alice/web-1", store.ErrInvalid, "from 2001:db8::1: egress is IPv4 only"},
		{"outside 100.64.0.7 tcp state=reply", store.ErrInvalid, "state reply: name the port that opened the connection instead of 100.64.0.7"},
		{"outside carol/c-1", store.ErrInvalid, "tenant carol has no gateway host"},
		{"outside erin/e-1", store.ErrInvalid, "tenant erin has no transit address on its gateway host h2 yet"},
		{"outside outside", store.ErrInvalid, `to "outside"`},
		{"outside alice/web-3", store.ErrNotFound, "port alice/web-3 does not exist"},
	} {
		_, err := Ask(l.state, all, question(t, test.question))
		if !errors.Is(err, test.kind) || !strings.Contains(fmt.Sprint(err), test.says) {
			t.Errorf("%s: %v, want %q, %v", test.question, err, test.says, test.kind)
		}
		if checked := question(t, test.question).Check(); checked != nil && checked.Error() != err.Error() {
			t.Errorf("%s: checked alone: %v", test.question, checked)
		}
	}
}

// A host with a trunk is one to the simulator, and no other is.
func TestHostsOfTrunks(t *testing.T) {
	l := newLab(t)
	l.put(store.HostKey("h4"), &store.Host{VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.4")}, Trunk: "eth1"})
	for _, h := range hostsOf(l.state) {
		if want := h.Name == "h4"; h.Trunked != want {
			t.Errorf("host %s has a trunk: %v", h.Name, h.Trunked)
		}
	}
}

// An answer that nobody asked for opens no connection, in both families.
func TestSpoiledEchoes(t *testing.T) {
	for _, c := range []struct {
		from, to string
		field    of.Field
		want     uint64
	}{{"10.0.0.2", "10.0.0.7", of.FieldICMPType, 0}, {"fd00::2", "fd00::7", of.FieldICMPv6Type, 129}} {
		from, to := simulate.Endpoint{IP: netip.MustParseAddr(c.from)}, simulate.Endpoint{IP: netip.MustParseAddr(c.to)}
		if p := spoil(simulate.ICMPEcho(from, to, echoID)); p.Uint(c.field) != c.want {
			t.Errorf("from %s: type %d, want %d", c.from, p.Uint(c.field), c.want)
		}
	}
}

// A flow that somebody else wrote decides where it matches, and is shown as no object's.
func TestForeignFlows(t *testing.T) {
	for _, test := range []struct {
		about, host, flow, question string
		verdict                     Verdict
		says                        string
	}{
		{"it lets a packet cross", "h2", "table=80,priority=900,metadata=0x700000007/0xffffffffffffffff,dl_dst=02:00:00:00:00:02,actions=output:5",
			"alice/web-1 alice/default/web-2", Delivered, "delivered to bob/default/web-9 on h2"},
		{"it copies", "h2", "table=80,priority=900,metadata=0x700000007/0xffffffffffffffff,dl_dst=02:00:00:00:00:02,actions=clone(output:5),load:2->NXM_NX_REG2[],goto_table:90",
			"alice/web-1 alice/default/web-2", Delivered, "delivered to bob/default/web-9 on h2; delivered to alice/default/web-2 on h2"},
		{"it sends copies alone", "h2", "table=80,priority=900,metadata=0x700000007/0xffffffffffffffff,dl_dst=02:00:00:00:00:02,actions=clone(output:5)",
			"alice/web-1 alice/default/web-2", Delivered, "delivered to bob/default/web-9 on h2"},
		{"it drops", "h1", "table=0,priority=900,in_port=1,ip,actions=drop",
			"alice/web-1 10.0.0.7", Dropped, "dropped on h1 in table classify: the flow of nobody that is known does no more with it"},
		{"it refuses without a reason", "h1", "table=0,priority=900,in_port=1,ip,actions=goto_table:250",
			"alice/web-1 10.0.0.7", Dropped, "dropped on h1 in table drop: without a reason"},
		{"it leads to a table that is empty", "h1", "table=0,priority=900,in_port=1,ip,actions=goto_table:200",
			"alice/web-1 10.0.0.7", Dropped, "dropped on h1 in table 200: no flow matches"},
		{"it leads to a port that is not there", "h1", "table=0,priority=900,in_port=1,ip,actions=output:77",
			"alice/web-1 10.0.0.7", Lost, "lost on h1: output to port 77, which is not there"},
		{"it leads to no host", "h1", "table=0,priority=900,in_port=1,ip,actions=set_field:172.30.0.77->tun_dst,output:100",
			"alice/web-1 10.0.0.7", Lost, "lost on h1: tunnel to 172.30.0.77, where no other host is"},
		{"it sends back", "h1", "table=0,priority=900,in_port=1,ip,actions=output:1",
			"alice/web-1 10.0.0.7", Dropped, "dropped on h1 in table classify: port 1 is the in_port: not sent"},
		{"it is not modelled", "h1", "table=0,priority=900,in_port=1,ip,actions=NORMAL",
			"alice/web-1 10.0.0.7", Unknown, "not known what happens on h1: table 0: flow cookie=0xbad, priority=900,ip,in_port=1 actions=NORMAL: where NORMAL sends a frame the switch has learned, which is not known here"},
		{"its match is not modelled", "h1", "table=0,priority=900,in_port=1,sctp,tp_dst=7,actions=drop",
			"alice/web-1 10.0.0.7 132", Unknown, "is not simulated"},
		{"it is not met", "h1", "table=0,priority=900,in_port=1,sctp,tp_dst=7,actions=drop",
			"alice/web-1 10.0.0.7 udp", Delivered, "delivered to alice/default/web-2 on h2"},
		{"it is of one priority with another", "h2", "table=80,priority=100,dl_dst=02:00:00:00:00:02,actions=output:5",
			"alice/web-1 10.0.0.7", Unknown, "ambiguous: both"},
		{"it answers falsely", "h1", "table=30,priority=900,arp,actions=drop",
			"alice/web-1 10.0.0.7", Dropped, "so the packet itself is not sent"},
		{"it sends the question to another", "h1", "table=30,priority=900,arp,actions=output:3",
			"alice/web-1 10.0.0.7", Dropped, "delivered to alice/db/db-1 on h1; so the packet itself is not sent"},
		{"it answers with the port of another", "h1", "table=30,priority=900,arp,actions=set_field:2->arp_op,set_field:02:00:00:00:00:99->arp_sha,output:3",
			"alice/web-1 10.0.0.7", Dropped, "so the packet itself is not sent"},
		{"it keeps the answer from the sender", "h2", "table=0,priority=900,in_port=2,tcp,actions=drop",
			"alice/web-1 alice/default/web-2 tcp state=established", Dropped, "the answer: dropped on h2 in table classify"},
		{"it keeps the advertisement from the sender", "h2", "table=0,priority=900,in_port=2,icmp6,actions=drop",
			"alice/web-1 fd00::7", Dropped, "the answer to that question: dropped on h2"},
	} {
		t.Run(test.about, func(t *testing.T) {
			l := newLab(t)
			l.inject(test.host, "cookie=0xbad,"+test.flow)
			a := l.ask(all, question(t, test.question))
			if test.verdict == Delivered && a.Text != test.says {
				t.Errorf("%s, want %s", a.Text, test.says)
			}
			if a.Verdict != test.verdict || !strings.Contains(a.Text, test.says) || a.Complete == (a.Verdict == Unknown) {
				t.Errorf("%s: %s (complete %t), want %s: %s\n%s", a.Verdict, a.Text, a.Complete, test.verdict, test.says, written(a))
			}
			noted := slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "is no object's: somebody else wrote it") })
			if met := strings.Contains(written(a), "unknown 0xbad"); met != noted {
				t.Errorf("met %t, noted %t: %q", met, noted, a.Notes)
			}
		})
	}
}

// Tables that are not known are told where a packet enters them, and are asked for once.
func TestTablesThatAreNotKnown(t *testing.T) {
	l := newLab(t)
	l.away["h2"] = errAway
	a := l.ask(all, question(t, "alice/web-1 10.0.0.255 udp"))
	if a.Verdict != Unknown || a.Complete || a.Text != "not known what happens on h2: its switch has no session with controller c1" {
		t.Errorf("%s: %s, complete %t", a.Verdict, a.Text, a.Complete)
	}
	if last := a.Hops[len(a.Hops)-1]; last.Host != "h2" || last.Problem != a.Text || len(last.Steps) != 0 {
		t.Errorf("the hop is %+v", last)
	}
	l = newLab(t)
	l.away["h1"] = errAway
	a = l.ask(all, question(t, "alice/web-1 10.0.0.7"))
	if a.Verdict != Unknown || !strings.HasPrefix(a.Text, "the question who has 10.0.0.7: not known what happens on h1: its switch") || !strings.HasSuffix(a.Text, "; so the packet itself is not sent") {
		t.Errorf("%s: %s", a.Verdict, a.Text)
	}
	if l.asked["h1"] != 1 || l.asked["h2"] != 0 {
		t.Errorf("tables were asked for %v times", l.asked)
	}
	l = newLab(t)
	l.ask(all, question(t, "alice/web-1 8.8.8.8 tcp state=established"))
	if l.asked["h1"] != 1 || len(l.asked) != 1 {
		t.Errorf("tables were asked for %v times", l.asked)
	}
}

// A port whose interface is not in the switch sends nothing.
func TestPortWithoutAnInterface(t *testing.T) {
	l := newLab(t)
	delete(l.by, "alice/default/web-1")
	a := l.ask(all, question(t, "alice/web-1 10.0.0.7"))
	if a.Verdict != Lost || !strings.Contains(a.Text, "its switch has no interface sl-1, by which the packet would enter: see sluice host show h1") {
		t.Errorf("%s: %s", a.Verdict, a.Text)
	}
}

// A tenant sees its own objects, table names and verdicts, and nothing of others or of flows.
func TestWhatATenantSees(t *testing.T) {
	l := newLab(t)
	for _, text := range questions {
		q := question(t, text)
		trace, err := Ask(l.state, onlyAlice, q)
		if err != nil {
			if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		trace.Run(l.tables)
		a := trace.Answer(l.state)
		shown := fmt.Sprintf("%+v", a)
		for _, secret := range []string{"bob", "carol", "172.30.0", "actions=", "NXM", "tun_", "base", "peer", "0x"} {
			if strings.Contains(strings.ReplaceAll(shown, text, ""), secret) && !strings.Contains(text, secret) {
				t.Errorf("%s: it tells of %q: %s", text, secret, shown)
			}
		}
		if !strings.Contains(shown, "alice") || !strings.Contains(shown, "the cluster") {
			t.Errorf("%s: it tells nothing: %s", text, shown)
		}
	}
	for _, pair := range [][2]string{{"bob/b-3 10.0.0.7", "eve/b-3 10.0.0.7"}, {"alice/web-1 bob/b-3", "alice/web-1 eve/b-3"},
		{"outside bob/b-3", "outside eve/b-3"}, {"bob/b-4 10.0.0.7", "eve/b-4 10.0.0.7"}} {
		_, there := Ask(l.state, onlyAlice, question(t, pair[0]))
		_, nowhere := Ask(l.state, onlyAlice, question(t, pair[1]))
		if there == nil || nowhere == nil || strings.ReplaceAll(there.Error(), "bob", "eve") != nowhere.Error() {
			t.Errorf("%s: %v; %v", pair[0], there, nowhere)
		}
	}
	if _, err := Ask(l.state, onlyAlice, question(t, "outside 100.64.0.9")); err == nil {
		t.Error("alice traces to bob's transit address")
	}
}

// What a hostile flow does to a tenant's packet is told to it without the names of others.
func TestATenantIsToldOfAnEscape(t *testing.T) {
	l := newLab(t)
	l.inject("h2", "cookie=0xbad,table=80,priority=900,ip,metadata=0x700000007/0xffffffffffffffff,actions=load:5->NXM_NX_REG2[],clone(output:5),clone(output:77),goto_table:92")
	a := l.ask(onlyAlice, question(t, "alice/web-1 alice/default/web-2"))
	shown := fmt.Sprintf("%+v", a)
	if strings.Contains(shown, "bob") || !strings.Contains(a.Text, "delivered to a port of another tenant on h2") || !strings.Contains(a.Text, "lost on h2: it leads nowhere") {
		t.Errorf("%s", shown)
	}
	l = newLab(t)
	l.away["h2"] = errAway
	if a := l.ask(onlyAlice, question(t, "alice/web-1 alice/default/web-2")); a.Text != "not known what happens on h2: what its switch holds is not known" {
		t.Error(a.Text)
	}
}

// An interface that is no port's is told by name to those who may see the cluster's own.
func TestInterfaceOfNobody(t *testing.T) {
	for _, test := range []struct {
		sees func(string) bool
		want string
	}{
		{all, "delivered to interface stray0, which is no port's on h1"},
		{onlyAlice, "delivered to an interface that is no port's on h1"},
	} {
		l := newLab(t)
		l.inject("h1", "cookie=0xbad,table=0,priority=900,in_port=1,ip,actions=output:99")
		tr, err := Ask(l.state, test.sees, question(t, "alice/web-1 10.0.0.7 icmp"))
		if err != nil {
			t.Fatal(err)
		}
		tr.Run(func(host string) (Tables, error) {
			tables, err := l.tables(host)
			tables.Ports["stray0"] = 99
			return tables, err
		})
		if a := tr.Answer(l.state); a.Text != test.want {
			t.Errorf("%s, want %s", a.Text, test.want)
		}
	}
}

func TestGroupMAC(t *testing.T) {
	for address, want := range map[string]string{
		"224.0.0.9": "01:00:5e:00:00:09", "239.255.1.2": "01:00:5e:7f:01:02", "ff02::1:ff00:7": "33:33:ff:00:00:07",
	} {
		if got := groupMAC(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// A tunnel address that two hosts say is the older one's; a host may have several.
func TestTunnelAddressesOfHosts(t *testing.T) {
	l := newLab(t)
	addresses := func(list ...string) (parsed []netip.Addr) {
		for _, a := range list {
			parsed = append(parsed, netip.MustParseAddr(a))
		}
		return parsed
	}
	l.put(store.HostKey("a-later"), &store.Host{VTEPs: addresses("172.30.0.1", "172.30.0.9", "fd30::9")})
	var got []string
	for _, h := range hostsOf(l.state) {
		got = append(got, fmt.Sprint(h.Name, " ", h.VTEP, " ", h.Further))
	}
	want := []string{"a-later 172.30.0.9 [fd30::9]", "h1 172.30.0.1 []", "h2 172.30.0.2 []", "h3 172.30.0.3 []"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"web", "", 3}, {"", "web", 3}, {"web-1", "web-2", 1}, {"web", "wbe", 2}, {"abc", "xabc", 1}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q and %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// No question makes a trace panic, and one that is checked is refused for names alone.
func FuzzQuestion(f *testing.F) {
	for _, text := range questions {
		w := strings.Fields(text)
		f.Add(w[0], w[1], strings.Join(w[2:], ""), uint16(0), uint16(80), uint8(1), "reply")
	}
	f.Add("outside", "255.255.255.255", "tcp", uint16(1), uint16(2), uint8(0), "established")
	f.Add("alice/web-1", "::ffff:10.0.0.7", "58", uint16(0), uint16(0), uint8(0), "")
	f.Fuzz(func(t *testing.T, from, to, proto string, sport, dport uint16, ttl uint8, state string) {
		l := newLab(t)
		q := Question{From: from, To: to, Proto: proto, SrcPort: sport, DstPort: dport, TTL: ttl, State: State(state)}
		checked := q.Check()
		tr, err := Ask(l.state, all, q)
		if checked != nil && (err == nil || err.Error() != checked.Error()) {
			t.Fatalf("%+v: checked: %v, asked: %v", q, checked, err)
		}
		if err != nil {
			return
		}
		tr.Run(l.tables)
		if a := tr.Answer(l.state); a.Verdict == "" || a.Text == "" || !a.Complete {
			t.Fatalf("%+v: %s", q, written(a))
		}
	})
}

// In a star a packet between two hosts passes the gateway host, which does not count it.
func TestThroughTheCentreOfAStar(t *testing.T) {
	l := newLab(t)
	h3 := *l.state.Host("h3").Value
	h3.Gateway = true
	l.put(store.HostKey("h3"), &h3)
	l.put(store.GatewayKey("alice"), &store.Gateway{Active: "h3", Relay: store.RelayOn})
	text := written(l.ask(all, question(t, "alice/web-1 10.0.0.7 tcp dport=80")))
	for _, want := range []string{
		"  h1, from alice/default/web-1:", "forward | port alice/default/web-2 |  | by tunnel to h3\n",
		"  h3, by tunnel from h1:", "forward | port alice/default/web-2 |  | origin a tunnel, relayed; in_port_oxm=4294967295; by tunnel to h2\n    encap | network alice/default",
		"  h2, by tunnel from h3:", "delivered: delivered to alice/default/web-2 on h2",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Count(text, "counts out") != 1 || strings.Count(text, "counts in") != 1 {
		t.Errorf("it does not count once each way:\n%s", text)
	}
}
