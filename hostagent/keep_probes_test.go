package hostagent

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

func TestProbePorts(t *testing.T) {
	host := func(name, vtep, encap string, gateway bool) store.Event {
		h := &store.Host{Encap: encap, Gateway: gateway}
		if vtep != "" {
			h.VTEPs = []netip.Addr{netip.MustParseAddr(vtep)}
		}
		return store.Event{Key: store.HostKey(name), Object: h}
	}
	hosts := []store.Event{host("own", "172.30.0.1", "vxlan", true), host("plain", "172.30.0.2", "vxlan", false),
		host("gate", "172.30.0.3", "vxlan", true), host("other", "172.30.0.4", "gre", true), host("six", "fd30::5", "vxlan", true), host("none", "", "vxlan", true),
		// Two names with one FNV-1a hash of 32 bits.
		host("costarring", "172.30.0.6", "vxlan", true), host("liquid", "172.30.0.7", "vxlan", true)}
	for gateway, want := range map[bool][]string{false: {"gate"}, true: {"gate", "plain"}} {
		o := Options{Host: "own", VTEP: netip.MustParseAddr("172.30.0.1"), Encap: "vxlan", Gateway: gateway}
		ports := probePorts(o, hosts)
		var names []string
		for _, h := range want {
			names = append(names, store.ProbeInterface(h))
		}
		slices.Sort(names)
		if diff := cmp.Diff(names, slices.Sorted(maps.Keys(ports))); diff != "" {
			t.Errorf("a gateway host %t (-want +got):\n%s", gateway, diff)
		}
		gate := ports[store.ProbeInterface("gate")]
		wantOptions := map[string]string{"remote_ip": "172.30.0.3", "local_ip": "172.30.0.1", "key": "16777214", "dst_port": "4789"}
		if diff := cmp.Diff(wantOptions, gate.Options); diff != "" || gate.Type != "vxlan" || gate.BFD["enable"] != "false" { // it is raised once the switch holds its flows
			t.Errorf("the probe is %+v (-want +got):\n%s", gate, diff)
		}
	}
	if store.HostHash("costarring") != store.HostHash("liquid") {
		t.Error("the two names have two hashes")
	}
}

// While gateways fail over the switch has a probe for each gateway host; else it has none.
func TestProbesComeAndGo(t *testing.T) {
	h := newHost(t)
	if _, err := h.client.RegisterHost(t.Context(), "other", store.Host{Incarnation: "other", DatapathID: datapathID("other"),
		VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.9")}, Encap: "geneve", Gateway: true}); err != nil {
		t.Fatal(err)
	}
	h.start()
	probe := store.ProbeInterface("other")
	for _, on := range []bool{true, false} {
		spec := store.FailOverSpec{On: on}
		if _, err := h.client.Decide(t.Context(), spec.Propose, spec.Needs()...); err != nil {
			t.Fatal(err)
		}
		h.eventually(fmt.Sprintf("probes: %t", on), func() bool {
			ports, err := h.ovs().VSCtl(t.Context(), "list-ports", store.BridgeName)
			return err == nil && strings.Contains(ports, probe) == on
		})
	}
}

// everyThird are probes every 300 ms, or half as often where the switch was busy.
var everyThird = regexp.MustCompile(`min_rx="(300|600)", min_tx="(300|600)"`)

// Probes are raised once the cluster says that the switch holds its flows. A switch that was started anew has them lowered at once,
// also while no etcd answers.
func TestProbesWaitForFlows(t *testing.T) {
	h := newHost(t)
	if _, err := h.client.RegisterHost(t.Context(), "other", store.Host{Incarnation: "other", DatapathID: datapathID("other"),
		VTEPs: []netip.Addr{netip.MustParseAddr("172.30.0.9")}, Encap: "geneve", Gateway: true}); err != nil {
		t.Fatal(err)
	}
	h.start()
	spec := store.FailOverSpec{On: true}
	if _, err := h.client.Decide(t.Context(), spec.Propose, spec.Needs()...); err != nil {
		t.Fatal(err)
	}
	raised := func(want string) func() bool {
		return func() bool {
			is, err := h.ovs().VSCtl(t.Context(), "--if-exists", "get", "interface", store.ProbeInterface("other"), "bfd:enable")
			return err == nil && strings.Trim(is, "\"\n") == want
		}
	}
	h.eventually("the probe is silent", raised("false"))
	h.realizeAll()
	h.eventually("the probe is raised", raised("true"))
	spec.Interval = 300 * time.Millisecond
	if _, err := h.client.Decide(t.Context(), spec.Propose, spec.Needs()...); err != nil {
		t.Fatal(err)
	}
	h.eventually("the probe goes every 300 ms", func() bool {
		bfd, err := h.ovs().VSCtl(t.Context(), "get", "interface", store.ProbeInterface("other"), "bfd")
		return err == nil && everyThird.MatchString(bfd) && strings.Contains(bfd, `mult="4"`) && strings.Contains(bfd, `cpath_down="false"`)
	})
	h.server.Close()
	kill(h.vswitchd)
	h.startVSwitchd()
	h.eventually("the probe of a switch without flows is silent", raised("false"))
	h.serveStore(t.Context())
	h.eventually("the probe is raised again", raised("true"))
}
