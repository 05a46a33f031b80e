package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/controller/client"
	agentapi "sluice/hostagent/api"
	"sluice/integration/lab"
)

// Rates in kilobits a second. Little enough for a busy machine to send several times as much.
const slow, slower = 8000, 4000

// bulk is bytes that one end sends as fast as it can.
type bulk struct {
	counted *atomic.Int64
	frame   int // bytes of a whole frame that carries payload bytes
	payload int
}

// from sends by a connection until the test ends.
func from(t *testing.T, sender io.WriteCloser, size int) {
	t.Helper()
	t.Cleanup(func() { sender.Close() })
	go func() {
		for b := make([]byte, size); ; {
			if _, err := sender.Write(b); err != nil {
				return
			}
		}
	}()
}

// counting counts what comes by a connection until the test ends.
func counting(t *testing.T, receiver io.ReadCloser) *atomic.Int64 {
	t.Helper()
	t.Cleanup(func() { receiver.Close() })
	counted := &atomic.Int64{}
	go func() {
		for b := make([]byte, 64<<10); ; {
			n, err := receiver.Read(b)
			counted.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	return counted
}

// tcp sends from one end to the other, in frames of 1,448 bytes of payload.
func tcp(t *testing.T, sender, receiver net.Conn) bulk {
	t.Helper()
	from(t, sender, 64<<10)
	return bulk{counting(t, receiver), 1514, 1448}
}

// kbps is the rate at which whole frames came over some seconds.
func (s bulk) kbps(took time.Duration) float64 {
	before := s.counted.Load()
	time.Sleep(took)
	return s.rate(s.counted.Load()-before, took)
}

// rate is that of whole frames which carry some bytes.
func (s bulk) rate(bytes int64, took time.Duration) float64 {
	return float64(bytes) * float64(s.frame) / float64(s.payload) * 8 / 1000 / took.Seconds()
}

// keepsTo waits until a bulk comes at a rate, within a tenth.
func (s bulk) keepsTo(t *testing.T, what string, want float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s comes at %.0f kbit/s", what, want), func() error {
		if is := s.kbps(3 * time.Second); is < 0.9*want || is > 1.1*want {
			return fmt.Errorf("it comes at %.0f kbit/s", is)
		}
		return nil
	})
}

