package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

// underlayCounters counts, in the underlay, the frames that each host sends to each other one.
const underlayCounters = "sluice_star"

// countUnderlay begins to count.
func countUnderlay(t *testing.T) {
	t.Helper()
	hosts := []string{"h1", "h2", "h3"}
	script := "add table bridge " + underlayCounters + "\nadd chain bridge " + underlayCounters + " f { type filter hook forward priority 0; }\n"
	for _, from := range hosts {
		for _, to := range hosts {
			if from != to {
				script += fmt.Sprintf("add rule bridge %s f ip saddr %s ip daddr %s counter comment %q\n", underlayCounters, uplink(from), uplink(to), from+to)
			}
		}
	}
	run := func(script string) error {
		cmd := exec.Command("ip", "netns", "exec", lab.UnderlayNS, "nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w\n%s", err, out)
		}
		return nil
	}
	if err := run(script); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = run("delete table bridge " + underlayCounters) })
}

// underlay is how many frames one host has sent to another.
func underlay(t *testing.T, from, to string) (frames int) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", lab.UnderlayNS, "nft", "-j", "list", "table", "bridge", underlayCounters).Output()
	if err != nil {
		t.Fatal(err)
	}
	var listed struct {
		NFTables []struct {
			Rule *struct {
				Comment string
				Expr    []struct {
					Counter *struct{ Packets int }
				}
			}
		}
	}
	if err := json.Unmarshal(out, &listed); err != nil {
		t.Fatal(err)
	}
	for _, o := range listed.NFTables {
		if o.Rule == nil || o.Rule.Comment != from+to {
			continue
		}
		for _, e := range o.Rule.Expr {
			if e.Counter != nil {
				return e.Counter.Packets
			}
		}
	}
	t.Fatalf("nothing counts from %s to %s:\n%s", from, to, out)
	return 0
}

// wantThrough pings from one container to another, and asks by which hosts the questions went.
func wantThrough(t *testing.T, from, to lab.Container, way ...string) {
	t.Helper()
	const pings, others = 100, 30 // other frames between hosts, such as of names
	hosts := []string{"h1", "h2", "h3"}
	before := map[string]int{}
	for _, a := range hosts {
		for _, b := range hosts {
			if a != b {
				before[a+b] = underlay(t, a, b)
			}
		}
	}
	countPings(t, from, ipOf(to), pings)
	passed := map[string]bool{}
	for i := range len(way) - 1 {
		passed[way[i]+way[i+1]], passed[way[i+1]+way[i]] = true, true // questions and answers
	}
	for _, a := range hosts {
		for _, b := range hosts {
			if a == b {
				continue
			}
			n := underlay(t, a, b) - before[a+b]
			if passed[a+b] && n < pings || !passed[a+b] && n > others {
				t.Errorf("%d pings from %s on %s to %s on %s, by way of %v: %d frames went from %s to %s", pings, from.Name, from.Host, to.Name, to.Host, way, n, a, b)
			}
		}
	}
}

// turned waits until frames between hosts of a tenant go the other way, on all hosts.
func turned(t *testing.T, tenant string, want store.Relay) {
	t.Helper()
	eventually(t, fmt.Sprintf("tenant %s relays: %q", tenant, want), func() error {
		if got := answer[client.Tenant](t, "tenant", "show", tenant); got.Relay != want {
			return fmt.Errorf("it relays: %q", got.Relay)
		}
		return nil
	})
	wantNoDiff(t)
	time.Sleep(time.Second) // a switch forwards for a moment by what it cached
}

// A tenant gets a star and loses it again while its containers ping each other on all hosts, and its gateway moves
// meanwhile: no ping is lost, and in the underlay frames go by the gateway host and not straight.
func TestStar(t *testing.T) {
	st := needLab(t)
	tenant(t, "star")
	at := map[string]lab.Container{}
	for _, host := range []string{"h1", "h2", "h3"} {
		at[host] = container(t, host, "star", "star-"+host)
	}
	next := map[string]string{"h1": "h2", "h2": "h3", "h3": "h1"}
	centre := gatewayOf(t, "star").Active
	one, other := next[centre], next[next[centre]]
	for from, to := range next {
		wantPing(t, at[from], ipOf(at[to]))
	}
	countUnderlay(t)
	wantThrough(t, at[one], at[other], one, other)

	var all []goesOn
	for from, to := range next {
		all = append(all, goesOn{"ping of " + at[from].Name, steadyPing(t, at[from], ipOf(at[to])).end})
	}
	sluice(t, "tenant", "set", "star", "--topology", "star")
	turned(t, "star", store.RelayOn)
	sluice(t, "gateway", "move", "star", one)
	turned(t, "star", store.RelayOn)
	eventually(t, "the move ends", func() error {
		if g := gatewayOf(t, "star"); !g.Settled() || g.Active != one {
			return fmt.Errorf("the gateway is %+v", g.Gateway)
		}
		return nil
	})
	sluice(t, "gateway", "move", "star", centre)
	turned(t, "star", store.RelayOn)
	eventually(t, "the move back ends", func() error {
		if g := gatewayOf(t, "star"); !g.Settled() || g.Active != centre {
			return fmt.Errorf("the gateway is %+v", g.Gateway)
		}
		return nil
	})
	wantNoDiff(t)
	for _, traffic := range all {
		if err := traffic.end(); err != nil {
			t.Errorf("to the star, and over two moves: %s: %v", traffic.what, err)
		}
	}
	wantThrough(t, at[one], at[other], one, centre, other)
	wantThrough(t, at[centre], at[other], centre, other)
	broadcastsOnce(t, at[one], at[other], at[centre])
	countedOnce(t, st, at[one], at[other])
	if out := sluice(t, "tenant", "show", "star"); !strings.Contains(out, "star: frames between its hosts go by "+centre) {
		t.Errorf("it is shown as\n%s", out)
	}
	if stdout, stderr, status := command(t, "verify"); status != 0 {
		t.Errorf("it is not proved: %s%s", stdout, stderr)
	}

	var back []goesOn
	for from, to := range next {
		back = append(back, goesOn{"ping of " + at[from].Name, steadyPing(t, at[from], ipOf(at[to])).end})
	}
	sluice(t, "tenant", "set", "star", "--topology", "direct")
	turned(t, "star", "")
	for _, traffic := range back {
		if err := traffic.end(); err != nil {
			t.Errorf("back from the star: %s: %v", traffic.what, err)
		}
	}
	wantThrough(t, at[one], at[other], one, other)
}

