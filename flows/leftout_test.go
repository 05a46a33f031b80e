package flows

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/store"
)

// reasonOfProblem is one text of a problem, and how to come to it.
type reasonOfProblem struct {
	text string // of the problem, as a regular expression
	on   string // the object that it is told on
	// out is whom it leaves out: ports, whose attach fails, or a gateway.
	out store.LeavesOut
	do  func(s *store.State, sw Switch)
}

var portX, networkX = store.PortKey("h1", "t0", "default", "x"), store.NetworkKey("t0", "x")

// onPort puts a port x on h1 that is right but for an edit.
func onPort(edit func(*store.Port)) func(*store.State, Switch) {
	return func(s *store.State, sw Switch) {
		p := &store.Port{Number: 900, MAC: store.MAC{2, 9}, Interface: "sl-x", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.99/24")}}
		edit(p)
		put(s, portX, p)
		if sw.OFPort[p.Interface] == 0 {
			sw.OFPort[p.Interface] = 900
		}
	}
}

// object puts any object.
func object(key store.Key, o store.Object) func(*store.State, Switch) {
	return func(s *store.State, _ Switch) { put(s, key, o) }
}

// onHost changes a host of manyTenants.
func onHost(name string, edit func(*store.Host)) func(*store.State, Switch) {
	return func(s *store.State, _ Switch) {
		h := *s.Host(name).Value
		edit(&h)
		change(s, store.HostKey(name), &h)
	}
}

func without(iface string) func(*store.State, Switch) {
	return func(_ *store.State, sw Switch) { delete(sw.OFPort, iface) }
}

// wide is a network whose broadcasts go to more hosts than its mode allows.
func wide(flood store.FloodMode, hosts int) func(*store.State, Switch) {
	return func(s *store.State, sw Switch) {
		put(s, networkX, &store.Network{Number: 77, Flood: flood})
		onPort(func(p *store.Port) { p.Addresses = nil })(s, sw)
		put(s, store.PortKey("h1", "t0", "x", "one"), &store.Port{Number: 901, MAC: store.MAC{2, 8}, Interface: "sl-one"})
		sw.OFPort["sl-one"] = 901
		for i := range hosts {
			put(s, store.PortKey(fmt.Sprint("far", i), "t0", "x", "p"),
				&store.Port{Number: uint32(1000 + i), MAC: store.MACFromUint64(2<<40 + 1<<20 + uint64(i)), Interface: "sl-p"})
		}
	}
}

// subnets is a network x with one subnet.
func subnets(prefix, gateway string) func(*store.State, Switch) {
	return object(networkX, &store.Network{Number: 77, Subnets: []store.Subnet{
		{Prefix: netip.MustParsePrefix(prefix), Gateway: netip.MustParseAddr(gateway)}}})
}

const (
	nobody store.LeavesOut = ""
	ports                  = store.LeavesOutPorts
)

// reasonsOfProblems are all texts, as h1 tells them. Where an object is left out, its ports have no
// flows, or reach nobody: whoever attaches one must hear of it.
var reasonsOfProblems = []reasonOfProblem{
	{`number 0 is not between 1 and`, "tenants/t0", ports, object(store.TenantKey("t0"), &store.Tenant{})},
	{`number 2 belongs to the older tenants/t1`, "tenants/t0", ports, object(store.TenantKey("t0"), &store.Tenant{Number: 2})},
	{`its gateway host h9 is not registered`, "tenants/t0", nobody, object(store.GatewayKey("t0"), &store.Gateway{Active: "h9"})},
	{`its gateway host h2 has no VTEP`, "tenants/t1", nobody, onHost("h2", func(h *store.Host) { h.VTEPs = nil })},
	{`its gateway host h2 has another encapsulation`, "tenants/t1", nobody, onHost("h2", func(h *store.Host) { h.Encap = "gre" })},
	{`its gateway host h1 has no interface sluice-gw`, "tenants/t0", nobody, without(store.GatewayInterface)},
	{`its gateway host h1 has no interface sluice-gw`, "tenants/t0", store.LeavesOutGateway, func(s *store.State, sw Switch) {
		delete(sw.OFPort, store.GatewayInterface)
		change(s, store.GatewayKey("t0"), &store.Gateway{Active: "h2", Epoch: 2, Move: &store.Move{To: "h1"}})
	}},
	{`its gateway host h1 has no conntrack zone for it`, "tenants/t0", nobody, func(s *store.State, _ Switch) {
		change(s, store.GatewayKey("t1"), &store.Gateway{Active: "h2", Slots: map[string]uint32{"h1": 1}})
	}},
	{`its gateway host h1 has no conntrack zone for it`, "tenants/t0", store.LeavesOutGateway, func(s *store.State, _ Switch) {
		change(s, store.TenantKey("t0"), &store.Tenant{Number: store.MaxSlot + 1})
		change(s, store.GatewayKey("t0"), &store.Gateway{Active: "h2", Epoch: 2, Move: &store.Move{To: "h1"}})
	}},

	{`number 0 is not between 1 and`, "networks/t0/default", ports, object(store.NetworkKey("t0", "default"), &store.Network{})},
	{`number 2 belongs to the older networks/t1/default`, "networks/t0/default", ports, object(store.NetworkKey("t0", "default"), &store.Network{Number: 2})},
	{`VLAN id 4095 is not between`, "networks/t0/x", ports, object(networkX, &store.Network{Number: 77, Segmentation: store.SegmentationVLAN, Segment: 4095})},
	{`VLAN id 5 belongs to the older networks/t1/x`, "networks/t0/x", ports, func(s *store.State, _ Switch) {
		put(s, store.NetworkKey("t1", "x"), &store.Network{Number: 78, Segmentation: store.SegmentationVLAN, Segment: 5})
		put(s, networkX, &store.Network{Number: 77, Segmentation: store.SegmentationVLAN, Segment: 5})
	}},
	{`subnet 10.7.0.0/24 has no router at 10.8.0.1`, "networks/t0/x", nobody, subnets("10.7.0.0/24", "10.8.0.1")},
	{`subnet fe80::/64 overlaps fe80::/10, the link-local range`, "networks/t0/x", nobody, subnets("fe80::/64", "fe80::1")},
	{`subnet 10.0.0.0/25 overlaps subnet 10.0.0.0/24`, "networks/t0/x", nobody, subnets("10.0.0.0/25", "10.0.0.1")},
	{`it spans 257 hosts and flood auto ends at 256`, "networks/t0/x", nobody, wide(store.FloodAuto, 256)},
	{`they need 781 copies`, "networks/t0/x", nobody, wide(store.FloodOn, 780)},

	{`networks t0/default and t1/default do not reach each other: subnet 10.0.0.0/24 of network t0/default overlaps`, "peerings/t0/t1", nobody, func(s *store.State, _ Switch) {
		one, other := s.Tenant("t0").Created, s.Tenant("t1").Created
		put(s, store.PeeringKey("t0", "t1"), &store.Peering{TenantCreated: one, PeerCreated: other})
		put(s, store.PeeringKey("t1", "t0"), &store.Peering{TenantCreated: other, PeerCreated: one})
	}},

	{`number 4294967295 is reserved`, portX.Short(), ports, onPort(func(p *store.Port) { p.Number = gatewayPort })},
	{`number 0 is reserved`, portX.Short(), ports, onPort(func(p *store.Port) { p.Number = 0 })},
	{`interface sluice-tun is the host's own`, portX.Short(), ports, onPort(func(p *store.Port) { p.Interface = store.TunnelInterface })},
	{`tenant t0 may not use host h1`, "ports/h1/t0/default/p0", ports, object(store.TenantKey("t0"), &store.Tenant{Number: 1, Hosts: []string{"h2"}})},
	{`MAC 02:00:5e:00:01:01 is reserved`, portX.Short(), ports, onPort(func(p *store.Port) { p.MAC = store.RouterMAC })},
	{`address 10.9.0.9/24 is none that its network has`, portX.Short(), ports, onPort(func(p *store.Port) { p.Addresses[0] = netip.MustParsePrefix("10.9.0.9/24") })},
	{`allowed pair .* is not an address that a port can have`, portX.Short(), ports, onPort(func(p *store.Port) { p.AllowedPairs = []store.AddressPair{{}} })},
	{`allowed pair 100.64.0.9/32 overlaps the transit range`, portX.Short(), ports,
		onPort(func(p *store.Port) {
			p.AllowedPairs = []store.AddressPair{{Prefix: netip.MustParsePrefix("100.64.0.9/32")}}
		})},
	{`number 1 belongs to the older ports/h1/t0/default/p0`, portX.Short(), ports, onPort(func(p *store.Port) { p.Number = 1 })},
	{`MAC 02:00:00:00:00:00 belongs to the older`, portX.Short(), ports, onPort(func(p *store.Port) { p.MAC = store.MAC{2} })},
	{`address 10.0.0.10 belongs to the older`, portX.Short(), ports, onPort(func(p *store.Port) { p.Addresses[0] = netip.MustParsePrefix("10.0.0.10/24") })},
	{`interface sl-0-0 belongs to the older`, portX.Short(), ports, onPort(func(p *store.Port) { p.Interface = "sl-0-0" })},
	{`what it sends and gets is not limited: its interface sl-0-0 has the OpenFlow port number 34464 on host h1, and meters end at 34463`,
		"ports/h1/t0/default/p0", nobody, func(s *store.State, sw Switch) {
			sw.OFPort["sl-0-0"] = 34464
			change(s, store.TenantKey("t0"), &store.Tenant{Number: 1, Limits: store.Limits{PortIngressKbps: 100}})
		}},
	{`the interfaces of its ports on host h1 have OpenFlow numbers above 32767 only`, "networks/t0/default", nobody, func(s *store.State, sw Switch) {
		sw.OFPort["sl-0-0"] = store.MaxSlot + 1
		change(s, store.TenantKey("t0"), &store.Tenant{Number: store.MaxSlot + 1})
	}},
	{`its network t0/x is not there`, "ports/h1/t0/x/one", ports,
		object(store.PortKey("h1", "t0", "x", "one"), &store.Port{Number: 901, MAC: store.MAC{2, 8}, Interface: "sl-one"})},
	{`its network t9/default is not there`, "ports/h1/t9/default/one", ports,
		object(store.PortKey("h1", "t9", "default", "one"), &store.Port{Number: 901, MAC: store.MAC{2, 8}, Interface: "sl-one"})},
	{`a flow of port t1/default/p0 in table classify of host h1 has the match`, "ports/h1/t1/default/p0", ports,
		func(_ *store.State, sw Switch) { sw.OFPort["sl-1-0"] = sw.OFPort["sl-0-0"] }},
	{`a flow of port t0/default/p0 in table classify of host h1 has the match`, "ports/h1/t0/default/p0", nobody,
		func(_ *store.State, sw Switch) { sw.OFPort["sl-1-0"] = sw.OFPort["sl-0-0"] }},

	{`its bridge has no interface sluice-tun`, "hosts/h1", ports, without(store.TunnelInterface)},
	{`it has no tunnel address`, "hosts/h1", ports, onHost("h1", func(h *store.Host) { h.VTEPs = nil })},
	{`its encapsulation is gre and that of the oldest host vxlan`, "hosts/h1", ports, func(s *store.State, _ Switch) {
		h1, h2 := *s.Host("h1").Value, *s.Host("h2").Value
		h1.Encap, h2.Encap = "gre", "vxlan"
		change(s, store.HostKey("h2"), &h2)
		put(s, store.HostKey("h1"), &h1)
	}},
	{`its encapsulation is  and that of some hosts gre`, "hosts/h1", nobody, onHost("h2", func(h *store.Host) { h.Encap = "gre" })},
	{`VTEP 172.30.0.2 belongs to the older hosts/h2`, "hosts/h1", ports, func(s *store.State, _ Switch) {
		h1 := *s.Host("h1").Value
		h1.VTEPs = s.Host("h2").Value.VTEPs
		put(s, store.HostKey("h1"), &h1)
	}},
	{`datapath id 0000000000000002 belongs to the older hosts/h2`, "hosts/h1", ports, func(s *store.State, _ Switch) {
		h1 := *s.Host("h1").Value
		h1.DatapathID = 2
		put(s, store.HostKey("h1"), &h1)
	}},
}

// allProblems is what a host tells.
func allProblems(s *store.State, sw Switch) []store.Problem {
	_, problems := Desired(s, sw)
	return append(problems, Orphans(s, sw.Host)...)
}

func TestEveryReasonOfAProblem(t *testing.T) {
	for _, r := range reasonsOfProblems {
		t.Run(r.on+": "+r.text, func(t *testing.T) {
			s := manyTenants(2)
			sw := switchOf(s, "h1")
			if before := allProblems(s, sw); len(before) > 0 {
				t.Fatalf("problems before: %v", before)
			}
			r.do(s, sw)
			text := regexp.MustCompile(r.text)
			problems := allProblems(s, sw)
			if !slices.ContainsFunc(problems, func(p store.Problem) bool {
				return p.Object == r.on && p.LeavesOut == r.out && text.MatchString(p.Text)
			}) {
				t.Errorf("problems %+v\nwant one of %s with %q, which leaves out %q", problems, r.on, r.text, r.out)
			}
		})
	}
}

// Each text of a problem that the source has is in the list above, so that whoever writes a new
// one must say whether an attach that meets it fails.
func TestEveryReasonIsListed(t *testing.T) {
	var told []string
	for _, r := range reasonsOfProblems {
		s := manyTenants(2)
		sw := switchOf(s, "h1")
		r.do(s, sw)
		for _, p := range allProblems(s, sw) {
			told = append(told, p.Text)
		}
	}
	texts := append(textsOfProblems(t, "."), textsOfContests(t, "../store")...)
	if len(texts) < 25 {
		t.Errorf("%d texts found: the search does not see them all", len(texts))
	}
	for _, text := range texts {
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`%[a-z]`).ReplaceAllString(regexp.QuoteMeta(text), ".*"))
		if !slices.ContainsFunc(told, pattern.MatchString) {
			t.Errorf("no case of reasonsOfProblems tells %q", text)
		}
	}
}

