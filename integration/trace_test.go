package integration

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

// traceOf is what sluice trace says.
func traceOf(t *testing.T, from, to string, more ...string) client.Trace {
	t.Helper()
	return answer[client.Trace](t, append([]string{"trace", from, to}, more...)...)
}

func portOf(c lab.Container) string { return c.Tenant + "/" + c.Name }

// A trace over the switches of a running cluster says of each pair what happens to the packets.
func TestTraceSaysWhatHappens(t *testing.T) {
	needLab(t)
	tenant(t, "traced", "--subnet", "10.0.0.0/24", "--gateway", "h2")
	tenant(t, "others", "--subnet", "10.0.0.0/24", "--subnet", "10.9.0.0/24", "--gateway", "h1")
	a, b := container(t, "h1", "traced", "traced-1"), container(t, "h2", "traced", "traced-2")
	o := container(t, "h3", "others", "others-1")
	nobody := netip.MustParseAddr("10.0.0.250")
	vtep := netip.MustParseAddr("172.30.0.3")
	for _, pair := range []struct {
		about    string
		from     lab.Container
		to       netip.Addr
		more     []string
		verdict  string
		says     string
		answered bool // by what is there
	}{
		{"between hosts", a, ipOf(b), nil, "delivered", "delivered to traced/default/traced-2 on h2", true},
		{"and back", b, ipOf(a), nil, "delivered", "delivered to traced/default/traced-1 on h1", true},
		{"out", a, lab.InternetAddress, nil, "left", "left by gateway host h2", true},
		{"out, where the gateway is", b, lab.InternetAddress, nil, "left", "left by gateway host h2", true},
		{"to nobody", a, nobody, nil, "dropped", "in table resolve: unanswered", false},
		{"to the infrastructure", a, vtep, nil, "dropped", "dropped on h2 in table nat_new: infrastructure", false},
		{"to what no tenant may route to", a, netip.MustParseAddr("169.254.169.254"), nil, "dropped", "in table route: no-route", false},
	} {
		t.Run(pair.about, func(t *testing.T) {
			for _, view := range [][]string{nil, {"--desired"}} {
				got := traceOf(t, portOf(pair.from), pair.to.String(), append(view, pair.more...)...)
				if string(got.Verdict) != pair.verdict || !strings.Contains(got.Text, pair.says) || !got.Complete {
					t.Errorf("%v: %s: %s (complete %t), want %s: %s", view, got.Verdict, got.Text, got.Complete, pair.verdict, pair.says)
				}
			}
			if ping(pair.from, pair.to, 2) != pair.answered {
				t.Errorf("a ping from %s to %s is answered: %t", pair.from.Name, pair.to, !pair.answered)
			}
		})
	}
	across := traceOf(t, portOf(a), portOf(o))
	if across.Verdict == "delivered" || !strings.Contains(strings.Join(across.Notes, "\n"), "port others/default/others-1 is another tenant's") {
		t.Errorf("to another tenant's port: %s, %q", across.Text, across.Notes)
	}
	reply := traceOf(t, "outside", portOf(a), "--proto", "tcp", "--state", "reply")
	if reply.Text != "delivered to traced/default/traced-1 on h1" || len(reply.Before) != 2 {
		t.Errorf("an answer from outside: %s, after %d packets", reply.Text, len(reply.Before))
	}
	if asked := traceOf(t, "outside", portOf(a), "--proto", "tcp"); asked.Reason != "no-connection" {
		t.Errorf("a connection from outside: %s", asked.Text)
	}
}

// A flow that somebody wrote by hand is on the way over the switches' flows, and not over those that
// they should hold.
func TestTraceShowsAHostileFlow(t *testing.T) {
	st := needLab(t)
	tenant(t, "victim", "--subnet", "10.0.0.0/24")
	tenant(t, "robber", "--subnet", "10.0.0.0/24")
	a, b := container(t, "h1", "victim", "victim-1"), container(t, "h2", "victim", "victim-2")
	r := container(t, "h2", "robber", "robber-1")
	h2 := st.Hosts[1]
	iface := answer[client.Port](t, "port", "show", portOf(r)).Interface
	number, err := h2.Switch().VSCtl(t.Context(), "get", "interface", iface, "ofport")
	if err != nil {
		t.Fatal(err)
	}
	flow := fmt.Sprintf("cookie=0xbad,table=80,priority=900,dl_dst=%s,actions=output:%s", b.MAC, strings.TrimSpace(number))
	if _, err := h2.Switch().OFCtl(t.Context(), "add-flow", store.BridgeName, flow); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := h2.Switch().OFCtl(context.Background(), "del-flows", store.BridgeName, "cookie=0xbad/-1"); err != nil {
			t.Error(err)
		}
	})
	installed := traceOf(t, portOf(a), portOf(b))
	if installed.Text != "delivered to robber/default/robber-1 on h2" {
		t.Errorf("over the switches' flows: %s", installed.Text)
	}
	for _, says := range []string{"a flow in table forward of host h2 is no object's", "robber/default/robber-1 is not victim/default/victim-2"} {
		if !slices.ContainsFunc(installed.Notes, func(n string) bool { return strings.Contains(n, says) }) {
			t.Errorf("no note says %q: %q", says, installed.Notes)
		}
	}
	if desired := traceOf(t, portOf(a), portOf(b), "--desired"); desired.Text != "delivered to victim/default/victim-2 on h2" {
		t.Errorf("over the desired flows: %s", desired.Text)
	}
}

// A switch that is away is told, and not guessed.
func TestTraceOverASwitchThatIsAway(t *testing.T) {
	needLab(t)
	tenant(t, "unread")
	a, b := container(t, "h1", "unread", "unread-1"), container(t, "h3", "unread", "unread-2")
	sluice(t, "lab", "kill", "h3")
	t.Cleanup(func() {
		sluice(t, "lab", "up")
		wantNoDiff(t)
	})
	eventually(t, "the trace says that h3 is away", func() error {
		got := traceOf(t, portOf(a), ipOf(b).String())
		if got.Verdict != "unknown" || got.Complete || !strings.Contains(got.Text, "not known what happens on h3: its switch has no session with controller") {
			return fmt.Errorf("%s: %s", got.Verdict, got.Text)
		}
		return nil
	})
	if got := traceOf(t, portOf(a), ipOf(b).String(), "--desired"); got.Verdict != "delivered" {
		t.Errorf("over the desired flows: %s", got.Text)
	}
}
