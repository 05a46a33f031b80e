package integration

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// gatewayOf is a tenant's gateway as the cluster has it now.
func gatewayOf(t *testing.T, tenant string) client.Gateway {
	t.Helper()
	for _, g := range answer[[]client.Gateway](t, "gateway", "list") {
		if g.Tenant == tenant {
			return g
		}
	}
	t.Fatalf("tenant %s has no gateway", tenant)
	return client.Gateway{}
}

// goesOn is traffic of a container with the outside, which must last over moves without loss. end ends it, and says what
// was lost.
type goesOn struct {
	what string
	end  func() error
}

// begin begins all sorts of it: a ping each 10 ms, a download, UDP each 10 ms, and a connection that is idle until
// the outside speaks.
func begin(t *testing.T, c lab.Container) []goesOn {
	t.Helper()
	return []goesOn{pinging(t, c), downloading(t, c), talkingUDP(t, c), idle(t, c)}
}

func pinging(t *testing.T, c lab.Container) goesOn {
	t.Helper()
	return goesOn{"ping of " + c.Name, steadyPing(t, c, lab.InternetAddress).end}
}

// connected is a connection of TCP from a container to the outside, by both ends.
func connected(t *testing.T, c lab.Container) (inside, outside net.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	l, err := lab.ListenIn(ctx, lab.InternetNS, "tcp", netip.AddrPortFrom(lab.InternetAddress, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if inside, err = lab.DialIn(ctx, c.NetNS, "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if outside, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inside.Close(); outside.Close() })
	return inside, outside
}

// downloading sends numbers from outside until it ends, each after the one before.
func downloading(t *testing.T, c lab.Container) goesOn {
	t.Helper()
	inside, outside := connected(t, c)
	stop, sent := make(chan struct{}), make(chan uint64, 1)
	go func() {
		var n uint64
		for b := [1024]byte{}; ; n++ {
			binary.BigEndian.PutUint64(b[:], n)
			if _, err := outside.Write(b[:]); err != nil {
				break
			}
			select {
			case <-stop:
				outside.Close()
				sent <- n + 1
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
		sent <- n
	}()
	got := make(chan error, 1)
	var count uint64
	go func() {
		for b := [1024]byte{}; ; count++ {
			if _, err := io.ReadFull(inside, b[:]); err != nil {
				got <- err
				return
			}
			if n := binary.BigEndian.Uint64(b[:]); n != count {
				got <- fmt.Errorf("block %d came where %d was due", n, count)
				return
			}
		}
	}()
	return goesOn{"download of " + c.Name, func() error {
		close(stop)
		all := <-sent
		if err := <-got; !errors.Is(err, io.EOF) || count != all {
			return fmt.Errorf("of %d blocks %d came: %w", all, count, err)
		}
		return nil
	}}
}

// talkingUDP asks the outside each 10 ms, and counts the answers.
func talkingUDP(t *testing.T, c lab.Container) goesOn {
	t.Helper()
	conn, err := lab.DialIn(t.Context(), c.NetNS, "udp", netip.AddrPortFrom(lab.InternetAddress, 7).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	stop, sent := make(chan struct{}), make(chan int, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				sent <- n
				return
			case <-time.After(10 * time.Millisecond):
				if _, err := conn.Write([]byte{0}); err != nil {
					sent <- n
					return
				}
			}
		}
	}()
	var answered atomic.Int64
	go func() {
		for b := [64]byte{}; ; answered.Add(1) {
			if _, err := conn.Read(b[:]); err != nil {
				return
			}
		}
	}()
	return goesOn{"UDP of " + c.Name, func() error {
		close(stop)
		asked := int64(<-sent)
		for range 50 { // the last answers are on their way
			if answered.Load() == asked {
				return nil
			}
			time.Sleep(100 * time.Millisecond)
		}
		return fmt.Errorf("of %d packets %d were answered", asked, answered.Load())
	}}
}

// idle is a connection on which nobody speaks until the end, when the outside does first.
func idle(t *testing.T, c lab.Container) goesOn {
	t.Helper()
	inside, outside := connected(t, c)
	return goesOn{"idle connection of " + c.Name, func() error {
		for _, way := range []struct{ from, to net.Conn }{{outside, inside}, {inside, outside}} {
			if _, err := way.from.Write([]byte("hello")); err != nil {
				return err
			}
			b := make([]byte, 5)
			if err := way.to.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				return err
			}
			if _, err := io.ReadFull(way.to, b); err != nil {
				return err
			}
		}
		return nil
	}}
}

// uplink is the address under which tenants leave by a host of the lab.
func uplink(host string) netip.Addr { return netip.MustParseAddr("172.30.0." + host[1:]) }

// A gateway that moves, moves on and moves back breaks no connection and loses no packet, wherever the container
// is: what was there goes on as it was, and what is new leaves by the new host.
func TestGatewayMovesWithoutLoss(t *testing.T) {
	needLab(t)
	tenant(t, "mover")
	var all []goesOn
	var containers []lab.Container
	for _, host := range []string{"h1", "h2", "h3"} {
		c := container(t, host, "mover", "mover-"+host)
		wantPing(t, c, lab.InternetAddress)
		containers = append(containers, c)
	}
	first := gatewayOf(t, "mover").Active
	next := map[string]string{"h1": "h2", "h2": "h3", "h3": "h1"}
	way := []string{next[first], next[next[first]], first}
	for _, c := range containers {
		all = append(all, begin(t, c)...)
	}
	for _, to := range way {
		sluice(t, "gateway", "move", "mover", to)
		for _, c := range containers {
			if seen := seenAs(t, c); seen != uplink(to) {
				t.Errorf("after the move to %s, %s leaves by %s", to, c.Name, seen)
			}
		}
	}
	for _, traffic := range all {
		if err := traffic.end(); err != nil {
			t.Errorf("%s: %v", traffic.what, err)
		}
	}
	if g := gatewayOf(t, "mover"); g.Active != first || g.Epoch != 4 {
		t.Errorf("after the moves the gateway is %+v", g)
	}
	refused(t, []string{"mover", first, "nothing to move"}, "gateway", "move", "mover", first)
	refused(t, []string{"h9", "no such host"}, "gateway", "move", "mover", "h9")
}

// A host that drained is let go once it has no connection left, or when its time is up.
func TestDrainedHostIsLetGo(t *testing.T) {
	needLab(t)
	tenant(t, "quiet")
	c := container(t, "h1", "quiet", "quiet-1")
	settled := func() error {
		if g := gatewayOf(t, "quiet"); !g.Settled() {
			return fmt.Errorf("the gateway is %+v", g.Gateway)
		}
		return nil
	}
	next := map[string]string{"h1": "h2", "h2": "h3", "h3": "h1"}
	to := next[gatewayOf(t, "quiet").Active]
	sluice(t, "gateway", "move", "quiet", to)
	eventually(t, "the host that had no connection is let go", settled)

	inside, _ := connected(t, c)
	sluice(t, "gateway", "move", "quiet", next[to], "--timeout", "3s")
	if g := gatewayOf(t, "quiet"); len(g.Draining) != 1 {
		t.Errorf("a host with a connection does not drain: %+v", g)
	}
	if _, err := inside.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	eventually(t, "the host whose time is up is let go", settled)
}

// A move that a killed controller leaves half done, with its etcd, is brought to its end by the next one: the gateway is at
// one of its two hosts, and no packet is lost.
func TestMoveOutlivesItsController(t *testing.T) {
	needLab(t)
	tenant(t, "survivor")
	c := container(t, "h1", "survivor", "survivor-1")
	wantPing(t, c, lab.InternetAddress)
	from := gatewayOf(t, "survivor").Active
	to := map[string]string{"h1": "h2", "h2": "h3", "h3": "h1"}[from]
	traffic := pinging(t, c)
	sluice(t, "gateway", "move", "survivor", to, "--no-wait")
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "up")
	eventually(t, "the move has ended", func() error {
		if g := gatewayOf(t, "survivor"); g.Move != nil || g.Active != from && g.Active != to {
			return fmt.Errorf("the gateway is %+v", g.Gateway)
		}
		return nil
	})
	if err := traffic.end(); err != nil {
		t.Errorf("%s: %v", traffic.what, err)
	}
	wantNoDiff(t)
}