// The star of a tenant whose network is a VLAN: frames are relayed under their tag, broadcasts come once, and it is proved.
func TestStarOfAVLAN(t *testing.T) {
	needLab(t)
	tenant(t, "vlan-star", "--segmentation", "vlan", "--subnet", "10.0.0.0/24", "--topology", "star")
	at := map[string]lab.Container{}
	for _, host := range []string{"h1", "h2", "h3"} {
		at[host] = container(t, host, "vlan-star", "vlan-star-"+host)
	}
	turned(t, "vlan-star", store.RelayOn)
	centre := gatewayOf(t, "vlan-star").Active
	next := map[string]string{"h1": "h2", "h2": "h3", "h3": "h1"}
	one, other := next[centre], next[next[centre]]
	for from, to := range next {
		wantPing(t, at[from], ipOf(at[to]))
	}
	countUnderlay(t)
	wantThrough(t, at[one], at[other], one, centre, other)
	wantThrough(t, at[centre], at[other], centre, other)
	broadcastsOnce(t, at[one], at[other], at[centre])
	if stdout, stderr, status := command(t, "verify"); status != 0 {
		t.Errorf("it is not proved: %s%s", stdout, stderr)
	}
}

// The centre of a star dies while gateways fail over. What leaves goes by the backup at once; once the leader made that the gateway host it is the
// centre, also of what the dead host's containers send when it is back.
func TestStarFailsOver(t *testing.T) {
	const name = "star-fails"
	g, others := failingOver(t, name, "--topology", "star")
	turned(t, name, store.RelayOn)
	wantPing(t, others[0], ipOf(others[1]))
	sluice(t, "lab", "kill", g.Active)
	for _, c := range others {
		eventually(t, c.Name+" gets out", func() error {
			if !ping(c, lab.InternetAddress, 1) {
				return errors.New("no answer")
			}
			return nil
		})
	}
	eventually(t, "the backup is the centre", func() error {
		if now := gatewayOf(t, name); now.Active != g.Backup {
			return fmt.Errorf("the gateway is %+v", now.Gateway)
		}
		if !ping(others[1], ipOf(others[0]), 1) {
			return errors.New("no answer")
		}
		return nil
	})
	sluice(t, "lab", "up")
	turned(t, name, store.RelayOn)
	back := inspect(t, name+"-"+g.Active[1:])
	for _, to := range others {
		wantPing(t, back, ipOf(to))
	}
	countUnderlay(t)
	wantThrough(t, back, others[1], g.Active, g.Backup, others[1].Host)
	if stdout, stderr, status := command(t, "verify"); status != 0 {
		t.Errorf("it is not proved: %s%s", stdout, stderr)
	}
}

// broadcastsOnce sends broadcasts from one container, of which others get each one once.
func broadcastsOnce(t *testing.T, from lab.Container, others ...lab.Container) {
	t.Helper()
	const frames, port = 20, 4711
	var listening []net.PacketConn
	for _, c := range append([]lab.Container{from}, others...) {
		err := lab.InNamespace(c.NetNS, func() error {
			l, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
			listening = append(listening, l)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer listening[len(listening)-1].Close()
	}
	conn, err := lab.DialIn(t.Context(), from.NetNS, "udp", netip.AddrPortFrom(netip.MustParseAddr("10.0.0.255"), port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for n := range frames {
		if _, err := fmt.Fprint(conn, n); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // less than a tenant may send
	}
	for i, l := range listening {
		got := 0
		_ = l.SetReadDeadline(time.Now().Add(time.Second))
		for b := make([]byte, 16); ; got++ {
			if _, _, err := l.ReadFrom(b); err != nil {
				break
			}
		}
		if i > 0 && got != frames || i == 0 && got > frames { // its own kernel may give it what it sends
			t.Errorf("of %d broadcasts of %s listener %d got %d", frames, from.Name, i, got)
		}
	}
}

// countedOnce asks that what is relayed counts once as sent and once as received.
func countedOnce(t *testing.T, st lab.Status, from, to lab.Container) {
	t.Helper()
	const pings = 200
	sums := func() (out, in float64) {
		sum := func(direction string) float64 {
			return metric(t, st, "sluice_tenant_packets_total", `tenant="star"`, `direction="`+direction+`"`, `scope="internal"`)
		}
		return sum("out"), sum("in")
	}
	time.Sleep(5 * time.Second)
	out, in := sums()
	countPings(t, from, ipOf(to), pings)
	eventually(t, "the pings are counted", func() error {
		if now, got := sums(); now-out < 2*pings || got-in < 2*pings {
			return fmt.Errorf("counted are %v sent, %v received", now-out, got-in)
		}
		return nil
	})
	if now, got := sums(); now-out > 2*pings+20 || got-in > 2*pings+20 {
		t.Errorf("of %d pings and their answers %v are counted as sent, %v as received", pings, now-out, got-in)
	}
}
