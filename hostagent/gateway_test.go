package hostagent

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"sluice/store"
)

// silence is how long a probe waits before it takes a packet for dropped.
const silence = 500 * time.Millisecond

// gatewayHost is the kernel's side of a gateway host, which is the test's namespace, between
// a namespace that stands where the switch's tenants are and one that is the outside.
type gatewayHost struct {
	t                *testing.T
	state            string // the agent's state directory
	cluster          *infrastructure
	published        *published
	tenants, outside *container
}

var tenantAddr = store.DefaultTransit.Address(7)

func newGatewayHost(t *testing.T) *gatewayHost {
	t.Helper()
	requireOVS(t)
	g := &gatewayHost{t, t.TempDir(), &infrastructure{}, &published{}, newContainer(t), newContainer(t)}
	g.wire(store.GatewayInterface, g.tenants)
	g.wire("under0", g.outside)
	g.run("ip", "addr", "add", "172.30.0.1/24", "dev", "under0")
	g.run("ip", "link", "set", "under0", "up")
	g.run("ip", "route", "replace", "default", "via", "172.30.0.254")
	g.outside.run("ip", "link", "set", "lo", "up")
	for _, addr := range []string{"172.30.0.254/24", "203.0.113.1/32", "192.0.2.9/32", "198.51.100.9/32"} {
		g.outside.run("ip", "addr", "add", addr, "dev", "peer")
	}
	g.outside.run("ip", "route", "add", store.DefaultTransit.String(), "via", "172.30.0.1")
	g.tenants.run("ip", "addr", "add", tenantAddr.String()+"/10", "dev", "peer")
	g.tenants.run("ip", "link", "set", "peer", "mtu", "1450")
	g.run("sysctl", "-w", "net.ipv4.ip_forward=0") // no router, whatever the machine is
	g.cluster.now = members{Told: true, Closed: addrs("198.51.100.9"), Peers: addrs("172.30.0.253")}
	g.setUp()
	g.tenants.run("ip", "route", "add", "default", "via", store.DefaultTransit.Kernel().String())
	t.Cleanup(func() { g.run("nft", "delete", "table", "inet", tableName) })
	eventually(t, "the links carry packets", func() bool { // the kernel raises them in its own time
		return exec.Command("nsenter", "--net="+g.tenants.netns(), "--", "ping", "-c1", "-W1", "203.0.113.1").Run() == nil
	})
	return g
}

// wire makes a veth pair from the host into a namespace, where its end is called peer.
func (g *gatewayHost) wire(name string, c *container) {
	g.run("ip", "link", "add", name, "type", "veth", "peer", "name", "peer", "netns", c.netns())
	g.t.Cleanup(func() { g.run("ip", "link", "del", name) })
	c.run("ip", "link", "set", "peer", "up")
}