// inspect walks the syntax of a folder's files that are no tests.
func inspect(t *testing.T, dir string, visit func(file string, n ast.Node)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool { visit(filepath.Base(path), n); return true })
	}
}

// textsOfProblems are the formats of the calls that tell a problem.
func textsOfProblems(t *testing.T, dir string) (texts []string) {
	t.Helper()
	at := map[string]int{"problem": 1, "leaveOut": 1, "invalid": 1, "LeftOut": 1, "ProblemOf": 1, "Sprintf": 0} // which argument is the text
	inspect(t, dir, func(file string, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		name := nameOf(call.Fun)
		arg, tells := at[name]
		if !tells || name == "Sprintf" && file != "subnet.go" && file != "desired.go" || len(call.Args) <= arg {
			return
		}
		if text := literal(call.Args[arg]); text != "" && text[0] != ':' { // such a text goes behind the caller's
			texts = append(texts, text)
		}
	})
	return texts
}

// textsOfContests are the beginnings of what State tells whose unique value is an older one's.
func textsOfContests(t *testing.T, dir string) (texts []string) {
	t.Helper()
	inspect(t, dir, func(_ string, n ast.Node) {
		c, ok := n.(*ast.CompositeLit)
		if !ok {
			return
		}
		if of, generic := c.Type.(*ast.IndexListExpr); !generic || nameOf(of.X) != "unique" {
			return
		}
		name, enforced := "", false
		for _, e := range c.Elts {
			field := e.(*ast.KeyValueExpr)
			switch nameOf(field.Key) {
			case "name":
				name = literal(field.Value)
			case "holders":
				enforced = true
			}
		}
		if enforced {
			texts = append(texts, name+" %v belongs to the older")
		}
	})
	return texts
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// literal is the text of a string, or of several that are added.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return ""
}

