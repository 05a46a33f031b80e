package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

// renumber gives a tenant without ports another number, as if there were more tenants than slots.
func renumber(t *testing.T, st lab.Status, name string, number uint32) {
	t.Helper()
	client := dialEtcd(t, clientv3.Config{Endpoints: []string{st.Etcd}, Logger: zap.NewNop()})
	key := store.TenantKey(name).String()
	got, err := client.Get(t.Context(), key)
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("read tenant %s: %v", name, err)
	}
	var is store.Tenant
	if err := json.Unmarshal(got.Kvs[0].Value, &is); err != nil {
		t.Fatal(err)
	}
	taken := func(n uint32) string { return store.AllocKey("tenant-numbers", fmt.Sprint(n)).String() }
	before := taken(is.Number)
	is.Number = number
	value, err := json.Marshal(is)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Txn(t.Context()).Then(clientv3.OpPut(key, string(value)), clientv3.OpDelete(before),
		clientv3.OpPut(taken(number), fmt.Sprintf(`{"owner":"tenants/%s"}`, name))).Commit()
	if err != nil {
		t.Fatal(err)
	}
}

// runDirOf is where a host's Open vSwitch runs.
func runDirOf(st lab.Status, host string) string {
	at := slices.IndexFunc(st.Hosts, func(h lab.Host) bool { return h.Name == host })
	return st.Hosts[at].RunDir
}

// slotOf is a tenant's slot on a host; 0: its gateway was given none.
func slotOf(t *testing.T, name, host string) uint32 { return gatewayOf(t, name).Slots[host] }

// TestTenantsBeyondTheSlots has two tenants with long numbers and the same addresses: each host tells them by slots of its own. They
// leave, ask for names and are proved apart as all others; a restart changes no slot, and a move loses nothing.
func TestTenantsBeyondTheSlots(t *testing.T) {
	st := needLab(t)
	const far = 3 << 20
	var boxes []lab.Container
	for n, name := range []string{"far-a", "far-b"} {
		tenant(t, name, "--subnet", "10.0.0.0/24", "--gateway", "auto")
		renumber(t, st, name, far+uint32(n))
		boxes = append(boxes, container(t, "h1", name, name+"-1"), container(t, "h3", name, name+"-2"))
		sluice(t, "lab", "exec", boxes[2*n].Name, "--", "ping", "-c1", "-W5", boxes[2*n+1].IPs[0].String())
	}
	slots := map[string]uint32{}
	for n, name := range []string{"far-a", "far-b"} {
		box, host := boxes[2*n], gatewayOf(t, name).Active
		eventually(t, name+" leaves", func() error {
			if out, _, code := command(t, "lab", "exec", box.Name, "--", "ping", "-c1", "-W2", lab.InternetAddress.String()); code != 0 {
				return errors.New(out)
			}
			return nil
		})
		slots[name] = slotOf(t, name, host)
		want := store.DefaultTransit.Address(slots[name]).String()
		if is := transitOf(t, name); slots[name] == 0 || is != want {
			t.Errorf("%s has slot %d on %s, and transit address %s, want %s", name, slots[name], host, is, want)
		}
		eventually(t, "its zone is limited", func() error {
			is := inHost(t, host, "env", "OVS_RUNDIR="+runDirOf(st, host), "ovs-appctl", "dpctl/ct-get-limits")
			if !strings.Contains(is, fmt.Sprintf("zone=%d,", store.NATZone(slots[name]))) {
				return errors.New(is)
			}
			return nil
		})
		if got, err := lookUp(t, box, "udp", store.Resolver4, name+"-2.", dns.TypeA); err != nil || got != "NOERROR "+boxes[2*n+1].IPs[0].String() {
			t.Errorf("%s asks for a name: %q, %v", box.Name, got, err)
		}
	}
	if a, b := gatewayOf(t, "far-a"), gatewayOf(t, "far-b"); a.Active == b.Active && slots["far-a"] == slots["far-b"] {
		t.Errorf("both have slot %d of %s", slots["far-a"], a.Active)
	}
	sluice(t, "verify")
	if traced := traceOf(t, "far-a/far-a-1", lab.InternetAddress.String(), "--proto", "udp"); !strings.HasPrefix(traced.Text, "left by gateway host ") {
		t.Errorf("a trace says %s", traced.Text)
	}
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "up")
	wantNoDiff(t)
	for name, was := range slots {
		if is := slotOf(t, name, gatewayOf(t, name).Active); is != was {
			t.Errorf("after a restart %s has slot %d, before %d", name, is, was)
		}
	}
	wantLeader(t)
	movesOn(t, boxes[0], "far-a")
}

// movesOn moves a tenant's gateway under traffic.
func movesOn(t *testing.T, box lab.Container, name string) {
	t.Helper()
	from := gatewayOf(t, name).Active
	to := map[string]string{"h1": "h2", "h2": "h3", "h3": "h2"}[from]
	inside, outside := connected(t, box)
	sluice(t, "gateway", "move", name, to, "--timeout", "20s")
	var g client.Gateway
	eventually(t, "the gateway moved", func() error {
		if g = gatewayOf(t, name); g.Active != to {
			return fmt.Errorf("it is at %s: %s", g.Active, g.Why)
		}
		return nil
	})
	if g.Slots[to] == 0 || g.Slots[from] == 0 {
		t.Errorf("slots %v while it drains", g.Slots)
	}
	for _, c := range [][2]net.Conn{{outside, inside}, {inside, outside}} {
		if _, err := c[0].Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := c[1].Read(make([]byte, 1)); err != nil {
			t.Errorf("a connection from before the move: %v", err)
		}
	}
	inside.Close()
	outside.Close()
	eventually(t, "the host before forgets the tenant", func() error {
		if g = gatewayOf(t, name); len(g.Slots) != 1 || !g.Settled() {
			return fmt.Errorf("%+v", g)
		}
		return nil
	})
	if a, err := netip.ParseAddr(transitOf(t, name)); err != nil || a != store.DefaultTransit.Address(g.Slots[to]) {
		t.Errorf("its transit address is %s, %v", a, err)
	}
}
