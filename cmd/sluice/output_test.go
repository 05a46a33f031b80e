package main

import (
	"bytes"
	"flag"
	"io"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/internal/golden"
	"sluice/metrics/overtime"
	"sluice/store"
)

var update = flag.Bool("update", false, "write golden files and docs/cli.md anew")

// checkGolden compares got with a file, and writes it with -update.
func checkGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	golden.Check(t, path, got, *update)
}

var (
	alice = client.Tenant{
		Name: "alice", Tenant: store.Tenant{Number: 1, Gateway: "auto", Limits: store.Limits{Ports: 10}, Labels: store.Labels{"team": "red", "env": "test"}},
		Transit: netip.MustParseAddr("100.64.0.1"), GatewayHost: "h1", Networks: []string{"db", "default"}, Ports: 3, Created: 7, Modified: 7,
	}
	bob = client.Tenant{
		Name: "bob", Tenant: store.Tenant{Number: 2, Gateway: "h2", Hosts: []string{"h1", "h2"}},
		Transit: netip.MustParseAddr("100.64.0.2"), Networks: []string{"default"}, Created: 9, Modified: 9,
	}
	someBalance = client.GatewayBalance{
		Settings: client.BalanceSettings{Window: 300}, Measured: 120, Before: 1.62, After: 1.11, Goal: 1.2, TooLarge: []string{"carol"},
		Hosts: []client.GatewayHost{
			{Host: "h1", Weight: 1, Tenants: 12, Load: 81e6, Then: 55.4e6}, {Host: "h2", Weight: 2, Tenants: 3, Load: 19e6, Then: 44.6e6},
			{Host: "h3", Weight: 1, Tenants: 1, Load: 1000, Then: 1000, Out: "host h3: it is drained"},
		},
		Moves: []client.GatewayStep{{Tenant: "alice", From: "h1", To: "h2", Load: 20e6}, {Tenant: "bob", From: "h1", To: "h2", Load: 5.6e6}},
	}
	aliceDefault = client.Network{
		Tenant: "alice", Name: "default", Created: 7, Modified: 7, Hosts: []string{"h1", "h2"}, Ports: 2,
		Network: store.Network{
			Number: 1, Segmentation: store.SegmentationTunnel, Segment: 1, Flood: store.FloodAuto,
			Subnets: []store.Subnet{
				{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")},
				{Prefix: netip.MustParsePrefix("fd00::/64"), Gateway: netip.MustParseAddr("fd00::1")},
			},
		},
	}
	bobDefault = client.Network{
		Tenant: "bob", Name: "default", Created: 9, Modified: 9, Hosts: []string{},
		Network: store.Network{
			Number: 2, Segmentation: store.SegmentationVLAN, Segment: 12, MTU: 1400, Flood: store.FloodOff,
			Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")}},
		},
	}
	a1 = client.Port{
		Tenant: "alice", Network: "default", Name: "a1", Host: "h1", Created: 20, Modified: 20,
		Port: store.Port{
			UID: "k2x5q7mzr3va", Number: 4, MAC: store.MAC{2, 0, 10, 0, 0, 2}, Interface: "sl-k2x5q7mzr3va",
			Addresses:    []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")},
			AllowedPairs: []store.AddressPair{{Prefix: netip.MustParsePrefix("10.0.0.100/32")}},
			ContainerID:  "a1", Runtime: "lab",
		},
	}
	h1 = client.Host{
		Name: "h1", State: store.HostRealized, Realized: 42, Master: "c1", Connected: true, Live: true, Flows: 65, Ports: 2, Created: 3, Agent: store.Program{Version: "v0.2.0", Schema: 2},
		Host: store.Host{
			Incarnation: "9f2c", DatapathID: 0x51c1ce0000000001, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.1")},
			Uplink: "br-phy", Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
			Infrastructure: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/24")},
		},
	}
	h2 = client.Host{
		Name: "h2", State: store.HostMissing, Realized: 42, Master: "c1", Connected: true, Ports: 1, Created: 4,
		Missing:  []string{"ports/h2/alice/default/a2"},
		Problems: store.Problems{{Object: "ports/h2/alice/default/a2", Text: "its interface sl-q is not in the switch: attach it again"}},
		Host: store.Host{
			Incarnation: "77aa", DatapathID: 0x51c1ce0000000002, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.2")}, Encap: "vxlan",
		},
	}
	fullStatus = client.Status{
		Program: store.Program{Version: "v0.2.0", Schema: 2}, LeastSchema: 1, UnknownKinds: map[string]int{"policies": 12},
		Revision: 42, Tenants: 2, Networks: 3, Ports: 3,
		HostStates: map[string]int{"realized": 1, "missing": 1, "last-known": 1, "down": 1},
		Hosts: []client.HostStatus{
			{Name: "h1", State: store.HostRealized, Realized: 42, Master: "c1", Connected: true, Live: true, DatapathID: 0x51c1ce0000000001, Flows: 65, Agent: store.Program{Version: "v0.2.0", Schema: 2},
				Drift: &client.Drift{Missing: 2, Extra: 1, Last: time.Date(2026, 11, 22, 10, 5, 0, 0, time.UTC)}},
			{Name: "h2", State: store.HostMissing, Realized: 42, Master: "c1", Connected: true, Live: true, DatapathID: 0x51c1ce0000000002, Flows: 60, Missing: h2.Missing, Problems: h2.Problems},
			{Name: "h3", State: store.HostDown, Realized: 40, DatapathID: 0x51c1ce0000000003},
			{Name: "h4", State: store.HostLastKnown, Realized: 41, Master: "c1", Connected: true, Live: true, DatapathID: 0x51c1ce0000000004, Flows: 60},
		},
		Controllers: []client.ControllerStatus{
			{Name: "c1", OpenFlow: "172.30.0.100:6653", API: "http://127.0.0.1:8080", Since: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Answers: true, Program: store.Program{Version: "v0.2.0", Schema: 2}},
		},
		Unknown: []store.DatapathID{0xbadc0ffee}, UnknownMore: 980, UnknownShows: map[string]string{"0000000badc0ffee": "the certificate of host:h2"},
		Problems: append(store.Problems{{Object: "tenants/bob", Text: "its gateway host h2 is away: start its agent, or choose another"}}, h2.Problems...),
	}
	someFlows = []client.Flow{
		{Host: "h1", Table: 0, TableName: "classify", Priority: 200, Cookie: "0x0500000100000004", Owner: "port alice/default/a1", Packets: 12, Bytes: 1176,
			Age:   "12.345s",
			Text:  "cookie=0x500000100000004, priority=200,in_port=3 actions=write_metadata:0x100000001,goto_table:2",
			Words: "from port alice/default/a1 -> network alice/default; go on to admit"},
		{Host: "h1", Table: 0, TableName: "classify", Priority: 0, Cookie: "0x0100000000000000", Owner: "base",
			Age:  "12s",
			Text: "cookie=0x100000000000000, priority=0 actions=drop", Words: "any frame -> end it"},
		{Host: "h1", Table: 6, TableName: "admit", Priority: 0, Cookie: "0x0100000000000000", Owner: "base", Packets: 3, Bytes: 180, Note: "refuses: spoofed",
			Age:  "12.000000345s",
			Text: "cookie=0x100000000000000, table=6, priority=0 actions=load:0x1->NXM_NX_REG5[],goto_table:90", Words: "any frame -> refuse it as spoofed"},
	}
	drift = []client.Flow{
		{Host: "h1", Table: 2, TableName: "admit", Priority: 100, Cookie: "0x0500000100000004", Owner: "port alice/default/a1", Change: "add",
			Text:  "cookie=0x500000100000004, table=2, priority=100,in_port=3,dl_src=02:00:0a:00:00:02 actions=goto_table:5",
			Words: "from port alice/default/a1, dl_src=02:00:0a:00:00:02 -> go on to decap"},
		{Host: "h2", Table: 99, TableName: "99", Priority: 1, Cookie: "0x0000000000000000", Owner: "unknown 0x0", Change: "delete",
			Text: "table=99, priority=1 actions=NORMAL", Words: "any frame -> NORMAL"},
	}
	expiry     = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	visited    = time.Date(2026, 11, 29, 21, 0, 0, 0, time.UTC)
	someTokens = []client.Token{
		{Name: "bobs", Role: store.RoleTenant, Tenant: "bob", Valid: true, Expires: &expiry, By: "token ci", Created: 40, Modified: 40},
		{Name: "ci", Role: store.RoleAdmin, Valid: true, By: "local", Created: 31, Modified: 31},
		{Name: "old", Role: store.RoleTenant, Tenant: "gone", By: "local", Created: 12, Modified: 12},
		{Name: "ops", Role: store.RoleViewer, Person: true, Valid: true, By: "person root", Created: 50, Modified: 50},
	}
	somePeerings = []client.Peering{
		{Tenant: "alice", Peer: "bob", State: client.PeeringAgreed},
		{Tenant: "alice", Peer: "carol", Networks: []string{"web", "app"}, PeerNetworks: []string{"db"}, State: client.PeeringOffered, OfferedBy: "carol",
			Why: []string{"alice has not agreed, or not any more: it does with sluice peer alice carol"}},
		{Tenant: "bob", Peer: "carol", State: client.PeeringRefused,
			Why: []string{"subnet 10.0.0.0/24 of network bob/default overlaps subnet 10.0.0.0/24 of network carol/default: peer other networks, or give one of them another subnet"}},
	}
	somePublications = []client.Publication{
		{Tenant: "alice", Name: "tcp-8080", Network: "default", Port: "web", Protocol: store.ProtocolTCP, Ports: "80", On: "8080", Host: "h1", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		{Tenant: "bob", Name: "udp-5000-5009", Network: "media", Port: "rtp", Protocol: store.ProtocolUDP, Ports: "5000-5009", On: "5000-5009", Host: "h2", KeepSource: true,
			Why: "port bob/media/rtp is not there: nothing is let in until it is attached"},
		{Tenant: "carol", Name: "http-hub-example-carol", Network: "default", Port: "jupyter", Protocol: store.ProtocolTCP, Ports: "8888", Host: "h2",
			Route: &client.Route{Host: "hub.example", Path: "/carol/"}, Last: &visited},
		{Tenant: "dave", Name: "tcp-80", Network: "default", Port: "web", Protocol: store.ProtocolTCP, Ports: "80", On: "80", Host: "h2", Floating: netip.MustParseAddr("203.0.113.50"), Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.50")}},
	}
	labRuns = lab.Status{
		TokenFile: "/run/sluice-lab/api.token",
		API:       "http://127.0.0.1:40123", Etcd: "http://127.0.0.1:40124", Encap: "vxlan",
		Hosts: []lab.Host{{Name: "h1", NetNS: "sluice-h1", RunDir: "/run/sluice-lab/h1", VTEP: netip.MustParseAddr("172.30.0.1")}},
		Containers: []lab.Container{{
			Name: "a1", Tenant: "alice", Network: "default", Host: "h1", NetNS: "sluice-c-a1", Iface: "eth0",
			MAC: "02:00:0a:00:00:02", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.2")},
		}},
		Controllers: []lab.Machine{{Name: "c1", NetNS: "sluice-ctl", Address: netip.MustParseAddr("172.30.0.100")}},
		EtcdMembers: []lab.Machine{},
		Internet:    lab.Internet{NetNS: "sluice-inet", IP: netip.MustParseAddr("203.0.113.1")},
	}
)

// TestOutput holds every form of output as a file that can be read.
func TestOutput(t *testing.T) {
	tests := []struct {
		name  string
		write func(io.Writer)
	}{
		{"tenant-list", func(w io.Writer) { writeTenants(w, []client.Tenant{alice, bob}) }},
		{"tenant-list-empty", func(w io.Writer) { writeTenants(w, nil) }},
		{"tenant-show", func(w io.Writer) { writeTenant(w, alice) }},
		{"tenant-show-ends", func(w io.Writer) {
			batch, at := bob, time.Date(2026, 11, 28, 22, 10, 5, 0, time.UTC)
			batch.TTL = store.Duration(2 * time.Hour)
			writeTenant(w, batch)
			batch.Ends = &at
			writeTenant(w, batch)
		}},
		{"tenant-show-bare", func(w io.Writer) { writeTenant(w, bob) }},
		{"network-list", func(w io.Writer) { writeNetworks(w, []client.Network{aliceDefault, bobDefault}) }},
		{"network-show", func(w io.Writer) { writeNetwork(w, aliceDefault) }},
		{"network-show-addresses", func(w io.Writer) {
			n := bobDefault
			n.Exclude = []store.AddressRange{{First: netip.MustParseAddr("10.0.0.2"), Last: netip.MustParseAddr("10.0.0.20")}}
			n.Addresses = []store.SubnetUse{
				{Subnet: netip.MustParsePrefix("10.0.0.0/24"), InUse: 3, Free: 231, Next: netip.MustParseAddr("10.0.0.24")},
				{Subnet: netip.MustParsePrefix("10.0.1.0/30"), InUse: 1},
			}
			writeNetwork(w, n)
		}},
		{"host-list", func(w io.Writer) { writeHosts(w, []client.Host{h1, h2}) }},
		{"host-show", func(w io.Writer) { writeHost(w, h2) }},
		{"host-show-last-known", func(w io.Writer) {
			writeHost(w, client.Host{
				Name: "h4", State: store.HostLastKnown, Realized: 41, Master: "c1", Connected: true,
				Host: store.Host{NoGateway: "its routes overlap"},
			})
		}},
		{"port-list", func(w io.Writer) { writePorts(w, []client.Port{a1}) }},
		{"port-show", func(w io.Writer) { writePort(w, a1) }},
		{"gateway-list", func(w io.Writer) {
			writeGateways(w, []client.Gateway{
				{Tenant: "alice", Policy: "auto", Gateway: store.Gateway{Active: "h1", Draining: []string{"h3"}, Epoch: 2, Why: "h3 drains"}},
				{Tenant: "bob", Policy: "h2"},
			})
		}},
		{"gateway-balance", func(w io.Writer) { writeBalance(w, someBalance, nil) }},
		{"gateway-balance-done", func(w io.Writer) { writeBalance(w, someBalance, []string{"moved", "tenant bob: it has gone"}) }},
		{"gateway-balance-none", func(w io.Writer) { writeBalance(w, client.GatewayBalance{Before: 1, After: 1}, nil) }},
		{"status", func(w io.Writer) { writeStatus(w, fullStatus) }},
		{"token-new", func(w io.Writer) {
			writeNewToken(w, w, client.NewToken{Token: someTokens[0], Text: "sluice_bobs_00ff"})
			writeNewToken(w, w, client.NewToken{Token: someTokens[3]})
		}},
		{"sticky-list", func(w io.Writer) {
			writeStickies(w, []client.Sticky{{Tenant: "alice", Network: "default", Name: "web", Host: "h1", MAC: a1.MAC, Addresses: a1.Addresses}})
		}},
		{"peering-list", func(w io.Writer) { writePeerings(w, somePeerings) }},
		{"peering-new", func(w io.Writer) { writePeering(w, somePeerings[1]) }},
		{"publication-list", func(w io.Writer) { writePublications(w, somePublications) }},
		{"publication-new", func(w io.Writer) { writePublication(w, somePublications[0]); writePublication(w, somePublications[1]) }},
		{"publication-floating", func(w io.Writer) { writePublication(w, somePublications[3]) }},
		{"gateway-floating", func(w io.Writer) {
			writeFloating(w, client.Floating{Ranges: []string{"203.0.113.50-203.0.113.59", "203.0.113.64"}, Used: []client.FloatingAddress{{Address: netip.MustParseAddr("203.0.113.50"), Tenant: "dave", Host: "h2"}}})
		}},
		{"route-new", func(w io.Writer) {
			writePublication(w, somePublications[2])
			p := somePublications[2]
			p.Entries = []string{"192.0.2.1:443", "192.0.2.2:443"}
			writePublication(w, p)
		}},
		{"token-list", func(w io.Writer) { writeTokens(w, someTokens) }},
		{"tidy-values", func(w io.Writer) {
			writeStrays(w, client.Strays{ID: "0a1b2c3d4e5f", Taken: 346, More: true, Values: []client.Stray{
				{Value: "addresses/alice/default/10.0.0.7", Owner: "ports/h1/alice/default/a1", Modified: 20}, {Value: "vlans/9", Modified: 21},
			}})
		}},
		{"tidy-values-none", func(w io.Writer) { writeStrays(w, client.Strays{Taken: 346}) }},
		{"tidy-ports", func(w io.Writer) {
			writeUnreadable(w, client.UnreadablePorts{ID: "0a1b2c3d4e5f", More: true, Ports: []client.UnreadablePort{
				{Tenant: "alice", Network: "default", Name: "a1", Host: "h8", Modified: 20, Why: "invalid character 'r'"},
			}})
		}},
		{"tidy-hosts", func(w io.Writer) {
			writeAbsentHosts(w, client.AbsentHosts{ID: "0a1b2c3d4e5f", Hosts: []client.AbsentHost{{Host: "h8", Ports: 8, Newest: 20}, {Host: "h9", Ports: 13, Newest: 30}}})
		}},
		{"tidy-hosts-one", func(w io.Writer) {
			writeAbsentHosts(w, client.AbsentHosts{ID: "0a1b2c3d4e5f", Hosts: []client.AbsentHost{{Host: "h8", Ports: 1, Newest: 20}}})
		}},
		{"status-empty", func(w io.Writer) { writeStatus(w, client.Status{}) }},
		{"flows", func(w io.Writer) { flowTable{}.write(w, someFlows) }},
		{"flows-wide", func(w io.Writer) { flowTable{withText: true}.write(w, someFlows) }},
		{"flows-diff", func(w io.Writer) { flowTable{withHost: true, withChange: true}.write(w, drift) }},
		{"flows-ofctl", func(w io.Writer) { writeDump(w, slices.Concat(someFlows, drift), true) }},
		{"flows-rates", func(w io.Writer) { writeRates(w, reading{flowsRead, someFlows}, later(), true) }},
		{"owners", func(w io.Writer) {
			writeOwners(w, []client.FlowOwner{{Cookie: "0x0500000100000004", Owner: "port alice/default/a1"}, {Cookie: "0x0000000000000009", Owner: "unknown 0x9"}})
		}},
		{"lab-status", func(w io.Writer) { writeLab(w, labRuns) }},
		{"usage", func(w io.Writer) { writeUsage(w, someUsage()) }},
		{"usage-none", func(w io.Writer) {
			writeUsage(w, overtime.Usage{Asked: usageEnd.Add(-time.Minute), From: usageEnd.Add(-time.Minute), To: usageEnd, Step: time.Minute})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			test.write(&b)
			checkGolden(t, filepath.Join("testdata", test.name+".txt"), b.Bytes())
		})
	}
}

// TestFormats holds the machine-readable forms that scripts rely on.
func TestFormats(t *testing.T) {
	tests := []struct {
		name   string
		format format
		value  any
	}{
		{"tenant-list.json", formatJSON, []client.Tenant{alice}},
		{"tenant-list.yaml", formatYAML, []client.Tenant{alice}},
		{"network-list.json", formatJSON, []client.Network{aliceDefault}},
		{"host-list.json", formatJSON, []client.Host{h2}},
		{"port-list.json", formatJSON, []client.Port{a1}},
		{"status.json", formatJSON, fullStatus},
		{"flows.json", formatJSON, someFlows},
		{"token-list.json", formatJSON, someTokens},
		{"lab-status.json", formatJSON, labRuns},
		{"usage.json", formatJSON, someUsage()},
		{"empty-list.json", formatJSON, []client.Tenant{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			people := func(io.Writer) { t.Error("wrote a table") }
			if err := test.format.print(&b, test.value, people); err != nil {
				t.Fatal(err)
			}
			checkGolden(t, filepath.Join("testdata", test.name), b.Bytes())
		})
	}
}

// TestNoColourInAPipe also holds that colour changes no column.
func TestNoColourInAPipe(t *testing.T) {
	var b bytes.Buffer
	writeStatus(&b, fullStatus)
	if bytes.ContainsRune(b.Bytes(), '\x1b') {
		t.Errorf("escape sequences in a pipe: %q", b.String())
	}
	if got := (painter{on: true}).state(store.HostDown); got == string(store.HostDown) {
		t.Error("a terminal gets no colour")
	}
}

var flowsRead = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// later is a reading 2 s after flowsRead: one flow counted on, one was replaced meanwhile, one stood still.
func later() reading {
	list := slices.Clone(someFlows)
	list[0].Packets, list[0].Bytes = list[0].Packets+20, list[0].Bytes+2000
	list[2].Packets, list[2].Bytes = 1, 60
	return reading{flowsRead.Add(2 * time.Second), list}
}