// between is a connection of TCP from one container to another.
func between(t *testing.T, a, b lab.Container) (client, server net.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	l, err := lab.ListenIn(ctx, b.NetNS, "tcp", netip.AddrPortFrom(ipOf(b), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = lab.DialIn(ctx, a.NetNS, "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// Limits of a tenant bound what passes its gateway host in each direction, of whichever containers; those of ports bound what
// each sends and gets, wherever its peer is. They change under traffic, which goes on, and what they drop is counted.
func TestRates(t *testing.T) {
	needLab(t)
	tenant(t, "rated", "--gateway", "h3", "--limit-egress-kbps", fmt.Sprint(slow))
	a, b := container(t, "h1", "rated", "rated-1"), container(t, "h2", "rated", "rated-2")
	first, outside := connected(t, a)
	up := tcp(t, first, outside)
	up.keepsTo(t, "what a container sends out", slow)
	sluice(t, "tenant", "set", "rated", "--limit-egress-kbps", fmt.Sprint(slower))
	up.keepsTo(t, "what it sends out under a lower limit", slower)
	second, outside := connected(t, b)
	both := tcp(t, second, outside)
	eventually(t, "both containers together keep to the limit", func() error {
		before := up.counted.Load()
		sum := both.kbps(3 * time.Second)
		sum += up.rate(up.counted.Load()-before, 3*time.Second)
		if sum < 0.9*slower || sum > 1.1*slower {
			return fmt.Errorf("they send %.0f kbit/s", sum)
		}
		return nil
	})
	// Without a limit of theirs the answers to what these send would fill the limit of what comes: small packets pass where none of
	// full size does.
	first.Close()
	second.Close()
	inside, outside := connected(t, a)
	down := tcp(t, outside, inside)
	sluice(t, "tenant", "set", "rated", "--limit-egress-kbps", "0", "--limit-ingress-kbps", fmt.Sprint(slow))
	down.keepsTo(t, "what a container gets from outside", slow)
	used := *answer[client.Tenant](t, "tenant", "show", "rated").Usage
	if used.RateDrops == 0 {
		t.Errorf("no drop is counted: %+v", used)
	}
}

// A port's limits hold between containers of one network, of one host and of two.
func TestRatesOfPorts(t *testing.T) {
	needLab(t)
	tenant(t, "ported", "--limit-port-egress-kbps", fmt.Sprint(slow))
	a, b, c := container(t, "h1", "ported", "ported-1"), container(t, "h2", "ported", "ported-2"), container(t, "h1", "ported", "ported-3")
	sender, receiver := between(t, a, b)
	far := tcp(t, sender, receiver)
	far.keepsTo(t, "what a port sends to another host", slow)
	sluice(t, "tenant", "set", "ported", "--limit-port-egress-kbps", "0", "--limit-port-ingress-kbps", fmt.Sprint(slower))
	far.keepsTo(t, "what a port gets from another host", slower)
	sender, receiver = between(t, a, c)
	near := tcp(t, sender, receiver)
	near.keepsTo(t, "what a port gets from its own host", slower)
	if used := *answer[client.Tenant](t, "tenant", "show", "ported").Usage; used.RateDrops == 0 {
		t.Errorf("no drop is counted: %+v", used)
	}
}

// limited attaches a container to the first host under a port with limits of its own: what it sends, and what it gets.
func limited(t *testing.T, st lab.Status, port string, egress, ingress int) lab.Container {
	t.Helper()
	name := path.Base(port)
	ns := "sluice-c-" + name
	ip(t, "netns", "add", ns)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
	socket := filepath.Join(st.Hosts[0].RunDir, "agent.sock")
	at := answer[agentapi.Attachment](t, "port", "attach", port, "--netns", "/run/netns/"+ns, "--socket", socket,
		"--limit-egress-kbps", fmt.Sprint(egress), "--limit-ingress-kbps", fmt.Sprint(ingress))
	t.Cleanup(func() { command(t, "port", "detach", port, "--socket", socket) })
	return lab.Container{Name: name, NetNS: ns, IPs: []netip.Addr{netip.MustParsePrefix(at.Addresses[0]).Addr()}}
}

// The operator changes what a port may send and get under traffic, also past what its runtime asked, and back.
func TestPortLimitsChangeLive(t *testing.T) {
	st := needLab(t)
	tenant(t, "changed")
	const name = "changed/default/changed-limited"
	a, b := limited(t, st, name, slower, slower), container(t, "h2", "changed", "changed-2")
	sender, receiver := between(t, a, b)
	up := tcp(t, sender, receiver)
	up.keepsTo(t, "what it sends as its runtime asked", slower)
	sluice(t, "port", "set", name, "--limit-egress-kbps", fmt.Sprint(slow))
	up.keepsTo(t, "what it sends as the operator said", slow)
	sluice(t, "port", "set", name, "--as-asked")
	up.keepsTo(t, "what it sends as its runtime asked, again", slower)
	sender.Close()
	back, end := between(t, b, a)
	down := tcp(t, back, end)
	sluice(t, "port", "set", name, "--limit-ingress-kbps", fmt.Sprint(slow))
	down.keepsTo(t, "what it gets as the operator said", slow)
	want := fmt.Sprintf("sends %d kbit/s, gets %d kbit/s (set; its runtime asked for %d kbit/s)", slower, slow, slower)
	if shown := sluice(t, "port", "show", name); !strings.Contains(shown, want) {
		t.Errorf("port show does not say %q:\n%s", want, shown)
	}
}

// A port's own limits hold beside its tenant's: the smaller of both.
func TestRatesOfOnePort(t *testing.T) {
	st := needLab(t)
	tenant(t, "single")
	const name = "single/default/single-limited"
	a, b := limited(t, st, name, slow, slower), container(t, "h2", "single", "single-2")
	sender, receiver := between(t, a, b)
	tcp(t, sender, receiver).keepsTo(t, "what it sends", slow)
	sender.Close()
	back, end := between(t, b, a)
	down := tcp(t, back, end)
	down.keepsTo(t, "what it gets", slower)
	sluice(t, "tenant", "set", "single", "--limit-port-ingress-kbps", fmt.Sprint(slower/2))
	down.keepsTo(t, "what it gets under its tenant's smaller limit", slower/2)
	sluice(t, "tenant", "set", "single", "--limit-port-ingress-kbps", fmt.Sprint(slow))
	down.keepsTo(t, "what it gets under its own, which is smaller again", slower)
	if shown := sluice(t, "port", "show", name); !strings.Contains(shown, fmt.Sprintf("sends %d kbit/s, gets %d kbit/s", slow, slower)) {
		t.Errorf("port show does not say so:\n%s", shown)
	}
}
