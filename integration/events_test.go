package integration

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

// spoken is what a command has written so far, line by line.
type spoken struct {
	mu    sync.Mutex
	lines []string
}

func (s *spoken) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(strings.Join(s.lines, "\n"), text)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

// speaking starts sluice with arguments, and ends it with the test.
func speaking(t *testing.T, args ...string) *spoken {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program, args...)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s, over := &spoken{}, make(chan struct{})
	go func() {
		defer close(over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.mu.Lock()
			s.lines = append(s.lines, lines.Text())
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-over
		_ = cmd.Wait() // it was killed
	})
	return s
}

// Operators see what happened, by the command and while it happens: a gateway that moves, an agent that is killed, a
// flow that somebody deletes, and who asked for what.
func TestEventsTellWhatHappened(t *testing.T) {
	st := needLab(t)
	tenant(t, "told")
	container(t, "h2", "told", "told-1")
	began := time.Now().UTC().Format(time.RFC3339)
	watching := speaking(t, "events", "--watch", "--since", began)
	happens := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !watching.has(want); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no event is %q, of\n%s", want, watching)
			}
		}
	}
	eventually(t, "the tenant has a gateway", func() error {
		if g := gatewayOf(t, "told"); g.Active == "" {
			return errors.New("none yet")
		}
		return nil
	})
	from := gatewayOf(t, "told").Active
	moveGateway(t, st, "told")
	happens("changed               tenant told: move-gateway, by local")
	happens("gateway-moved         tenant told: from " + from + " to ")

	sluice(t, "lab", "kill", "agent/h3")
	revive := sync.OnceValue(func() error { return lab.Revive(context.WithoutCancel(t.Context()), "agent/h3") })
	t.Cleanup(func() {
		if err := revive(); err != nil {
			t.Error(err)
		}
	})
	if _, err := st.Hosts[1].Switch().OFCtl(t.Context(), "del-flows", store.BridgeName, "table=0"); err != nil {
		t.Fatal(err)
	}
	happens("drift-mended*         host h2: flows that others changed were put right: ")
	happens("agent-away*           host h3: ")
	if err := revive(); err != nil {
		t.Fatal(err)
	}
	happens("agent-back            host h3: ")

	sluice(t, "tenant", "set", "told", "--max-ports", "1")
	happens("limits-changed        tenant told: ports 0 -> 1")
	for _, name := range []string{"told-2", "told-3"} {
		refused(t, []string{"told"}, "lab", "run", "h2", "told", name)
	}
	happens("attach-refused*       tenant told: the tenant has as many ports as it may")

	token := strings.TrimSpace(sluice(t, "token", "create", "told-eyes", "--tenant", "told"))
	t.Cleanup(func() { sluice(t, "token", "revoke", "told-eyes") })
	kinds := map[string]int{}
	for _, h := range answer[[]client.Happened](t, "events", "--token", token) {
		kinds[string(h.What)] += h.Count
		if h.Tenant != "told" {
			t.Errorf("the tenant is shown %+v", h)
		}
	}
	for _, kind := range []string{"gateway-moved", "limits-changed", "attach-refused", "changed"} {
		if kinds[kind] == 0 {
			t.Errorf("the tenant is not shown that %s happened: %v", kind, kinds)
		}
	}
	if n := kinds["attach-refused"]; n < 2 {
		t.Errorf("2 attaches were refused at least, and %d are counted", n)
	}
}
