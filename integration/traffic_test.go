package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/integration/lab"
)

// ping says whether one of some pings is answered within so many seconds, as soon as one is.
func ping(from lab.Container, to netip.Addr, seconds int) bool {
	err := exec.Command(program, "lab", "exec", from.Name, "--",
		"ping", "-n", "-q", "-i0.2", "-c1", fmt.Sprintf("-w%d", seconds), to.String()).Run()
	return err == nil
}

func wantPing(t *testing.T, from lab.Container, to netip.Addr) {
	t.Helper()
	if !ping(from, to, 3) {
		t.Errorf("%s/%s on %s does not reach %s", from.Tenant, from.Name, from.Host, to)
	}
}

// wantNoPing tries all targets at once: each takes its whole time.
func wantNoPing(t *testing.T, from lab.Container, targets ...netip.Addr) {
	t.Helper()
	reached := make([]bool, len(targets))
	var wg sync.WaitGroup
	for i, to := range targets {
		wg.Go(func() { reached[i] = ping(from, to, 1) })
	}
	wg.Wait()
	for i, to := range targets {
		if reached[i] {
			t.Errorf("%s/%s on %s reaches %s", from.Tenant, from.Name, from.Host, to)
		}
	}
}

// transfer sends a megabyte over TCP from one container to another and reports what came.
func transfer(t *testing.T, from, to lab.Container) error {
	t.Helper()
	const size = 1 << 20
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := lab.ListenIn(ctx, to.NetNS, "tcp", netip.AddrPortFrom(ipOf(to), 0).String())
	if err != nil {
		return err
	}
	defer l.Close()
	got := lab.CountReceived(l)
	c, err := lab.DialIn(ctx, from.NetNS, "tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, size)); err != nil {
		return err
	}
	c.Close()
	if n := <-got; n != size {
		return fmt.Errorf("%d of %d bytes came", n, size)
	}
	return nil
}

func wantTransfer(t *testing.T, from, to lab.Container) {
	t.Helper()
	if err := transfer(t, from, to); err != nil {
		t.Errorf("TCP from %s on %s to %s on %s: %v", from.Name, from.Host, to.Name, to.Host, err)
	}
}

// seenAs is the address from which the internet sees a container come.
func seenAs(t *testing.T, from lab.Container) netip.Addr {
	t.Helper()
	c, err := lab.DialIn(t.Context(), from.NetNS, "tcp", netip.AddrPortFrom(lab.InternetAddress, 80).String())
	if err != nil {
		t.Errorf("%s to the internet: %v", from.Name, err)
		return netip.Addr{}
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%s to the internet: %v", from.Name, err)
	}
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	seen, err := netip.ParseAddrPort(strings.TrimSpace(body))
	if err != nil {
		t.Errorf("%s to the internet: %q: %v", from.Name, answer, err)
	}
	return seen.Addr()
}

// wire is a raw socket on a container's interface: it sends any frame and remembers what
// the interface receives.
type wire struct {
	c  lab.Container
	fd int

	mu   sync.Mutex
	seen [][]byte
}

// tap opens a container's interface.
func tap(t *testing.T, c lab.Container) *wire {
	t.Helper()
	w := &wire{c: c}
	err := lab.InNamespace(c.NetNS, func() error {
		nic, err := net.InterfaceByName(c.Iface)
		if err != nil {
			return err
		}
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, htons(unix.ETH_P_ALL))
		if err != nil {
			return err
		}
		// A reader that is asked to stop comes back within this time.
		if err := unix.SetsockoptTimeval(w.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20); err != nil {
			return err
		}
		return unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: uint16(htons(unix.ETH_P_ALL)), Ifindex: nic.Index})
	})
	if err != nil {
		t.Fatalf("raw socket in %s: %v", c.Name, err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go w.listen(stop, done)
	t.Cleanup(func() {
		close(stop)
		<-done
		unix.Close(w.fd)
	})
	return w
}

func (w *wire) listen(stop, done chan struct{}) {
	defer close(done)
	b := make([]byte, 65536)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, from, err := unix.Recvfrom(w.fd, b, 0)
		if err != nil {
			continue // the time-out
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		w.mu.Lock()
		w.seen = append(w.seen, bytes.Clone(b[:n]))
		w.mu.Unlock()
	}
}

func (w *wire) send(t *testing.T, frame []byte) {
	t.Helper()
	if _, err := unix.Write(w.fd, frame); err != nil {
		t.Fatalf("%s sends a frame: %v", w.c.Name, err)
	}
}

// saw says whether a frame with this marker in it came.
func (w *wire) saw(marker []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.seen {
		if bytes.Contains(f, marker) {
			return true
		}
	}
	return false
}

func htons(v int) int { return v<<8&0xff00 | v>>8&0xff }

// steadyPings are pings that go on in the background.
type steadyPings struct {
	t        *testing.T
	from, to string
	cmd      *exec.Cmd
	out      string // file of what was printed
	answered int    // set by end
}

// onTheWay is how long the answer to a ping may take.
const onTheWay = 300 * time.Millisecond

// pingEvery is how often a steady ping pings.
const pingEvery = 10 * time.Millisecond

// fewestPings is how many pings a steady ping sends, however soon it is ended.
const fewestPings = 100

// steadyPing pings many times a second in the background, from the first answer on.
func steadyPing(t *testing.T, from lab.Container, to netip.Addr) *steadyPings {
	t.Helper()
	p := &steadyPings{t: t, from: from.Name, to: to.String(), out: filepath.Join(t.TempDir(), "pings")}
	p.cmd = exec.Command(program, "lab", "exec", from.Name, "--", "ping", "-n", "-D", fmt.Sprintf("-i%v", pingEvery.Seconds()), "-W5", p.to)
	out, err := os.Create(p.out)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Signal(os.Interrupt) })
	p.answers(1)
	return p
}

