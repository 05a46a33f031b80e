package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sluice/integration/lab"
	"sluice/store"
)

const (
	// smallestPayload of UDP makes a frame of 60 bytes, 64 with the checksum that a wire adds.
	smallestPayload = 18
	// warmUp is how long frames pass before they are counted.
	warmUp = 500 * time.Millisecond
	// callers are the threads that make connections, one after the other each.
	callers = 4
	// callTime bounds one connection.
	callTime = 5 * time.Second
	// answerPort is where connections are answered outside; discardPort takes what nobody reads.
	answerPort  = 7000
	discardPort = 9
	// firstUDPPort is the source port of the first flow of UDP.
	firstUDPPort = 1024
)

// smallest sends the smallest frames of so many flows, and returns how many a second arrive.
func (s *packetsRun) smallest(flows int) measurement {
	return func(ctx context.Context, p tenantPair, address string) (rate float64, err error) {
		from, to, err := s.ends(ctx, p, address)
		if err != nil {
			return 0, err
		}
		end, err := discard(p.to.netns)
		if err != nil {
			return 0, err
		}
		defer end()
		frames := make([][]byte, flows)
		for i := range frames {
			frames[i] = from.smallestFrame(to.mac, to.ip, uint16(firstUDPPort+i))
		}
		frame := func(_ *floodPort, n uint32) []byte { return frames[n%uint32(flows)] }
		_, err = from.flood(ctx, frame, func() (err error) {
			rate, err = to.arriving(ctx, float64(s.Size(packetsSeconds)))
			return err
		})
		return rate, err
	}
}

// smallestFrame is one of UDP to another container.
func (p *floodPort) smallestFrame(to store.MAC, ip netip.Addr, port uint16) []byte {
	const length = 8 + smallestPayload
	udp := append(ports(port, discardPort), 0, length, 0, 0)
	return p.ipv4(to, ip, protoUDP, append(udp, make([]byte, smallestPayload)...), 6)
}

// ends are a pair's two interfaces, as they are connected now.
func (s *packetsRun) ends(ctx context.Context, p tenantPair, address string) (from, to floodPort, err error) {
	if to, err = interfaceOf(ctx, p.to); err != nil {
		return from, to, err
	}
	if to.ip.String() != address {
		return from, to, fmt.Errorf("container %s has %s, and not %s", p.to.name, to.ip, address)
	}
	from, err = interfaceOf(ctx, p.from)
	return from, to, err
}

// interfaceOf finds a container's only interface that has an IPv4 address of a network.
func interfaceOf(ctx context.Context, c container) (floodPort, error) {
	out, err := output(ctx, "", "ip", "-n", c.netns, "-4", "-j", "address", "show", "scope", "global")
	if err != nil {
		return floodPort{}, err
	}
	var links []struct {
		Name      string `json:"ifname"`
		Addresses []struct {
			Local netip.Addr `json:"local"`
		} `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(out), &links); err != nil {
		return floodPort{}, fmt.Errorf("addresses of container %s: %w", c.name, err)
	}
	for _, l := range links {
		if len(l.Addresses) == 0 {
			continue // another family's
		}
		p := floodPort{container: c, link: l.Name, ip: l.Addresses[0].Local}
		err := lab.InNamespace(c.netns, func() error {
			link, err := net.InterfaceByName(l.Name)
			if err == nil {
				p.mac = store.MAC(link.HardwareAddr)
			}
			return err
		})
		return p, err
	}
	return floodPort{}, fmt.Errorf("container %s has no address", c.name)
}

// arriving is how many packets a second the interface receives.
func (p *floodPort) arriving(ctx context.Context, seconds float64) (float64, error) {
	if err := sleep(ctx, warmUp); err != nil {
		return 0, err
	}
	before, err := p.received(ctx)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := sleep(ctx, time.Duration(seconds*float64(time.Second))); err != nil {
		return 0, err
	}
	after, err := p.received(ctx)
	if err == nil && after <= before {
		err = errors.New("no frame arrived")
	}
	return (after - before) / time.Since(start).Seconds(), err
}

func (p *floodPort) received(ctx context.Context) (float64, error) {
	out, err := output(ctx, "", "ip", "-n", p.netns, "-s", "-j", "link", "show", "dev", p.link)
	if err != nil {
		return 0, err
	}
	var links []struct {
		Stats struct {
			RX struct {
				Packets float64 `json:"packets"`
			} `json:"rx"`
		} `json:"stats64"`
	}
	if err := json.Unmarshal([]byte(out), &links); err != nil || len(links) != 1 {
		return 0, fmt.Errorf("counters of %s in container %s: %q: %w", p.link, p.name, out, err)
	}
	return links[0].Stats.RX.Packets, nil
}

// discard holds the port that nobody reads, so that the kernel refuses no packet to it.
func discard(netns string) (end func(), err error) {
	var c net.PacketConn
	err = lab.InNamespace(netns, func() (err error) {
		c, err = net.ListenPacket("udp4", fmt.Sprint(":", discardPort))
		return err
	})
	if err != nil {
		return nil, err
	}
	return func() { c.Close() }, nil
}

// answerConnections gives each connection outside one byte, and ends it.
func answerConnections() (at netip.AddrPort, end func(), err error) {
	at = netip.AddrPortFrom(lab.InternetAddress, answerPort)
	var l net.Listener
	err = lab.InNamespace(lab.InternetNS, func() (err error) {
		l, err = net.Listen("tcp4", at.String())
		return err
	})
	if err != nil {
		return at, nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte{'.'}) // its caller may be gone
			c.Close()
		}
	}()
	return at, func() { l.Close() }, nil
}

// connections makes connections to an address outside, and returns how many a second brought their byte.
func (s *packetsRun) connections(outside netip.AddrPort) measurement {
	return func(ctx context.Context, p tenantPair, _ string) (float64, error) {
		if err := pingUntilAnswered(ctx, p.from.netns, outside.Addr().String()); err != nil {
			return 0, err
		}
		seconds := s.Size(packetsSeconds)
		until, made := time.Now().Add(time.Duration(seconds)*time.Second), atomic.Int64{}
		errs := make([]error, callers)
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				errs[i] = lab.InNamespace(p.from.netns, func() error {
					for time.Now().Before(until) && ctx.Err() == nil {
						if err := call(outside); err != nil {
							return err
						}
						made.Add(1)
					}
					return nil
				})
			})
		}
		all.Wait()
		return float64(made.Load()) / float64(seconds), errors.Join(append(errs, ctx.Err())...)
	}
}

// call makes one connection from this thread's namespace. It ends with a reset, so that no port waits for the end of its time.
func call(at netip.AddrPort) error {
	fd, err := dialHere(at.Addr().String(), int(at.Port()))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	var b [1]byte
	if n, err := readHere(fd, b[:]); err != nil || n != 1 {
		return fmt.Errorf("connection to %s: read %d bytes: %w", at, n, err)
	}
	return nil
}
