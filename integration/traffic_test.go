package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/integration/lab"
)

// ping says whether one of a few pings is answered.
func ping(from lab.Container, to netip.Addr) bool {
	err := exec.Command(program, "lab", "exec", from.Name, "--",
		"ping", "-n", "-q", "-i0.2", "-c3", "-W1", to.String()).Run()
	return err == nil
}

func wantPing(t *testing.T, from lab.Container, to netip.Addr) {
	t.Helper()
	if !ping(from, to) {
		t.Errorf("%s/%s on %s does not reach %s", from.Tenant, from.Name, from.Host, to)
	}
}

// wantNoPing tries all targets at once: each takes its whole time.
func wantNoPing(t *testing.T, from lab.Container, targets ...netip.Addr) {
	t.Helper()
	reached := make([]bool, len(targets))
	var wg sync.WaitGroup
	for i, to := range targets {
		wg.Go(func() { reached[i] = ping(from, to) })
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

// steadyPing pings many times a second in the background; the function that it returns
// waits for its end and says how many were sent and answered.
func steadyPing(t *testing.T, from lab.Container, to netip.Addr, count int) func() (sent, answered int) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, "lab", "exec", from.Name, "--",
		"ping", "-n", "-q", "-i0.01", "-W5", fmt.Sprintf("-c%d", count), to.String())
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (sent, answered int) {
		t.Helper()
		_ = cmd.Wait() // ping fails where one is lost: the numbers say it better
		for line := range strings.Lines(out.String()) {
			if _, err := fmt.Sscanf(line, "%d packets transmitted, %d received", &sent, &answered); err == nil {
				return sent, answered
			}
		}
		t.Fatalf("ping printed no summary:\n%s", out.String())
		return 0, 0
	}
}
