package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sluice/integration/lab"
)

const (
	// sendInterval is between two packets of a pair.
	sendInterval = 20 * time.Millisecond
	// strayEvery is how many of them there are for each packet that nobody should get.
	strayEvery = 25
	// lostAfter is when a packet that did not arrive is lost: a paused switch holds frames back.
	lostAfter = 2 * time.Second

	trafficPort = 6006
)

// traffic is the packets of all pairs, and who saw which.
type traffic struct {
	world *world
	end   chan struct{} // closed by stop
	ended sync.Once
	done  sync.WaitGroup

	mu      sync.Mutex
	sent    int
	under   map[stamp]time.Time // packets under way, with when they were sent
	lost    []loss
	arrived map[pair]time.Time // when the latest packet that arrived was sent
	crossed error              // the first frame that reached another tenant
}

// loss is a packet that did not arrive.
type loss struct {
	from, to *actor
	at       time.Time // sent
}

// startTraffic opens every socket before it sends the first packet.
func startTraffic(w *world) (*traffic, error) {
	t := &traffic{world: w, end: make(chan struct{}), under: map[stamp]time.Time{}, arrived: map[pair]time.Time{}}
	senders := make([]*net.UDPConn, len(w.actors))
	for i, a := range w.actors {
		if err := t.watch(a.NetNS, a.tenant, a.Name); err != nil {
			t.stop()
			return nil, err
		}
		conn, err := openSender(a.NetNS)
		if err != nil {
			t.stop()
			return nil, err
		}
		t.closeAtEnd(conn)
		senders[i] = conn
	}
	for _, p := range w.pairs {
		t.done.Go(func() { t.send(senders[p.from.number], p) })
	}
	return t, nil
}

// stop ends all of it; a second time it does nothing.
func (t *traffic) stop() {
	t.ended.Do(func() { close(t.end) })
	t.done.Wait()
}

func (t *traffic) closeAtEnd(c io.Closer) {
	t.done.Go(func() {
		<-t.end
		c.Close()
	})
}

// openSender opens a socket inside a namespace. It takes what others send there, unread, so
// that the kernel answers none of it.
func openSender(ns string) (conn *net.UDPConn, err error) {
	err = lab.InNamespace(ns, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: trafficPort})
		if err == nil {
			err = allowBroadcast(conn)
		}
		return err
	})
	return conn, err
}

func allowBroadcast(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1) })
	return errors.Join(err, set)
}

// watch looks at every frame in a namespace, until the end.
func (t *traffic) watch(ns string, tenant uint16, who string) error {
	frames, err := openTap(ns)
	if err != nil {
		return fmt.Errorf("watch the frames of %s: %w", who, err)
	}
	t.closeAtEnd(frames)
	t.done.Go(func() {
		b := make([]byte, 2048)
		for {
			n, err := frames.Read(b)
			if errors.Is(err, unix.ENETDOWN) {
				continue // the interface went; another may come
			}
			if err != nil {
				return
			}
			if s, ok := readStamp(b[:n]); ok {
				t.saw(s, tenant, who)
			}
		}
	})
	return nil
}

// openTap opens a socket that gets every frame of a namespace's interfaces.
func openTap(ns string) (tap *os.File, err error) {
	err = lab.InNamespace(ns, func() error {
		const every = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, every)
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		tap = os.NewFile(uintptr(fd), ns)
		return nil
	})
	return tap, err
}

// saw notes a frame that a container of a tenant saw.
func (t *traffic) saw(s stamp, tenant uint16, who string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.tenant != tenant && t.crossed == nil {
		t.crossed = fmt.Errorf("a frame crossed tenants: %s of tenant %s saw one that container %d of tenant %s sent",
			who, tenantName(tenant), s.from, tenantName(s.tenant))
	}
	at, ok := t.under[s]
	if !ok || int(s.to) >= len(t.world.actors) || who != t.world.actors[s.to].Name {
		return
	}
	delete(t.under, s)
	if int(s.from) < len(t.world.actors) {
		t.arrived[pair{t.world.actors[s.from], t.world.actors[s.to]}] = at
	}
}

func tenantName(n uint16) string {
	if int(n) < len(tenants) {
		return tenants[n].name
	}
	return fmt.Sprintf("number %d of the workload", n)
}

// send sends a pair's packets, and some that nobody should get.
func (t *traffic) send(conn *net.UDPConn, p pair) {
	tick := time.NewTicker(sendInterval)
	defer tick.Stop()
	for seq := uint64(0); ; seq++ {
		select {
		case <-t.end:
			return
		case <-tick.C:
		}
		t.sendOne(conn, p.to.IPs[0], stamp{p.from.tenant, p.from.number, p.to.number, seq})
		if seq%strayEvery == 0 {
			out := stamp{p.from.tenant, p.from.number, stray, seq}
			for _, at := range []netip.Addr{netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("10.66.0.255"), netip.MustParseAddr("224.0.0.251")} {
				_, _ = conn.WriteToUDPAddrPort(out.bytes(), netip.AddrPortFrom(at, trafficPort)) // with no way out it cannot cross either
			}
		}
	}
}

// sendOne notes the packet first: it may arrive before the call returns.
func (t *traffic) sendOne(conn *net.UDPConn, to netip.Addr, s stamp) {
	t.mu.Lock()
	t.sent++
	t.under[s] = time.Now()
	t.mu.Unlock()
	if _, err := conn.WriteToUDPAddrPort(s.bytes(), netip.AddrPortFrom(to, trafficPort)); err != nil {
		t.mu.Lock()
		t.loseLocked(s)
		t.mu.Unlock()
	}
}

// count is how many packets of pairs were sent.
func (t *traffic) count() int {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

// sweep calls lost what has been under way for too long, and returns all that was lost since
// the last sweep.
func (t *traffic) sweep() ([]loss, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s, at := range t.under {
		if time.Since(at) > lostAfter {
			t.loseLocked(s)
		}
	}
	lost := t.lost
	t.lost = nil
	return lost, t.crossed
}

func (t *traffic) loseLocked(s stamp) {
	at, ok := t.under[s]
	delete(t.under, s)
	if ok && int(s.from) < len(t.world.actors) && int(s.to) < len(t.world.actors) {
		t.lost = append(t.lost, loss{t.world.actors[s.from], t.world.actors[s.to], at})
	}
}

// passes reports whether a packet of each pair that suits was sent after a moment and arrived.
func (t *traffic) passes(since time.Time, suits func(pair) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.world.pairs {
		if suits(p) && !t.arrived[p].After(since) {
			return false
		}
	}
	return true
}
