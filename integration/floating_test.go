package integration

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// float and another are addresses in the subnet of all hosts' uplinks.
var float, another = netip.MustParseAddr("172.30.0.200"), netip.MustParseAddr("172.30.0.201")

// floatingAllowed lets addresses float until the test ends: the two, and one that is a host's own.
func floatingAllowed(t *testing.T) {
	t.Helper()
	sluice(t, "gateway", "floating", "172.30.0.2", "172.30.0.200-172.30.0.201")
	t.Cleanup(func() { sluice(t, "gateway", "floating", "--none") })
}

// hasFloat reports whether a host's uplink has an address.
func hasFloat(t *testing.T, host string, a netip.Addr) bool {
	t.Helper()
	return strings.Contains(inHost(t, host, "ip", "-4", "addr"), "inet "+a.String()+"/")
}

// floatOnlyAt waits until one of the hosts has an address, and no other.
func floatOnlyAt(t *testing.T, a netip.Addr, host string) {
	t.Helper()
	within(t, time.Minute, fmt.Sprintf("%s is at %s alone", a, host), func() error {
		for _, h := range []string{"h1", "h2", "h3"} {
			if has := hasFloat(t, h, a); has != (h == host) {
				return fmt.Errorf("%s has it: %t", h, has)
			}
		}
		return nil
	})
}

// reachedAt waits until the internet reaches a container by a floating address, and says how it sees it come.
func reachedAt(t *testing.T, at netip.AddrPort, who, from string) (v *visitor) {
	t.Helper()
	within(t, time.Minute, at.String()+" is open", func() (err error) {
		if v, err = visitAt(t, at, time.Second); err == nil && !strings.HasPrefix(v.hello, who+" "+from+":") {
			err = fmt.Errorf("%s sees %q, want %s", who, v.hello, from)
		}
		return err
	})
	return v
}

// customers open a connection after another until they are told to end.
type customers struct{ end chan chan customersTold }

type customersTold struct {
	served  int
	longest time.Duration // between two that were served
}

