package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// serveTCP tells each that connects to a container from where it came, and gives back each line that it says.
func serveTCP(t *testing.T, c lab.Container, port uint16) {
	t.Helper()
	l, err := lab.ListenIn(t.Context(), c.NetNS, "tcp", netip.AddrPortFrom(ipOf(c), port).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, "%s %s\n", c.Name, conn.RemoteAddr())
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
}

// serveUDP answers each packet to a container with the container's name, and from where it came.
func serveUDP(t *testing.T, c lab.Container, port uint16) {
	t.Helper()
	var conn net.PacketConn
	err := lab.InNamespace(c.NetNS, func() (err error) {
		conn, err = net.ListenPacket("udp", netip.AddrPortFrom(ipOf(c), port).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for b := make([]byte, 64); ; {
			_, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo([]byte(c.Name+" "+from.String()), from)
		}
	}()
}

// visitor is a connection of the internet to a port of a host.
type visitor struct {
	net.Conn
	lines *bufio.Reader
	hello string // who answered, and from where it saw the visitor come
}

// visit opens one by TCP.
func visit(t *testing.T, host string, port uint16) (*visitor, error) {
	t.Helper()
	return visitAt(t, netip.AddrPortFrom(uplink(host), port), 3*time.Second)
}

// visitAt opens one to an address, within a time.
func visitAt(t *testing.T, at netip.AddrPort, limit time.Duration) (*visitor, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	conn, err := lab.DialIn(ctx, lab.InternetNS, "tcp", at.String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	v := &visitor{Conn: conn, lines: bufio.NewReader(conn)}
	v.hello, err = v.line()
	return v, err
}

func (v *visitor) line() (string, error) {
	if err := v.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	return v.lines.ReadString('\n')
}

// says is an error unless what is said comes back.
func (v *visitor) says(word string) error {
	if _, err := fmt.Fprintln(v, word); err != nil {
		return err
	}
	if line, err := v.line(); err != nil || strings.TrimSpace(line) != word {
		return fmt.Errorf("%q came back as %q: %w", word, line, err)
	}
	return nil
}

// asking is a socket of UDP of the internet.
func asking(t *testing.T, host string, port uint16) net.Conn {
	t.Helper()
	return askingAt(t, netip.AddrPortFrom(uplink(host), port))
}

func askingAt(t *testing.T, at netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := lab.DialIn(t.Context(), lab.InternetNS, "udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// ask is one question and its answer.
func ask(conn net.Conn) (string, error) {
	if _, err := conn.Write([]byte{0}); err != nil {
		return "", err
	}
	b := make([]byte, 128)
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	n, err := conn.Read(b)
	return string(b[:n]), err
}

// answers waits until a question of UDP is answered so.
func answers(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	eventually(t, "UDP to "+conn.RemoteAddr().String()+" is answered by "+want, func() error {
		if said, err := ask(conn); err != nil || !strings.HasPrefix(said, want) {
			return fmt.Errorf("it is answered %q: %w", said, err)
		}
		return nil
	})
}

// open waits until the internet reaches a port of a host, and says who answers.
func open(t *testing.T, host string, port uint16, who, from string) *visitor {
	t.Helper()
	var v *visitor
	eventually(t, fmt.Sprintf("tcp %d of %s is open", port, host), func() (err error) {
		if v, err = visit(t, host, port); err != nil {
			return err
		}
		if !strings.HasPrefix(v.hello, who+" "+from+":") {
			return fmt.Errorf("%s sees %q, want %s", who, v.hello, from)
		}
		return nil
	})
	return v
}

func closed(t *testing.T, host string, port uint16) {
	t.Helper()
	eventually(t, fmt.Sprintf("tcp %d of %s is closed", port, host), func() error {
		if v, err := visit(t, host, port); err == nil {
			return fmt.Errorf("%s", v.hello)
		}
		return nil
	})
}

// What a tenant publishes is reached from outside by its gateway host, wherever the container is, and by nothing else; it moves with the
// gateway, while what was open goes on; and it ends at once, with what is open.
func TestPublish(t *testing.T) {
	st := needLab(t)
	endsProved(t)
	tenant(t, "pub-a", "--gateway", "h1")
	tenant(t, "pub-b", "--gateway", "h1")
	web, near := container(t, "h3", "pub-a", "pub-web"), container(t, "h1", "pub-a", "pub-near")
	container(t, "h2", "pub-b", "pub-b1")
	for _, c := range []lab.Container{web, near} {
		serveTCP(t, c, 80)
		serveUDP(t, c, 54)
	}
	internet := netip.MustParseAddr("172.30.0.254").String()
	if v, err := visit(t, "h1", 8080); err == nil {
		t.Fatalf("before anything is published %s answers", v.hello)
	}
	told := sluice(t, "publish", "pub-a", "--port", "pub-web", "--tcp", "80", "--on", "8080")
	if !strings.Contains(told, "tcp 8080 of host h1 (172.30.0.1) leads to tcp 80 of pub-a/default/pub-web") || !strings.Contains(told, "which cannot move") {
		t.Errorf("publish says %s", told)
	}
	sluice(t, "publish", "pub-a", "--port", "pub-web", "--tcp", "80", "--on", "8081", "--keep-source")
	sluice(t, "publish", "pub-a", "--port", "pub-near", "--tcp", "80", "--on", "8082")
	sluice(t, "publish", "pub-a", "--port", "pub-web", "--udp", "53-54", "--on", "5353-5354")
	hidden := open(t, "h1", 8080, "pub-web", uplink("h1").String())
	kept := open(t, "h1", 8081, "pub-web", internet)
	open(t, "h1", 8082, "pub-near", uplink("h1").String())
	questions := asking(t, "h1", 5354)
	answers(t, questions, "pub-web "+uplink("h1").String())
	if v, err := visit(t, "h2", 8080); err == nil {
		t.Errorf("host h2, which is not the gateway host, answers %s", v.hello)
	}
	refused(t, []string{"tcp 8080 of host h1 is published by pub-a/tcp-8080 longer"}, "publish", "pub-b", "--port", "pub-b1", "--tcp", "80", "--on", "8080")
	refused(t, []string{"port pub-b/default/pub-web is not there"}, "publish", "pub-b", "--port", "pub-web", "--tcp", "80", "--on", "9999")
	countsPublished(t, st, kept)
	hostsOwn(t)
	answers(t, questions, "pub-web ") // the kernel forgets UDP after 30 s of silence

	answers(t, questions, "pub-web ") // the kernel forgets in 30 s what is silent
	sluice(t, "gateway", "policy", "pub-a", "h2")
	moved := open(t, "h2", 8080, "pub-web", uplink("h2").String())
	closed(t, "h1", 8080)
	for name, v := range map[string]*visitor{"hidden": hidden, "kept": kept} {
		if err := v.says("after the move"); err != nil {
			t.Errorf("the connection to h1 (%s) after the gateway moved to h2: %v", name, err)
		}
	}
	if said, err := ask(questions); err != nil || !strings.HasPrefix(said, "pub-web ") {
		t.Errorf("UDP to h1 after the gateway moved to h2 is answered %q: %v", said, err)
	}
	ended(t, hidden, moved)
}

// ended: what is unpublished ends at once, on both hosts, and the next publication of the port has new connections, also of senders
// that go on under their ports.
func ended(t *testing.T, connections ...*visitor) {
	t.Helper()
	questions := asking(t, "h2", 5354)
	answers(t, questions, "pub-web ")
	sluice(t, "unpublish", "pub-a", "tcp-8080")
	sluice(t, "unpublish", "pub-a", "udp-5353-5354")
	eventually(t, "what was open ends", func() error {
		for _, v := range connections {
			if err := v.says("ended"); err == nil {
				return fmt.Errorf("the connection to %s goes on", v.RemoteAddr())
			}
		}
		if said, err := ask(questions); err == nil {
			return fmt.Errorf("UDP is answered %q", said)
		}
		return nil
	})
	closed(t, "h2", 8080)
	refused(t, []string{"not found"}, "unpublish", "pub-a", "tcp-8080")
	sluice(t, "publish", "pub-a", "--port", "pub-near", "--udp", "54", "--on", "5354")
	answers(t, questions, "pub-near ") // of the same socket
}

// countsPublished: what passes counts as published, and not as egress.
func countsPublished(t *testing.T, st lab.Status, v *visitor) {
	t.Helper()
	read := func(scope, direction string) float64 {
		return metric(t, st, "sluice_tenant_packets_total", `tenant="pub-a"`, `scope="`+scope+`"`, `direction="`+direction+`"`)
	}
	in, out := read("published", "in"), read("published", "out")
	const words = 50
	for range words {
		if err := v.says("count me"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the counters match", func() error {
		if i, o := read("published", "in")-in, read("published", "out")-out; i < words || o < words {
			return fmt.Errorf("%d words there and back counted as %v in, %v out", words, i, o)
		}
		return nil
	})
	if n := read("egress", "out"); n != 0 {
		t.Errorf("%v packets of a tenant that only publishes count as egress", n)
	}
}

// hostsOwn: what a program of the gateway host listens on is not published, and stays the program's where it was published before.
func hostsOwn(t *testing.T) {
	t.Helper()
	own, err := lab.ListenIn(t.Context(), "sluice-h1", "tcp", "0.0.0.0:8090")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "publish names what the host listens on", func() error {
		_, stderr, status := command(t, "publish", "pub-a", "--port", "pub-web", "--tcp", "80", "--on", "8090")
		if status == 1 && strings.Contains(stderr, "host h1 itself listens on tcp 8090") {
			return nil
		}
		command(t, "unpublish", "pub-a", "tcp-8090")
		return fmt.Errorf("status %d: %s", status, stderr)
	})
	own.Close()
	eventually(t, "the port is free", func() error {
		if _, stderr, status := command(t, "publish", "pub-a", "--port", "pub-web", "--tcp", "80", "--on", "8090"); status != 0 {
			return fmt.Errorf("%s", stderr)
		}
		return nil
	})
	open(t, "h1", 8090, "pub-web", uplink("h1").String())
	if own, err = lab.ListenIn(t.Context(), "sluice-h1", "tcp", "0.0.0.0:8090"); err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	eventually(t, "the program keeps its port", func() error {
		for _, p := range answer[[]client.Publication](t, "publish", "list", "--tenant", "pub-a") {
			if p.Name == "tcp-8090" && strings.Contains(p.Why, "itself listens on tcp 8090") {
				return nil
			}
		}
		return fmt.Errorf("publish list does not say so")
	})
	sluice(t, "unpublish", "pub-a", "tcp-8090")
}
