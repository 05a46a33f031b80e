package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	goovs "github.com/digitalocean/go-openvswitch/ovs"

	"sluice/datapath/ovsrun"
	"sluice/integration/lab"
	"sluice/store"
)

// A switch on h3, which has h3's certificate, says that it is h1's: it gets no flow, people are told,
// and h1 is programmed as before. In the clear it is not heard at all.
func TestImpostorIsRefused(t *testing.T) {
	st := needLab(t)
	tenant(t, "robbed")
	own, thief := st.Hosts[0], st.Hosts[2]
	id, err := own.Switch().VSCtl(t.Context(), "get", "bridge", store.BridgeName, "datapath_id")
	if err != nil {
		t.Fatal(err)
	}
	id = strings.Trim(strings.TrimSpace(id), `"`)
	for _, kind := range []string{"tcp", "ssl"} {
		addImpostor(t, thief, "impostor-"+kind, id, kind+":172.30.0.100:6653")
	}
	eventually(t, "sluice status tells of the impostor", func() error {
		out := sluice(t, "status")
		for _, want := range []string{"hosts/h1", "the certificate of host:h3"} {
			if !strings.Contains(out, want) {
				return fmt.Errorf("no %s in\n%s", want, out)
			}
		}
		return nil
	})
	a, b := container(t, "h1", "robbed", "robbed-1"), container(t, "h2", "robbed", "robbed-2")
	if !ping(a, b.IPs[0], 3) {
		t.Error("h1's container does not reach h2's")
	}
	for _, kind := range []string{"tcp", "ssl"} {
		if flows := dumpText(t, thief, "impostor-"+kind); strings.Contains(flows, "cookie=") {
			t.Errorf("the impostor was given flows:\n%s", flows)
		}
	}
}

func addImpostor(t *testing.T, h lab.Host, name, id, controller string) {
	t.Helper()
	err := h.Switch().Change(t.Context(), func(c *ovsrun.Change) error {
		return errors.Join(c.AddBridge(name),
			c.Also("set", "bridge", name, "datapath_type=netdev", "other_config:datapath-id="+id),
			c.SetFailMode(name, goovs.FailModeSecure),
			c.SetController(name, controller))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Switch().Client(context.Background()).VSwitch.DeleteBridge(name); err != nil {
			t.Error(err)
		}
	})
}