// A port has its flows on its own host, or there is a reason that counts against it: nothing is
// ever left out in silence.
func TestNoPortIsLeftOutInSilence(t *testing.T) {
	left, programmed := 0, 0
	for seed := range uint64(16) {
		w := newWorld(seed)
		for step := range 150 {
			did := w.step()
			for _, host := range w.names {
				if w.state.Host(host) == nil {
					continue
				}
				for key, why := range w.ports(host) {
					switch {
					case why.programmed && why.excused != "":
						t.Fatalf("seed %d, step %d, after %v: %s has flows, and %s", seed, step, did, key.Short(), why.excused)
					case !why.programmed && why.excused == "":
						t.Fatalf("seed %d, step %d, after %v: %s has no flows, and nothing tells of it", seed, step, did, key.Short())
					case why.programmed:
						programmed++
					default:
						left++
					}
				}
			}
		}
	}
	if left < 1000 || programmed < 50 { // most of what such a world holds is spoilt
		t.Errorf("%d ports were left out and %d programmed: the worlds show too little", left, programmed)
	}
}

// standingOfPort is how a port stands on its own host.
type standingOfPort struct {
	programmed bool
	excused    string // why it is not
}

// ports is how all ports of a host stand.
func (w *world) ports(host string) map[store.Key]standingOfPort {
	sw := w.switches[host]
	list, problems := Desired(w.state, sw)
	delivered := map[uint32]bool{}
	for _, f := range list {
		if f.Table == tableDeliver && Slice(f.Cookie).kind() == kindPort {
			delivered[Slice(f.Cookie).object()] = true
		}
	}
	excuses := map[store.Key]string{}
	for _, p := range append(problems, Orphans(w.state, host)...) {
		if p.LeavesOut == store.LeavesOutPorts {
			excuses[p.Key] = p.Text
		}
	}
	for _, key := range Missing(w.state, sw) {
		excuses[key] = "its interface is missing"
	}
	all := map[store.Key]standingOfPort{}
	for _, n := range w.state.NetworksOn(host) {
		for _, p := range w.state.PortsAt(host, n) {
			standing := standingOfPort{}
			for _, needed := range []store.Key{p.Key, store.NetworkKey(n.Tenant, n.Network), store.TenantKey(n.Tenant)} {
				if excuses[needed] != "" {
					standing.excused = excuses[needed]
				}
			}
			standing.programmed = delivered[p.Value.Number] && w.state.PortByNumber(p.Value.Number) == p
			all[p.Key] = standing
		}
	}
	return all
}

