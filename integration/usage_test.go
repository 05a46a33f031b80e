package integration

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

// A container that floods meets its tenant's limits, and nobody has to look into a host for it: what
// the tenant uses and what was refused to it shows in sluice tenant show and in /metrics, of all
// controllers together once.
func TestAFloodShows(t *testing.T) {
	st := needLab(t)
	const limit, flood = 48, 400
	tenant(t, "greedy", "--limit-connections", fmt.Sprint(limit), "--limit-broadcasts", "100", "--max-ports", "2", "--gateway", "h2")
	c := container(t, "h1", "greedy", "greedy-1")
	container(t, "h3", "greedy", "greedy-2")
	w := tap(t, c)
	eventually(t, "the gateway host keeps the limit", func() error {
		want := fmt.Sprintf("limit=%d,", limit)
		if is := inHost(t, "h2", "env", "OVS_RUNDIR="+st.Hosts[1].RunDir, "ovs-appctl", "dpctl/ct-get-limits"); !strings.Contains(is, want) {
			return fmt.Errorf("no zone has %s\n%s", want, is)
		}
		return nil
	})
	refused(t, []string{"limit reached"}, "lab", "run", "h3", "greedy", "greedy-3")
	mine, router := hw(c.MAC), net.HardwareAddr(store.RouterMAC[:])
	for n := range flood {
		w.send(t, ethernet(router, mine, 0x0800, udp4(ipOf(c), lab.InternetAddress, uint16(20000+n), 9, nil)))
	}
	for range 10 * flood {
		w.send(t, ethernet(broadcast, mine, 0x0800, udp4(ipOf(c), netip.MustParseAddr("255.255.255.255"), 9, 9, nil)))
	}
	var used client.TenantUsage
	eventually(t, "sluice tenant show tells of the flood", func() error {
		used = *answer[client.Tenant](t, "tenant", "show", "greedy").Usage
		seen := []bool{used.Connections == limit, used.KernelConnections >= limit/4, used.KernelDrops > 0, used.PortsRefused > 0,
			used.ConnectionDrops > 0, used.BroadcastDrops > 0}
		if slices.Contains(seen, false) {
			return fmt.Errorf("%+v", used)
		}
		return nil
	})
	text := sluice(t, "tenant", "show", "greedy")
	for _, want := range []string{fmt.Sprintf("%d connections", limit), fmt.Sprintf("%d packets of new connections in the kernel", used.KernelDrops), "1 attaches beyond its number of ports"} {
		if !strings.Contains(text, want) {
			t.Errorf("sluice tenant show does not say %q:\n%s", want, text)
		}
	}
	eventually(t, "metrics tell of the flood", func() error {
		used = *answer[client.Tenant](t, "tenant", "show", "greedy").Usage
		for _, want := range []struct {
			name, label string
			value       float64
		}{
			{"sluice_tenant_kernel_drops_total", "", float64(used.KernelDrops)},
			{"sluice_tenant_attaches_refused_total", `limit="ports"`, float64(used.PortsRefused)},
			{"sluice_tenant_drops_total", `reason="connection-limit"`, float64(used.ConnectionDrops)},
		} {
			if is := metric(t, st, want.name, `tenant="greedy"`, want.label); is != want.value {
				return fmt.Errorf("%s %s is %v, shown were %v", want.name, want.label, is, want.value)
			}
		}
		return nil
	})
}
