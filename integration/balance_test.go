package integration

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

// sending sends so many bytes a second from a container to the outside until it ends, over one connection, and says what was lost.
func sending(t *testing.T, c lab.Container, rate int) goesOn {
	t.Helper()
	inside, outside := connected(t, c)
	stop, sent := make(chan struct{}), make(chan int, 1)
	go func() {
		tick, n := time.NewTicker(20*time.Millisecond), 0
		defer tick.Stop()
		for b := make([]byte, rate/50); ; {
			select {
			case <-stop:
				inside.Close()
				sent <- n
				return
			case <-tick.C:
			}
			got, err := inside.Write(b)
			if n += got; err != nil {
				break
			}
		}
	}()
	came := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, outside)
		came <- n
	}()
	return goesOn{"what " + c.Name + " sends", func() error {
		close(stop)
		if all, got := <-sent, <-came; int64(all) != got {
			return fmt.Errorf("of %d bytes %d came", all, got)
		}
		return nil
	}}
}

// balanceNow is what gateway hosts carry, and which moves are proposed.
func balanceNow(t *testing.T) client.GatewayBalance {
	t.Helper()
	return answer[client.GatewayBalance](t, "gateway", "balance", "--dry-run")
}

// Of two tenants that send much through one gateway host, the leader moves one, by itself and once: their streams go on,
// and nothing goes back.
func TestHeavyTenantsPart(t *testing.T) {
	needLab(t)
	sluice(t, "gateway", "balance", "--auto", "on", "--window", "20s", "--cool-down", "20s")
	t.Cleanup(func() { sluice(t, "gateway", "balance", "--auto", "off", "--window", "5m", "--cool-down", "1h") })
	var streams []goesOn
	for n, name := range []string{"heavy-a", "heavy-b"} {
		tenant(t, name)
		host := fmt.Sprintf("h%d", n+1)
		c := container(t, host, name, name+"-1")
		wantPing(t, c, lab.InternetAddress)
		if gatewayOf(t, name).Active != "h1" {
			sluice(t, "gateway", "move", name, "h1", "--timeout", "0s")
		}
		eventually(t, name+" leaves by h1", func() error {
			if g := gatewayOf(t, name); !g.Settled() || g.Active != "h1" {
				return fmt.Errorf("the gateway is %+v", g.Gateway)
			}
			return nil
		})
		streams = append(streams, sending(t, c, 2e6))
	}
	within(t, 2*time.Minute, "the two part", func() error {
		a, b := gatewayOf(t, "heavy-a"), gatewayOf(t, "heavy-b")
		if a.Active == b.Active || a.Move != nil || b.Move != nil {
			return fmt.Errorf("gateways are %+v and %+v; balance says %+v", a.Gateway, b.Gateway, balanceNow(t))
		}
		return nil
	})
	before := [2]client.Gateway{gatewayOf(t, "heavy-a"), gatewayOf(t, "heavy-b")}
	moved := before[0]
	if before[1].Active != "h1" {
		moved = before[1]
	}
	if !moved.Balanced || !strings.HasPrefix(moved.Why, "balanced: h1 carries ") {
		t.Errorf("the gateway that moved is %+v", moved.Gateway)
	}
	within(t, time.Minute, "both hosts carry what is sent", func() error {
		if b := balanceNow(t); len(b.Moves) > 0 || loadOf(b, "h1") < 1.5e6 || loadOf(b, moved.Active) < 1.5e6 {
			return fmt.Errorf("balance says %+v", b)
		}
		return nil
	})
	time.Sleep(30 * time.Second) // three looks of the leader, longer than the cool-down
	for n, name := range []string{"heavy-a", "heavy-b"} {
		if g := gatewayOf(t, name); g.Active != before[n].Active || g.Epoch != before[n].Epoch {
			t.Errorf("%s moved on: %+v, and was %+v", name, g.Gateway, before[n].Gateway)
		}
	}
	for _, s := range streams {
		if err := s.end(); err != nil {
			t.Errorf("%s: %v", s.what, err)
		}
	}
}

func loadOf(b client.GatewayBalance, host string) float64 {
	for _, h := range b.Hosts {
		if h.Host == host {
			return h.Load
		}
	}
	return 0
}

// By hand, moves are made once, and the answer says what became of each. A tenant whose policy names its host stays.
func TestBalanceByHand(t *testing.T) {
	needLab(t)
	sluice(t, "gateway", "balance", "--window", "10s")
	t.Cleanup(func() { sluice(t, "gateway", "balance", "--window", "5m") })
	var streams []goesOn
	for _, name := range []string{"hand-a", "hand-b", "hand-pinned"} {
		tenant(t, name)
		c := container(t, "h2", name, name+"-1")
		sluice(t, "gateway", "policy", name, "h3")
		eventually(t, name+" leaves by h3", func() error {
			if g := gatewayOf(t, name); !g.Settled() || g.Active != "h3" {
				return fmt.Errorf("the gateway is %+v", g.Gateway)
			}
			return nil
		})
		if name != "hand-pinned" {
			sluice(t, "gateway", "policy", name, store.GatewayAuto)
		}
		streams = append(streams, sending(t, c, 2e6))
	}
	within(t, time.Minute, "a move is proposed", func() error {
		if b := balanceNow(t); len(b.Moves) != 2 || loadOf(b, "h3") < 5e6 {
			return fmt.Errorf("balance says %+v", b)
		}
		return nil
	})
	done := answer[struct{ Results []string }](t, "gateway", "balance")
	if fmt.Sprint(done.Results) != "[moved moved]" {
		t.Errorf("it did %v", done.Results)
	}
	if a, b, pinned := gatewayOf(t, "hand-a"), gatewayOf(t, "hand-b"), gatewayOf(t, "hand-pinned"); a.Active == "h3" || b.Active == "h3" || a.Active == b.Active || pinned.Active != "h3" {
		t.Errorf("gateways are %+v, %+v, %+v", a.Gateway, b.Gateway, pinned.Gateway)
	}
	for _, s := range streams {
		if err := s.end(); err != nil {
			t.Errorf("%s: %v", s.what, err)
		}
	}
}