// One host whose agent was restarted with another encapsulation stops no other: those that have the
// oldest host's are told and go on, also where they are younger. When the oldest goes, the next is it.
func TestTheOldestHostsEncapsulationIsTheClusters(t *testing.T) {
	s := store.NewState()
	for i, encap := range []string{"vxlan", "gre", "vxlan"} {
		name := fmt.Sprintf("h%d", i+1)
		put(s, store.HostKey(name), &store.Host{
			DatapathID: store.DatapathID(i + 1), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(i + 1)})}, Encap: encap,
		})
	}
	leftOut := func(host string) bool {
		_, problems := Desired(s, Switch{Host: host, OFPort: map[string]uint32{store.TunnelInterface: 1}})
		if len(problems) == 0 {
			t.Errorf("%s is told nothing", host)
		}
		return slices.ContainsFunc(problems, func(p store.Problem) bool { return p.LeavesOut == store.LeavesOutPorts })
	}
	check := func(want map[string]bool) {
		t.Helper()
		for host, out := range want {
			if got := leftOut(host); got != out {
				t.Errorf("%s is left out: %v, want %v", host, got, out)
			}
		}
	}
	check(map[string]bool{"h1": false, "h2": true, "h3": false})

	rev := s.Revision() + 1
	var marked []string
	Affected(s, s.Apply(store.Batch{Revision: rev, Events: []store.Event{{Key: store.HostKey("h1")}}}), func(host string, sl Slice) {
		if sl == peerSlice("h2") {
			marked = append(marked, host)
		}
	})
	if !slices.Contains(marked, "h3") {
		t.Errorf("what h3 knows of h2, the oldest now, is marked on %v", marked)
	}
	check(map[string]bool{"h2": false, "h3": true})
}
