package integration

import (
	"context"
	"fmt"
	"testing"

	"sluice/controller/client"
	"sluice/store"
)

// A host whose agent cannot make the tunnel port, since another port of the bridge has the same tunnel, is
// unreachable: an attach there is refused with the reason, one elsewhere is not. Once it can, all goes on.
func TestHostWithoutTunnelPort(t *testing.T) {
	st := needLab(t)
	a, b := pair(t, "untunnelled")
	h2 := st.Hosts[1]
	vsctl := func(args ...string) {
		t.Helper()
		if out, err := h2.Switch().VSCtl(context.WithoutCancel(t.Context()), args...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	stands := func(want store.HostState) {
		t.Helper()
		eventually(t, "h2 stands well or not", func() error {
			if is := answer[client.Host](t, "host", "show", "h2"); is.State != want {
				return fmt.Errorf("it is %s, want %s", is.State, want)
			}
			return nil
		})
	}
	sluice(t, "lab", "pause", "agent/h2")
	t.Cleanup(func() { sluice(t, "lab", "resume", "agent/h2") })
	vsctl("del-port", store.BridgeName, store.TunnelInterface)
	stands(store.HostUnreachable)
	vsctl("add-port", store.BridgeName, "intruder", "--", "set", "interface", "intruder", "type=vxlan",
		"options:remote_ip=flow", "options:key=flow", "options:dst_port=4789", "options:local_ip="+h2.VTEP.String())
	t.Cleanup(func() { vsctl("--if-exists", "del-port", store.BridgeName, "intruder") })
	sluice(t, "lab", "resume", "agent/h2")
	refused(t, []string{"h2", "no interface " + store.TunnelInterface, "start its agent"}, "lab", "run", "h2", "untunnelled", "untunnelled-3")
	sluice(t, "lab", "run", "h1", "untunnelled", "untunnelled-4") // which warns of h2
	t.Cleanup(func() { command(t, "lab", "rm", "untunnelled-4") })
	vsctl("del-port", store.BridgeName, "intruder")
	stands(store.HostRealized)
	container(t, "h2", "untunnelled", "untunnelled-5")
	wantPing(t, a, ipOf(b))
	wantNoDiff(t)
}