// printed is what the pings printed until now.
func (p *steadyPings) printed() string {
	p.t.Helper()
	text, err := os.ReadFile(p.out)
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

// answers waits until some pings were answered.
func (p *steadyPings) answers(some int) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%d pings of %s to %s are answered", some, p.from, p.to), func() error {
		if strings.Count(p.printed(), " ttl=") < some {
			return errors.New(tail(p.printed()))
		}
		return nil
	})
}

// wantAll ends the pings. All that were sent before must have been answered.
func (p *steadyPings) wantAll() {
	p.t.Helper()
	if err := p.end(); err != nil {
		p.t.Error(err)
	}
}

// end ends the pings, and says how many of those that were sent before were not answered.
func (p *steadyPings) end() error {
	p.t.Helper()
	p.answers(fewestPings)
	time.Sleep(onTheWay)
	_ = p.cmd.Process.Signal(os.Interrupt) // one that has ended says why below
	_ = p.cmd.Wait()
	sent, last, answered := 0, 0, map[int]float64{} // by number: when, in seconds
	for line := range strings.Lines(p.printed()) {
		before, reply, _ := strings.Cut(line, "icmp_seq=")
		var seq int
		if _, err := fmt.Sscanf(reply, "%d ttl=", &seq); err == nil {
			var at float64
			_, _ = fmt.Sscanf(before, "[%f]", &at)
			answered[seq], last = at, max(last, seq)
		}
		var n int
		if _, err := fmt.Sscanf(line, "%d packets transmitted", &n); err == nil { // the summary
			sent = n
		}
	}
	p.answered = len(answered)
	if sent-last <= int(onTheWay/pingEvery) { // the last ones were sent after the call
		sent = last
	}
	if sent < fewestPings || len(answered) != sent {
		return fmt.Errorf("%s to %s: of %d pings %d were answered%s\n%s", p.from, p.to, sent, len(answered), unanswered(answered, sent), tail(p.printed()))
	}
	return nil
}

// unanswered lists the pings that were not answered, with when the one before was.
func unanswered(answered map[int]float64, sent int) string {
	var list strings.Builder
	before := time.Time{}
	for seq := 1; seq <= sent; seq++ {
		if at, is := answered[seq]; is {
			before = time.UnixMicro(int64(at * 1e6))
			continue
		}
		fmt.Fprintf(&list, "; not %d, after %s", seq, before.UTC().Format("15:04:05.000"))
	}
	return list.String()
}

// tail is the end of what a command printed.
func tail(s string) string { return s[max(0, len(s)-1000):] }

// countPings pings many times, as fast as a steady ping. All must be answered.
func countPings(t *testing.T, from lab.Container, to netip.Addr, count int) {
	t.Helper()
	out := sluice(t, "lab", "exec", from.Name, "--", "ping", "-n", "-q", fmt.Sprintf("-i%v", pingEvery.Seconds()), "-W5", fmt.Sprintf("-c%d", count), to.String())
	if want := fmt.Sprintf("%d packets transmitted, %d received", count, count); !strings.Contains(out, want) {
		t.Fatalf("%s to %s: want %s:\n%s", from.Name, to, want, out)
	}
}