func (g *gatewayHost) run(name string, args ...string) {
	g.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		g.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// setUp does what the agent does, whatever was done before.
func (g *gatewayHost) setUp() {
	g.t.Helper()
	known := &underlay{
		vtep: netip.MustParseAddr("172.30.0.1"), encap: "geneve",
		found: vtepInterface{name: "under0", mtu: 1500, prefix: netip.MustParsePrefix("172.30.0.1/24")},
	}
	options := Options{
		Gateway: true, StateDir: g.state, Infrastructure: prefixes("192.0.2.0/24"), Encap: "geneve", VTEP: known.vtep,
	}
	ctx := g.t.Context()
	err := errors.Join(
		keep(nftables{o: options, underlay: known, infrastructure: g.cluster, published: g.published, log: slog.New(slog.DiscardHandler)})(ctx), keep(transit{known, g.cluster})(ctx), keep(forwarding{options.Uplink})(ctx),
	)
	if err != nil {
		g.t.Fatal(err)
	}
}

// within runs f on a thread that is in a namespace; the empty path is the test's own.
func within(t *testing.T, path string, f func() error) error {
	t.Helper()
	done := make(chan error)
	go func() {
		if path != "" {
			runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
			ns, err := netns.GetFromPath(path)
			if err == nil {
				err = netns.Set(ns)
				ns.Close()
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	return <-done
}

// serve answers each connection and datagram with the address that it came from, and then
// echoes; it ends with the test.
func serve(t *testing.T, path string, tcp, udp []string) (accepted chan *net.TCPConn) {
	t.Helper()
	accepted = make(chan *net.TCPConn, 10)
	err := within(t, path, func() error {
		for _, port := range tcp {
			l, err := net.Listen("tcp4", ":"+port)
			if err != nil {
				return err
			}
			t.Cleanup(func() { l.Close() })
			go acceptAll(l, accepted)
		}
		for _, port := range udp {
			c, err := net.ListenPacket("udp4", "203.0.113.1:"+port) // else it answers from another address
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			go answerAll(c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return accepted
}

func acceptAll(l net.Listener, accepted chan<- *net.TCPConn) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		accepted <- c.(*net.TCPConn)
		io.WriteString(c, host4(c.RemoteAddr().String()))
		go io.Copy(c, c)
	}
}

func answerAll(c net.PacketConn) {
	b := make([]byte, 100)
	for {
		_, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		c.WriteTo([]byte(host4(from.String())), from)
	}
}

func host4(addrPort string) string { return netip.MustParseAddrPort(addrPort).Addr().String() }

// probe is who the other side takes us for, or empty where nothing comes back.
func probe(t *testing.T, path, network, to string) string {
	t.Helper()
	c, err := dialFrom(t, path, network, to)
	if err != nil {
		return ""
	}
	defer c.Close()
	if network == "udp4" {
		c.Write([]byte("hello"))
	}
	return read(c)
}

func dialFrom(t *testing.T, path, network, to string) (c net.Conn, err error) {
	t.Helper()
	err = within(t, path, func() error {
		c, err = net.DialTimeout(network, to, silence)
		return err
	})
	return c, err
}

func read(c net.Conn) string {
	c.SetReadDeadline(time.Now().Add(silence))
	b := make([]byte, 100)
	n, _ := c.Read(b)
	return string(b[:n])
}

func TestGatewayKernelSide(t *testing.T) {
	g := newGatewayHost(t)
	serve(t, g.outside.netns(), []string{"80"}, []string{"4789", "6081", "5000"})
	serve(t, g.tenants.netns(), []string{"80"}, nil)
	serve(t, "", []string{"80"}, nil)
	const masqueraded, nothing = "172.30.0.1", ""
	tenants, outside := g.tenants.netns(), g.outside.netns()
	for _, c := range []struct {
		name, from, network, to, want string
	}{
		{"a tenant reaches the internet as this host", tenants, "tcp4", "203.0.113.1:80", masqueraded},
		{"by UDP too", tenants, "udp4", "203.0.113.1:5000", masqueraded},
		{"not as a tunnel: VXLAN", tenants, "udp4", "203.0.113.1:4789", nothing},
		{"not as a tunnel: Geneve", tenants, "udp4", "203.0.113.1:6081", nothing},
		{"not the infrastructure", tenants, "tcp4", "192.0.2.9:80", nothing},
		{"not another host by its management address", tenants, "tcp4", "198.51.100.9:80", nothing},
		{"not the underlay", tenants, "tcp4", "172.30.0.254:80", nothing},
		{"not this host by its tunnel address", tenants, "tcp4", "172.30.0.1:80", nothing},
		{"not this host by its transit address", tenants, "tcp4", "100.127.255.254:80", nothing},
		{"the outside does not reach a tenant", outside, "tcp4", tenantAddr.String() + ":80", nothing},
		{"this host reaches a tenant", "", "tcp4", tenantAddr.String() + ":80", "100.127.255.254"},
		{"the outside reaches this host", outside, "tcp4", "172.30.0.1:80", "172.30.0.254"},
	} {
		if got := probe(t, c.from, c.network, c.to); got != c.want {
			t.Errorf("%s: %s answered %q, want %q", c.name, c.to, got, c.want)
		}
	}
}

// TestGatewayKeepsConnections sets the kernel's side up again under a live connection.
func TestGatewayKeepsConnections(t *testing.T) {
	g := newGatewayHost(t)
	accepted := serve(t, g.outside.netns(), []string{"80"}, nil)
	c, err := dialFrom(t, g.tenants.netns(), "tcp4", "203.0.113.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := read(c); got != "172.30.0.1" {
		t.Fatalf("the outside sees %q", got)
	}
	if err := os.Remove(filepath.Join(g.state, "nftables.json")); err != nil { // so that the table is written again
		t.Fatal(err)
	}
	g.setUp()
	if _, err := c.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	if got := read(c); got != "still here" {
		t.Errorf("after the second set-up the connection answered %q", got)
	}
	// The tenant's end offers 1450-40; what comes back must fit a VLAN network: 1446-40,
	// less 12 for TCP's timestamps.
	if got := segmentSize(t, <-accepted); got > 1446-40-12 {
		t.Errorf("the outside sends segments of %d bytes, want at most %d", got, 1446-40-12)
	}
}

func segmentSize(t *testing.T, c *net.TCPConn) (size uint32) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		info, infoErr := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err = infoErr; err == nil {
			size = info.Snd_mss
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// TestNoRouter puts a neighbour on a second interface of the gateway host. Nothing passes between
// it and the outside, or from tenants to it, until the operator makes the host a router.
func TestNoRouter(t *testing.T) {
	g := newGatewayHost(t)
	neighbour := newContainer(t)
	g.wire("other0", neighbour)
	g.run("ip", "addr", "add", "10.99.0.1/24", "dev", "other0")
	g.run("ip", "link", "set", "other0", "up")
	neighbour.run("ip", "addr", "add", "10.99.0.2/24", "dev", "peer")
	neighbour.run("ip", "route", "add", "default", "via", "10.99.0.1")
	g.outside.run("ip", "route", "add", "10.99.0.0/24", "via", "172.30.0.1")
	serve(t, g.outside.netns(), []string{"80"}, nil)
	serve(t, neighbour.netns(), []string{"80"}, nil)
	g.setUp()
	eventually(t, "the neighbour is reached from this host", func() bool {
		return probe(t, "", "tcp4", "10.99.0.2:80") == "10.99.0.1"
	})
	for _, step := range []struct{ name, router, want string }{
		{"as it is", "0", ""},
		{"the operator makes it a router", "1", "forwarded"},
		{"and no router any more", "0", ""},
	} {
		g.run("sysctl", "-w", "net.ipv4.ip_forward="+step.router)
		g.setUp()
		for _, c := range []struct{ way, from, to, passed, want string }{
			{"outside to neighbour", g.outside.netns(), "10.99.0.2:80", "172.30.0.254", step.want},
			{"neighbour to outside", neighbour.netns(), "172.30.0.254:80", "10.99.0.2", step.want},
			{"tenant to neighbour", g.tenants.netns(), "10.99.0.2:80", "10.99.0.1", ""},
			{"tenant to the internet", g.tenants.netns(), "203.0.113.1:80", "172.30.0.1", "forwarded"},
		} {
			got := ""
			if probe(t, c.from, "tcp4", c.to) == c.passed {
				got = "forwarded"
			}
			if got != c.want {
				t.Errorf("%s: %s: %q, want %q", step.name, c.way, got, c.want)
			}
		}
	}
}

// TestTunnelsComeFromPeersAlone sends to the port of tunnels, where the kernel would take them
// apart: from a host of the cluster and from others, to the tunnel address and to another one.
func TestTunnelsComeFromPeersAlone(t *testing.T) {
	g := newGatewayHost(t)
	g.outside.run("ip", "addr", "add", "172.30.0.253/24", "dev", "peer")
	g.run("ip", "addr", "add", "172.30.0.9/24", "dev", "under0")
	for _, port := range []string{"6081", "5000"} {
		c, err := net.ListenPacket("udp4", ":"+port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go answerAll(c)
	}
	for _, c := range []struct {
		name, from, to string
		want           bool
	}{
		{"a host of the cluster", "172.30.0.253", "172.30.0.1:6081", true},
		{"to an address that is not the tunnel's", "172.30.0.253", "172.30.0.9:6081", false},
		{"another machine", "172.30.0.254", "172.30.0.1:6081", false},
		{"another machine, to another service", "172.30.0.254", "172.30.0.1:5000", true},
	} {
		got := make(chan string, 1)
		err := within(t, g.outside.netns(), func() error {
			d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(c.from)}}
			conn, err := d.Dial("udp4", c.to)
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.Write([]byte("hello"))
			got <- read(conn)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if answer := <-got; (answer == c.from) != c.want {
			t.Errorf("%s: answered %q, want an answer %v", c.name, answer, c.want)
		}
	}
}
