package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// Two tenants that agree reach each other on one host and across hosts, whatever their segmentation and gateways;
// three in a row do not; and what one takes back ends at once, with what is under way. In the end the switches'
// flows are proved, with hostile edits of the ways between the tenants found.
func TestPeering(t *testing.T) {
	st := needLab(t)
	endsProved(t)
	tenant(t, "peer-a", "--subnet", "10.31.0.0/24", "--segmentation", "tunnel", "--gateway", "h1")
	tenant(t, "peer-b", "--subnet", "10.32.0.0/24", "--segmentation", "vlan", "--gateway", "h2")
	tenant(t, "peer-c", "--subnet", "10.33.0.0/24")
	a1, b1 := container(t, "h1", "peer-a", "peer-a1"), container(t, "h1", "peer-b", "peer-b1")
	b2, c3 := container(t, "h2", "peer-b", "peer-b2"), container(t, "h3", "peer-c", "peer-c3")
	wantNoPing(t, a1, ipOf(b1), ipOf(b2))

	offered := offer(t, "peer-a", "peer-b")
	if !strings.Contains(offered, "peering of peer-a and peer-b: offered") {
		t.Errorf("one side's word is answered %s", offered)
	}
	wantNoPing(t, a1, ipOf(b2))
	if agreed := offer(t, "peer-b", "peer-a"); !strings.Contains(agreed, "agreed") {
		t.Errorf("both sides' words are answered %s", agreed)
	}
	sluice(t, "peer", "peer-b", "peer-c")
	reaches(t, a1, ipOf(b2))
	for _, pair := range [][2]lab.Container{{a1, b1}, {b1, a1}, {b2, a1}, {b2, c3}, {c3, b1}} {
		wantPing(t, pair[0], ipOf(pair[1]))
	}
	countedAsPeering(t, st, a1, b2) // before the transfers, whose packets would be counted late
	wantTransfer(t, a1, b2)
	wantTransfer(t, b1, a1)
	wantNoPing(t, a1, ipOf(c3))
	wantNoPing(t, c3, ipOf(a1))
	wantPing(t, a1, netip.MustParseAddr("10.32.0.1")) // the other's router

	hostilePeering(t, st, a1)
	revoked(t, a1, b2)
	deletedPeer(t)
}

// offer says one tenant's word, with a token of its own.
func offer(t *testing.T, tenant, peer string) string {
	t.Helper()
	token, stderr, status := command(t, "token", "create", tenant+"-own", "--tenant", tenant)
	if status != 0 {
		t.Fatal(stderr)
	}
	t.Cleanup(func() { command(t, "token", "revoke", tenant+"-own") })
	stdout, stderr, status := command(t, "peer", tenant, peer, "--token", strings.TrimSpace(token))
	if status != 0 {
		t.Fatalf("%s would be peered with %s: %s", tenant, peer, stderr)
	}
	return stdout
}

// reaches waits until a change of flows came to the switches.
func reaches(t *testing.T, from lab.Container, to netip.Addr) {
	t.Helper()
	eventually(t, from.Name+" reaches "+to.String(), func() error {
		if !ping(from, to, 3) {
			return fmt.Errorf("no answer")
		}
		return nil
	})
}

// countedAsPeering: what passes counts for both tenants, on either side as peering.
func countedAsPeering(t *testing.T, st lab.Status, from, to lab.Container) {
	t.Helper()
	read := func(tenant, direction string) float64 {
		return metric(t, st, "sluice_tenant_packets_total", `tenant="`+tenant+`"`, `scope="peering"`, `direction="`+direction+`"`)
	}
	before := map[string]float64{}
	for _, key := range []string{"peer-a out", "peer-a in", "peer-b out", "peer-b in"} {
		tenant, direction, _ := strings.Cut(key, " ")
		before[key] = read(tenant, direction)
	}
	const pings = 100
	if answered := <-answersOf(from, to, pings); answered != pings {
		t.Errorf("of %d pings %d were answered", pings, answered)
	}
	eventually(t, "the counters match", func() error {
		for key, was := range before {
			tenant, direction, _ := strings.Cut(key, " ")
			if got := read(tenant, direction) - was; got < pings || got > pings+30 { // some of the pings before are read late
				return fmt.Errorf("%d pings, %v counted of %s", pings, got, key)
			}
		}
		return nil
	})
}

