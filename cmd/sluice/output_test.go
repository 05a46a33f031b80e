package main

import (
	"bytes"
	"flag"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/api"
	"sluice/controller/host"
	"sluice/integration/lab"
	"sluice/store"
)

var update = flag.Bool("update", false, "write golden files and docs/cli.md anew")

// checkGolden compares got with testdata/name.
func checkGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test ./cmd/sluice -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what is written now (-want +got); go test ./cmd/sluice -update renews it:\n%s", path, diff)
	}
}

var (
	alice = api.Tenant{
		Name: "alice", Tenant: store.Tenant{Number: 1, Gateway: "auto", Limits: store.Limits{Ports: 10}, Labels: store.Labels{"team": "red", "env": "test"}},
		Transit: netip.MustParseAddr("100.64.0.1"), GatewayHost: "h1", Networks: []string{"db", "default"}, Ports: 3, Created: 7,
	}
	bob = api.Tenant{
		Name: "bob", Tenant: store.Tenant{Number: 2, Gateway: "h2", Hosts: []string{"h1", "h2"}},
		Transit: netip.MustParseAddr("100.64.0.2"), Networks: []string{"default"}, Created: 9,
	}
	aliceDefault = api.Network{
		Tenant: "alice", Name: "default", Created: 7, Hosts: []string{"h1", "h2"}, Ports: 2,
		Network: store.Network{
			Number: 1, Segmentation: store.SegmentationTunnel, Segment: 1, Flood: store.FloodAuto,
			Subnets: []store.Subnet{
				{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")},
				{Prefix: netip.MustParsePrefix("fd00::/64"), Gateway: netip.MustParseAddr("fd00::1")},
			},
		},
	}
	bobDefault = api.Network{
		Tenant: "bob", Name: "default", Created: 9, Hosts: []string{},
		Network: store.Network{
			Number: 2, Segmentation: store.SegmentationVLAN, Segment: 12, MTU: 1400, Flood: store.FloodOff,
			Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")}},
		},
	}
	a1 = api.Port{
		Tenant: "alice", Network: "default", Name: "a1", Host: "h1", Created: 20,
		Port: store.Port{
			UID: "k2x5q7mzr3va", Number: 4, MAC: store.MAC{2, 0, 10, 0, 0, 2}, Interface: "sl-k2x5q7mzr3va",
			Addresses:    []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")},
			AllowedPairs: []store.AddressPair{{Prefix: netip.MustParsePrefix("10.0.0.100/32")}},
			ContainerID:  "a1", Runtime: "lab",
		},
	}
	h1 = api.Host{
		Name: "h1", State: store.HostRealized, Realized: 42, Master: "c1", Connected: true, Live: true, Flows: 65, Ports: 2, Created: 3, Agent: store.Program{Version: "v0.2.0", Schema: 2},
		Host: store.Host{
			Incarnation: "9f2c", DatapathID: 0x51c1ce0000000001, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.1")},
			Uplink: "br-phy", Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
			Infrastructure: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/24")},
		},
	}
	h2 = api.Host{
		Name: "h2", State: store.HostMissing, Realized: 42, Master: "c1", Connected: true, Ports: 1, Created: 4,
		Missing:  []string{"ports/h2/alice/default/a2"},
		Problems: store.Problems{{Object: "ports/h2/alice/default/a2", Text: "its interface sl-q is not in the switch: attach it again"}},
		Host: store.Host{
			Incarnation: "77aa", DatapathID: 0x51c1ce0000000002, VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.2")}, Encap: "vxlan",
		},
	}
	fullStatus = api.Status{
		Program: store.Program{Version: "v0.2.0", Schema: 2}, LeastSchema: 1, UnknownKinds: map[string]int{"policies": 12},
		Revision: 42, Tenants: 2, Networks: 3, Ports: 3,
		HostStates: map[string]int{"realized": 1, "missing": 1, "last-known": 1, "down": 1},
		Hosts: []api.HostStatus{
			{Name: "h1", State: store.HostRealized, Realized: 42, Master: "c1", Connected: true, Live: true, DatapathID: 0x51c1ce0000000001, Flows: 65, Agent: store.Program{Version: "v0.2.0", Schema: 2},
				Drift: &host.Drift{Missing: 2, Extra: 1, Last: time.Date(2026, 11, 22, 10, 5, 0, 0, time.UTC)}},
			{Name: "h2", State: store.HostMissing, Realized: 42, Master: "c1", Connected: true, Live: true, DatapathID: 0x51c1ce0000000002, Flows: 60, Missing: h2.Missing, Problems: h2.Problems},
			{Name: "h3", State: store.HostDown, Realized: 40, DatapathID: 0x51c1ce0000000003},
			{Name: "h4", State: store.HostLastKnown, Realized: 41, Master: "c1", Connected: true, Live: true, DatapathID: 0x51c1ce0000000004, Flows: 60},
		},
		Controllers: []api.ControllerStatus{
			{Name: "c1", OpenFlow: "172.30.0.100:6653", API: "http://127.0.0.1:8080", Since: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Answers: true, Program: store.Program{Version: "v0.2.0", Schema: 2}},
		},
		Unknown: []store.DatapathID{0xbadc0ffee}, UnknownMore: 980, UnknownShows: map[string]string{"0000000badc0ffee": "the certificate of host:h2"},
		Problems: append(store.Problems{{Object: "tenants/bob", Text: "its gateway host h2 is away: start its agent, or choose another"}}, h2.Problems...),
	}
	someFlows = []api.Flow{
		{Host: "h1", Table: 0, TableName: "classify", Priority: 200, Cookie: "0x0500000100000004", Owner: "port alice/default/a1", Packets: 12, Bytes: 1176,
			Text: "cookie=0x500000100000004,table=0,priority=200,in_port=3 actions=write_metadata:0x100000001,goto_table:2"},
		{Host: "h1", Table: 0, TableName: "classify", Priority: 0, Cookie: "0x0100000000000000", Owner: "base",
			Text: "cookie=0x100000000000000,table=0,priority=0 actions=drop"},
		{Host: "h1", Table: 6, TableName: "admit", Priority: 0, Cookie: "0x0100000000000000", Owner: "base", Packets: 3, Bytes: 180, Note: "refuses: spoofed",
			Text: "cookie=0x100000000000000,table=6,priority=0 actions=load:0x1->NXM_NX_REG5[],goto_table:90"},
	}
	drift = []api.Flow{
		{Host: "h1", Table: 2, TableName: "admit", Priority: 100, Cookie: "0x0500000100000004", Owner: "port alice/default/a1", Change: "add",
			Text: "cookie=0x500000100000004,table=2,priority=100,in_port=3,dl_src=02:00:0a:00:00:02 actions=goto_table:5"},
		{Host: "h2", Table: 99, TableName: "99", Priority: 1, Cookie: "0x0000000000000000", Owner: "unknown 0x0", Change: "delete",
			Text: "cookie=0x0,table=99,priority=1 actions=NORMAL"},
	}
	expiry     = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	someTokens = []api.Token{
		{Name: "bobs", Role: store.RoleTenant, Tenant: "bob", Valid: true, Expires: &expiry, By: "token ci", Created: 40},
		{Name: "ci", Role: store.RoleAdmin, Valid: true, By: "local", Created: 31},
		{Name: "old", Role: store.RoleTenant, Tenant: "gone", By: "local", Created: 12},
		{Name: "ops", Role: store.RoleViewer, Person: true, Valid: true, By: "person root", Created: 50},
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
		{"tenant-list", func(w io.Writer) { writeTenants(w, []api.Tenant{alice, bob}) }},
		{"tenant-list-empty", func(w io.Writer) { writeTenants(w, nil) }},
		{"tenant-show", func(w io.Writer) { writeTenant(w, alice) }},
		{"tenant-show-bare", func(w io.Writer) { writeTenant(w, bob) }},
		{"network-list", func(w io.Writer) { writeNetworks(w, []api.Network{aliceDefault, bobDefault}) }},
		{"network-show", func(w io.Writer) { writeNetwork(w, aliceDefault) }},
		{"host-list", func(w io.Writer) { writeHosts(w, []api.Host{h1, h2}) }},
		{"host-show", func(w io.Writer) { writeHost(w, h2) }},
		{"host-show-last-known", func(w io.Writer) {
			writeHost(w, api.Host{
				Name: "h4", State: store.HostLastKnown, Realized: 41, Master: "c1", Connected: true,
				Host: store.Host{NoGateway: "its routes overlap"},
			})
		}},
		{"port-list", func(w io.Writer) { writePorts(w, []api.Port{a1}) }},
		{"port-show", func(w io.Writer) { writePort(w, a1) }},
		{"gateway-list", func(w io.Writer) {
			writeGateways(w, []api.Gateway{
				{Tenant: "alice", Policy: "auto", Gateway: store.Gateway{Active: "h1", Draining: []string{"h3"}, Epoch: 2, Why: "h3 drains"}},
				{Tenant: "bob", Policy: "h2"},
			})
		}},
		{"status", func(w io.Writer) { writeStatus(w, fullStatus) }},
		{"token-new", func(w io.Writer) {
			writeNewToken(w, w, api.NewToken{Token: someTokens[0], Text: "sluice_bobs_00ff"})
			writeNewToken(w, w, api.NewToken{Token: someTokens[3]})
		}},
		{"token-list", func(w io.Writer) { writeTokens(w, someTokens) }},
		{"tidy-values", func(w io.Writer) {
			writeStrays(w, api.Strays{ID: "0a1b2c3d4e5f", Taken: 346, More: true, Values: []api.Stray{
				{Value: "addresses/alice/default/10.0.0.7", Owner: "ports/h1/alice/default/a1", Modified: 20}, {Value: "vlans/9", Modified: 21},
			}})
		}},
		{"tidy-values-none", func(w io.Writer) { writeStrays(w, api.Strays{Taken: 346}) }},
		{"tidy-ports", func(w io.Writer) {
			writeUnreadable(w, api.UnreadablePorts{ID: "0a1b2c3d4e5f", More: true, Ports: []api.UnreadablePort{
				{Tenant: "alice", Network: "default", Name: "a1", Host: "h8", Modified: 20, Why: "invalid character 'r'"},
			}})
		}},
		{"tidy-hosts", func(w io.Writer) {
			writeAbsentHosts(w, api.AbsentHosts{ID: "0a1b2c3d4e5f", Hosts: []api.AbsentHost{{Host: "h8", Ports: 8, Newest: 20}, {Host: "h9", Ports: 13, Newest: 30}}})
		}},
		{"tidy-hosts-one", func(w io.Writer) {
			writeAbsentHosts(w, api.AbsentHosts{ID: "0a1b2c3d4e5f", Hosts: []api.AbsentHost{{Host: "h8", Ports: 1, Newest: 20}}})
		}},
		{"status-empty", func(w io.Writer) { writeStatus(w, api.Status{}) }},
		{"flows", func(w io.Writer) { writeFlows(w, someFlows, false, false) }},
		{"flows-diff", func(w io.Writer) { writeFlows(w, drift, true, true) }},
		{"lab-status", func(w io.Writer) { writeLab(w, labRuns) }},
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
		{"tenant-list.json", formatJSON, []api.Tenant{alice}},
		{"tenant-list.yaml", formatYAML, []api.Tenant{alice}},
		{"network-list.json", formatJSON, []api.Network{aliceDefault}},
		{"host-list.json", formatJSON, []api.Host{h2}},
		{"port-list.json", formatJSON, []api.Port{a1}},
		{"status.json", formatJSON, fullStatus},
		{"flows.json", formatJSON, someFlows},
		{"token-list.json", formatJSON, someTokens},
		{"lab-status.json", formatJSON, labRuns},
		{"empty-list.json", formatJSON, []api.Tenant{}},
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
