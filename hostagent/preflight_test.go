package hostagent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

func TestSupported(t *testing.T) {
	for _, c := range []struct{ text, says, lacks string }{
		{"ovs-vswitchd (Open vSwitch) 3.1.0\n", "version 3.1.0", ""},
		{"ovs-vswitchd (Open vSwitch) 3.5.1", "version 3.5.1", ""},
		{"ovs-vswitchd (Open vSwitch) 10.0.0", "version 10.0.0", ""},
		{"ovs-vswitchd (Open vSwitch) 2.17.9", "", "2.17.9 runs, and 3.1 is needed"},
		{"ovs-vswitchd (Open vSwitch) 3.0.4", "", "3.0.4 runs"},
		{"ovs-vswitchd", "", "no version"},
	} {
		says, err := supported(c.text)
		if says != c.says || !strings.Contains(fmt.Sprint(err), c.lacks) || (err != nil) != (c.lacks != "") {
			t.Errorf("%q: %q, %v; want %q, %q", c.text, says, err, c.says, c.lacks)
		}
	}
}

func TestLackingFeatures(t *testing.T) {
	const all = "Masked set action: Yes\nTunnel push pop: No\nUfid: Yes\nClone action: Yes\nRecirc: Yes\nCT state: Yes\nCT zone: Yes\nCT mark: Yes\nCT state NAT: Yes\n"
	if lacking := lackingFeatures(all); len(lacking) > 0 {
		t.Errorf("a datapath that can do all lacks %q", lacking)
	}
	for _, need := range datapathNeeds {
		for _, text := range []string{
			strings.Replace(all, need.feature+": Yes", need.feature+": No", 1),
			strings.Replace(all, need.feature+": Yes\n", "", 1),
		} {
			if got, want := lackingFeatures(text), []string{need.feature + " (" + need.why + ")"}; !slices.Equal(got, want) {
				t.Errorf("without %s it lacks %q", need.feature, got)
			}
		}
	}
}