// come has customers come to an address.
func come(t *testing.T, at netip.AddrPort, who string) customers {
	t.Helper()
	c := customers{make(chan chan customersTold)}
	go func() {
		told, last := customersTold{}, time.Now()
		for {
			if v, err := visitAt(t, at, 500*time.Millisecond); err == nil {
				if strings.HasPrefix(v.hello, who+" ") {
					told.longest, last = max(told.longest, time.Since(last)), time.Now()
					told.served++
				}
				v.Close()
			}
			select {
			case back := <-c.end:
				told.longest = max(told.longest, time.Since(last))
				back <- told
				return
			case <-t.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return c
}

// told ends them.
func (c customers) told() customersTold {
	back := make(chan customersTold)
	c.end <- back
	return <-back
}

// A floating address is its tenant's at whichever host the gateway is: there come its published ports and nothing of the host's, and two
// tenants have one port on two addresses. It moves with the gateway, and what is open goes on.
func TestFloatingAddress(t *testing.T) {
	needLab(t)
	endsProved(t)
	floatingAllowed(t)
	tenant(t, "float-a", "--gateway", "h1")
	tenant(t, "float-b", "--gateway", "h1")
	web, other := container(t, "h3", "float-a", "float-web"), container(t, "h2", "float-b", "float-other")
	for _, c := range []lab.Container{web, other} {
		serveTCP(t, c, 80)
		serveUDP(t, c, 53)
	}
	publish := func(tenant, port, on string, more ...string) []string {
		return append([]string{"publish", tenant, "--port", port, "--on", on}, more...)
	}
	refused(t, []string{"172.30.0.199 may not float", "172.30.0.2, 172.30.0.200-172.30.0.201"}, publish("float-a", "float-web", "172.30.0.199:80", "--tcp", "80")...)
	refused(t, []string{"172.30.0.2 is an address of host h2 itself"}, publish("float-a", "float-web", "172.30.0.2:80", "--tcp", "80")...)
	told := sluice(t, publish("float-a", "float-web", float.String()+":8080", "--tcp", "80")...)
	if !strings.Contains(told, "tcp 8080 of 172.30.0.200, at host h1 now, leads to tcp 80 of float-a/default/float-web") || !strings.Contains(told, "this address floats") {
		t.Errorf("publish says %s", told)
	}
	sluice(t, publish("float-a", "float-web", float.String()+":8081", "--tcp", "80", "--keep-source")...)
	sluice(t, publish("float-a", "float-web", float.String()+":5353", "--udp", "53")...)
	refused(t, []string{"172.30.0.200 is float-a/tcp-8080's for longer"}, publish("float-b", "float-other", float.String()+":80", "--tcp", "80")...)
	sluice(t, publish("float-b", "float-other", another.String()+":8080", "--tcp", "80")...)
	refused(t, []string{"172.30.0.201 is published by float-b/tcp-8080"}, "gateway", "floating", float.String())

	at, internet := netip.AddrPortFrom(float, 8080), "172.30.0.254"
	hidden := reachedAt(t, at, "float-web", float.String())
	kept := reachedAt(t, netip.AddrPortFrom(float, 8081), "float-web", internet)
	reachedAt(t, netip.AddrPortFrom(another, 8080), "float-other", another.String())
	questions := askingAt(t, netip.AddrPortFrom(float, 5353))
	answers(t, questions, "float-web "+float.String())
	if v, err := visit(t, "h1", 8080); err == nil {
		t.Errorf("the host's own address answers %s", v.hello)
	}
	nothingOfTheHost(t)

	answers(t, questions, "float-web ")
	visitors := come(t, at, "float-web")
	sluice(t, "gateway", "policy", "float-a", "h2")
	floatOnlyAt(t, float, "h2")
	reachedAt(t, at, "float-web", float.String())
	served := visitors.told()
	t.Logf("over the move %d connections were served, the longest time between two was %s", served.served, served.longest)
	for name, v := range map[string]*visitor{"hidden": hidden, "kept": kept} {
		if err := v.says("after the move"); err != nil {
			t.Errorf("the connection (%s) after the gateway moved to h2: %v", name, err)
		}
	}
	answers(t, questions, "float-web ")
	if !hasFloat(t, "h1", another) {
		t.Error("the address of the other tenant went too")
	}
	sluice(t, "unpublish", "float-a", "tcp-8080")
	eventually(t, "what was open ends", func() error {
		if err := hidden.says("ended"); err == nil {
			return errors.New("it goes on")
		}
		return nil
	})
	reachedAt(t, netip.AddrPortFrom(float, 8081), "float-web", internet)
	for _, name := range []string{"tcp-8081", "udp-5353"} {
		sluice(t, "unpublish", "float-a", name)
	}
	floatOnlyAt(t, float, "")
}

// nothingOfTheHost: the host's programs are not on floating addresses, and the cluster does not take these for the host's.
func nothingOfTheHost(t *testing.T) {
	t.Helper()
	own, err := lab.ListenIn(t.Context(), "sluice-h1", "tcp", "0.0.0.0:9977")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	go func() {
		for {
			conn, err := own.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "a program of the host")
			conn.Close()
		}
	}()
	if _, err := visitAt(t, netip.AddrPortFrom(uplink("h1"), 9977), time.Second); err != nil {
		t.Errorf("the program is not reached at all: %v", err)
	}
	if v, err := visitAt(t, netip.AddrPortFrom(float, 9977), time.Second); err == nil {
		t.Errorf("by the floating address one reaches %s", v.hello)
	}
	if h := answer[client.Host](t, "host", "show", "h1"); slices.Contains(h.Addresses, float) {
		t.Errorf("the host tells of %v as its own", h.Addresses)
	}
}

// floatsFor publishes port 80 of a tenant's container on a floating address.
func floatsFor(t *testing.T, web lab.Container, tenant string) (at netip.AddrPort) {
	t.Helper()
	floatingAllowed(t)
	serveTCP(t, web, 80)
	sluice(t, "publish", tenant, "--port", web.Name, "--tcp", "80", "--on", float.String()+":80")
	t.Cleanup(func() { command(t, "unpublish", tenant, "tcp-80") })
	return netip.AddrPortFrom(float, 80)
}

// atBackup waits until the address is at the backup, and reached there.
func atBackup(t *testing.T, backup string, web lab.Container, visitors customers) {
	t.Helper()
	within(t, time.Minute, "the address is at the backup", func() error {
		if !hasFloat(t, backup, float) {
			return errors.New("it is not")
		}
		return nil
	})
	reachedAt(t, netip.AddrPortFrom(float, 80), web.Name, float.String())
	served := visitors.told()
	t.Logf("over the death %d connections were served, the longest time between two was %s", served.served, served.longest)
}

// A gateway host that loses its power loses its tenants' floating addresses: they are at the backup, and stay there when it returns.
func TestFloatingAddressFailsOver(t *testing.T) {
	g, others := failingOver(t, "float-f")
	web := others[len(others)-1]
	at := floatsFor(t, web, "float-f")
	open := reachedAt(t, at, web.Name, float.String())
	visitors := come(t, at, web.Name)
	sluice(t, "lab", "kill", g.Active)
	atBackup(t, g.Backup, web, visitors)
	if err := open.says("after the death"); err != nil {
		t.Errorf("what was open: %v", err)
	}
	within(t, time.Minute, "the backup takes over", func() error {
		if now := gatewayOf(t, "float-f"); now.Active != g.Backup {
			return fmt.Errorf("the gateway is %+v", now.Gateway)
		}
		return nil
	})
	sluice(t, "lab", "up")
	floatOnlyAt(t, float, g.Backup)
	reachedAt(t, at, web.Name, float.String())
}

// With no controller and no etcd there the backup takes the floating addresses of a gateway host that lost its power by itself.
func TestFloatingAddressFailsOverByItself(t *testing.T) {
	g, others := failingOver(t, "float-d")
	web := others[len(others)-1]
	at := floatsFor(t, web, "float-d")
	reachedAt(t, at, web.Name, float.String())
	visitors := come(t, at, web.Name)
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "kill", g.Active)
	atBackup(t, g.Backup, web, visitors)
	sluice(t, "lab", "up")
	wantNoDiff(t)
	floatOnlyAt(t, float, gatewayOf(t, "float-d").Active)
	reachedAt(t, at, web.Name, float.String())
}

// A gateway host whose agent and switch are cut off from etcd and the controllers keeps its tenant's floating address until the leader gives that to
// another, and lets it go then.
func TestFloatingAddressOfAHostThatIsCutOff(t *testing.T) {
	g, others := failingOver(t, "float-c")
	web := others[len(others)-1]
	at := floatsFor(t, web, "float-c")
	reachedAt(t, at, web.Name, float.String())
	visitors := come(t, at, web.Name)
	sluice(t, "lab", "cut", g.Active, "c1")
	t.Cleanup(func() { sluice(t, "lab", "heal", g.Active, "c1") })
	within(t, 2*time.Minute, "the backup takes over", func() error {
		if now := gatewayOf(t, "float-c"); now.Active != g.Backup {
			if !hasFloat(t, g.Active, float) {
				t.Error("the address is taken from a host that nobody replaced")
			}
			return fmt.Errorf("the gateway is %+v", now.Gateway)
		}
		return nil
	})
	floatOnlyAt(t, float, g.Backup)
	reachedAt(t, at, web.Name, float.String())
	served := visitors.told()
	t.Logf("over the cut %d connections were served, the longest time between two was %s", served.served, served.longest)
	sluice(t, "lab", "heal", g.Active, "c1")
	wantNoDiff(t)
	floatOnlyAt(t, float, g.Backup)
}

// While nobody reaches etcd floating addresses stay where they are. One of an agent that is dead goes from its host by itself, and comes with it again.
func TestFloatingAddressWithoutEtcdOrAgent(t *testing.T) {
	needLab(t)
	floatingAllowed(t)
	tenant(t, "float-e", "--gateway", "h1")
	web := container(t, "h3", "float-e", "float-e-web")
	serveTCP(t, web, 80)
	sluice(t, "publish", "float-e", "--port", web.Name, "--tcp", "80", "--on", float.String()+":80")
	at := netip.AddrPortFrom(float, 80)
	reachedAt(t, at, web.Name, float.String())
	t.Cleanup(func() { sluice(t, "lab", "up") })
	sluice(t, "lab", "kill", "controller")
	time.Sleep(25 * time.Second) // longer than leases, and than the kernel keeps an address that nobody renews
	reachedAt(t, at, web.Name, float.String())
	floatOnlyAt(t, float, "h1")
	sluice(t, "lab", "up")
	floatOnlyAt(t, float, "h1")
	sluice(t, "lab", "kill", "agent/h1")
	floatOnlyAt(t, float, "")
	sluice(t, "lab", "up")
	reachedAt(t, at, web.Name, float.String())
}