// answersOf pings so many times, and tells how many were answered.
func answersOf(from, to lab.Container, pings int) <-chan int {
	answers := make(chan int, 1)
	go func() {
		out, _ := exec.Command(program, "lab", "exec", from.Name, "--", // ping fails where one is lost: the numbers say it better
			"ping", "-n", "-i0.01", "-W1", fmt.Sprintf("-c%d", pings), ipOf(to).String()).CombinedOutput()
		answers <- strings.Count(string(out), "icmp_seq=")
	}()
	return answers
}

// hostilePeering: a flow that lets a tenant's frames into a network that it did not agree on is named.
func hostilePeering(t *testing.T, st lab.Status, a lab.Container) {
	t.Helper()
	h := st.Hosts[0]
	for _, f := range answer[[]struct{ Owner, Text string }](t, "flows", "--host", "h1", "--table", "route") {
		if f.Owner != "peering peer-a/peer-b" || !strings.Contains(f.Text, "nw_dst=10.32.0.0/24") {
			continue
		}
		flow := strings.Replace(strings.Replace(f.Text, "priority=170", "priority=60000", 1), "nw_dst=10.32.0.0/24", "nw_dst=10.0.0.0/8", 1)
		match, _, _ := strings.Cut(flow, " actions=")
		_, match, _ = strings.Cut(match, "table=") // behind the cookie
		if _, err := h.Switch().OFCtl(t.Context(), "add-flow", "br-int", flow); err != nil {
			t.Fatal(err)
		}
		stdout, _, status := command(t, "verify", "--host", "h1", "-o", "json")
		_, _ = h.Switch().OFCtl(t.Context(), "del-flows", "br-int", "table="+match, "--strict") // the audit may have been first
		var got client.Verification
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 1 || !strings.Contains(stdout, "from or to an address that is not of these two") {
			t.Errorf("a peering to all of 10.0.0.0/8: status %d, %v: %s", status, err, stdout)
		}
		return
	}
	t.Errorf("no flow lets frames of %s cross", a.Name)
}

// revoked: a ping that runs and a connection that is open end when one side takes its word back.
func revoked(t *testing.T, a, b lab.Container) {
	t.Helper()
	l, err := lab.ListenIn(t.Context(), b.NetNS, "tcp", netip.AddrPortFrom(ipOf(b), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
		}
	}()
	c, err := lab.DialIn(t.Context(), a.NetNS, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echo := func(within time.Duration) error {
		_ = c.SetDeadline(time.Now().Add(within))
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err := c.Read(make([]byte, 1))
		return err
	}
	if err := echo(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	const pings = 200
	answers := answersOf(a, b, pings)
	sluice(t, "unpeer", "peer-b", "peer-a")
	eventually(t, "the connection ends", func() error {
		if err := echo(300 * time.Millisecond); err == nil {
			return fmt.Errorf("it goes on")
		}
		return nil
	})
	if answered := <-answers; answered == pings {
		t.Errorf("all of %d pings were answered, though the peering ended", pings)
	}
	wantNoPing(t, a, ipOf(b))
	wantNoPing(t, b, ipOf(a))
}

// deletedPeer: of a tenant that is deleted the other side is told, and the name's next tenant is another one.
func deletedPeer(t *testing.T) {
	t.Helper()
	tenant(t, "peer-d", "--subnet", "10.34.0.0/24")
	sluice(t, "peer", "peer-c", "peer-d")
	sluice(t, "tenant", "delete", "peer-d")
	state := func() client.Peering {
		list := answer[[]client.Peering](t, "peer", "list", "--tenant", "peer-c")
		for _, p := range list {
			if p.Peer == "peer-d" {
				return p
			}
		}
		t.Fatalf("the peering is gone: %+v", list)
		return client.Peering{}
	}
	if p := state(); p.State != client.PeeringOffered || !strings.Contains(strings.Join(p.Why, " "), "is not there") {
		t.Errorf("of a peer that was deleted the list says %+v", p)
	}
	tenant(t, "peer-d", "--subnet", "10.34.0.0/24")
	if p := state(); p.State != client.PeeringOffered {
		t.Errorf("of another tenant under its name the list says %+v", p)
	}
}