// What ovs-ofctl says of the meters of Open vSwitch's userspace datapath, and of one without any.
func TestHasMeters(t *testing.T) {
	for text, want := range map[string]bool{
		"OFPST_METER_FEATURES reply (OF1.3) (xid=0x2):\nmax_meter:262144 max_bands:8 max_color:0\nband_types: drop\n": true,
		"OFPST_METER_FEATURES reply (OF1.3) (xid=0x2):\nmax_meter:0 max_bands:0 max_color:0\nband_types:\n":           false,
		"OFPST_METER_FEATURES reply (OF1.3) (xid=0x2):\nmax_meter:10 max_bands:8\n":                                   true,
		"": false,
	} {
		if got := hasMeters(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// lacks are the names of what a host lacks.
func lacks(findings []Finding) (names []string) {
	for _, f := range findings {
		if f.Err != nil {
			names = append(names, f.Name)
		}
	}
	return names
}

// TestFindingsAreOneLineEach looks at a host that lacks most: each finding stays in its line, and
// each that depends on no other says what to do.
func TestFindingsAreOneLineEach(t *testing.T) {
	nowhere := Options{VTEP: store.DefaultTransit.Kernel(), Encap: "vxlan", OVSDB: "unix:" + t.TempDir() + "/db.sock", RunDir: t.TempDir()}
	does := map[string]string{
		"nftables": "install nftables", "tunnel address": "--vtep", "Open vSwitch": "start its ovs-vswitchd", "database": "--ovsdb",
	}
	t.Setenv("PATH", t.TempDir())
	for _, f := range Check(t.Context(), nowhere) {
		if strings.Contains(f.String(), "\n") {
			t.Errorf("more than one line: %q", f)
		}
		if want := does[f.Name]; want != "" && (f.Err == nil || !strings.Contains(f.Err.Error(), want)) {
			t.Errorf("%s: does not say %q", f, want)
		}
	}
}

// TestPreflight takes things away from a host that has all, one at a time. The looking leaves
// nothing behind.
func TestPreflight(t *testing.T) {
	h := newHost(t)
	traces := func() string {
		return h.vsctl("list-br") + h.run("nft", "list", "ruleset") + h.run("ip", "-br", "link")
	}
	before := traces()
	h.run("ip", "link", "add", probePort, "type", "veth", "peer", "name", probeEnd) // as a preflight leaves it that was killed
	for says, resolver := range map[string]bool{"the kernel has what the resolver needs": true, "as --dns=false says": false} {
		o := h.options
		o.Resolver = resolver
		findings := Check(t.Context(), o)
		at := slices.IndexFunc(findings, func(f Finding) bool { return f.Name == "names" && f.Err == nil && strings.Contains(f.Says, says) })
		if at < 0 {
			t.Errorf("with resolver %t: no finding %q: %v", resolver, says, findings)
		}
	}
	for _, c := range []struct {
		name string
		take func(o *Options)
		want []string
	}{
		{"nothing lacks", func(*Options) {}, nil},
		{"a switch's database that is not there", func(o *Options) { o.OVSDB = "unix:" + h.path("other.sock") }, []string{"database", "datapath"}},
		{"a switch that does not run", func(o *Options) { o.RunDir = h.path("other") }, []string{"Open vSwitch", "datapath"}},
		{"a datapath that the switch has not", func(o *Options) { o.DatapathType = "system" }, []string{"datapath"}},
		{"a tunnel address that is not the host's", func(o *Options) { o.VTEP = store.DefaultTransit.Kernel() }, []string{"tunnel address", "MTU"}},
		{"a small underlay", func(*Options) { h.run("ip", "link", "set", "under0", "mtu", "629") }, []string{"MTU"}},
		{"the least underlay", func(*Options) { h.run("ip", "link", "set", "under0", "mtu", "630") }, nil},
	} {
		o := h.options
		c.take(&o)
		findings := Check(t.Context(), o)
		if diff := cmp.Diff(c.want, lacks(findings)); diff != "" {
			t.Errorf("%s: lacking: -want +got\n%s\n%v", c.name, diff, findings)
		}
	}
	h.run("ip", "link", "set", "under0", "mtu", "1500")
	if diff := cmp.Diff(before, traces()); diff != "" {
		t.Errorf("the preflight left: -before +after\n%s", diff)
	}
}

// TestPreflightAsksTheDatapathThatIsWanted looks at a host whose bridge has one type of datapath and is to
// have another. The switch of tests has the one in userspace alone.
func TestPreflightAsksTheDatapathThatIsWanted(t *testing.T) {
	h := newHost(t)
	for _, c := range []struct {
		has, wanted string // has: the bridge's; empty: no bridge
		want        string
	}{
		{"", "netdev", "datapath: datapath in userspace (netdev) can do all that flows need"},
		{"netdev", "netdev", "datapath: datapath in userspace (netdev) can do all that flows need"},
		{"system", "netdev", "datapath: datapath in userspace (netdev) can do all that flows need"},
		{"netdev", "system", "datapath: lacking: this switch has no datapath of the kernel (system): "},
		{"netdev", "", "load the kernel's module openvswitch, or use --datapath-type netdev"},
		{"netdev", "kernel", `no datapath of type "kernel"`},
	} {
		h.vsctl("--if-exists", "del-br", store.BridgeName)
		if c.has != "" {
			h.vsctl("--no-wait", "add-br", store.BridgeName, "--", "set", "bridge", store.BridgeName, "datapath_type="+c.has)
		}
		if c.has == "netdev" {
			h.eventually("the bridge is there", func() bool { _, err := os.Stat(h.path(store.BridgeName + ".mgmt")); return err == nil })
		}
		o := h.options
		o.DatapathType = c.wanted
		findings := Check(t.Context(), o)
		at := slices.IndexFunc(findings, func(f Finding) bool { return f.Name == "datapath" })
		if got := findings[at].String(); !strings.Contains(got, c.want) {
			t.Errorf("bridge of %q, wanted %q: %s; want %s", c.has, c.wanted, got, c.want)
		}
		if has := h.vsctl("list-br"); strings.Contains(has, probeBridge) {
			t.Errorf("bridge of %q, wanted %q: the preflight's bridge is left: %s", c.has, c.wanted, has)
		}
	}
}

// The flows of a network begin with a meter, and a gateway host limits connections zone by zone: a switch
// that cannot be asked for these has not been found to have them.
func TestPreflightAsksForLimits(t *testing.T) {
	h := newHost(t)
	nft, err := exec.LookPath("nft")
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir()
	if err := os.Symlink(nft, path+"/nft"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path)
	if diff := cmp.Diff([]string{"datapath"}, lacks(Check(t.Context(), h.options))); diff != "" {
		t.Errorf("without ovs-ofctl: lacking: -want +got\n%s", diff)
	}
}

// TestPreflightWithoutPrivileges runs the checks as root that lost one capability.
func TestPreflightWithoutPrivileges(t *testing.T) {
	h := newHost(t)
	for capability, want := range map[string][]string{
		"net_admin":  {"privileges", "nftables"},
		"net_raw":    {"privileges"},
		"sys_admin":  {"privileges"},
		"sys_ptrace": {"privileges"},
	} {
		o := h.options
		o.Store, o.Log = nil, nil
		options, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("setpriv", "--bounding-set=-"+capability, self)
		cmd.Env = append(os.Environ(), envCheck+"="+string(options))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if diff := cmp.Diff(want, strings.Fields(string(out))); diff != "" {
			t.Errorf("without %s: lacking: -want +got\n%s", capability, diff)
		}
	}
}

// checkMain prints the names of what this process lacks, for a test that takes it privileges.
func checkMain(text string) int {
	var o Options
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, name := range lacks(Check(context.Background(), o)) {
		fmt.Println(name)
	}
	return 0
}

// TestUnfitHost starts an agent on a host that lacks something: it says so and is not registered,
// until the host has it.
func TestUnfitHost(t *testing.T) {
	h := newHost(t)
	h.run("ip", "link", "set", "under0", "mtu", "600")
	a, err := New(h.options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	h.eventually("it answers", func() bool { _, err := h.dial().Status(t.Context()); return err == nil })
	want := []string{
		"preflight: this host lacks 1 of 8 things that were looked at, and is not registered before it has them",
		"preflight: MTU: the underlay's 600 leaves containers 546: IPv4 needs 576, so give the underlay 630 or more",
	}
	h.eventually("it says what it lacks, and all else is made", func() bool {
		// There may be no bridge yet whose ports can be listed.
		return slices.Equal(a.Status().Problems, want) && strings.Contains(h.vsctl("show"), store.GatewayInterface)
	})
	if hosts, _, err := h.client.List(t.Context(), store.KindHost); err != nil || len(hosts) > 0 {
		t.Errorf("hosts %v, %v; want none", hosts, err)
	}
	h.run("ip", "link", "set", "under0", "mtu", "1500")
	h.eventually("it is registered", func() bool { return a.registration.ready() != nil })
	if problems := a.Status().Problems; len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
}
