package integration

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sluice/integration/lab"
	"sluice/store"
)

// What the switches hold, as OVS's own tools say it.

// dumpText is a dump of a bridge as text: go-openvswitch reads flows with losses.
func dumpText(t *testing.T, h lab.Host, bridge string) string {
	t.Helper()
	text, err := h.Switch().OFCtl(t.Context(), "dump-flows", bridge)
	if err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	return text
}

// dumped is a flow in a dump: its text without counters is its identity.
type dumped struct {
	duration float64 // seconds since it was added
	packets  uint64
	cookie   uint64
}

var (
	counters   = regexp.MustCompile(`(duration|n_packets|n_bytes|idle_age|hard_age)=[^, ]+,? ?`)
	durationIn = regexp.MustCompile(`duration=([0-9.]+)s`)
	packetsIn  = regexp.MustCompile(`n_packets=(\d+)`)
	cookieIn   = regexp.MustCompile(`cookie=0x([0-9a-f]+)`)
)

// dump reads all flows of a host's br-int.
func dump(t *testing.T, h lab.Host) map[string]dumped {
	t.Helper()
	flows := map[string]dumped{}
	for line := range strings.Lines(dumpText(t, h, store.BridgeName)) {
		d, p, c := durationIn.FindStringSubmatch(line), packetsIn.FindStringSubmatch(line), cookieIn.FindStringSubmatch(line)
		if d == nil || p == nil || c == nil {
			continue // the reply's head
		}
		var f dumped
		f.duration, _ = strconv.ParseFloat(d[1], 64) // the pattern took only digits
		f.packets, _ = strconv.ParseUint(p[1], 10, 64)
		f.cookie, _ = strconv.ParseUint(c[1], 16, 64)
		flows[strings.TrimSpace(counters.ReplaceAllString(line, ""))] = f
	}
	if len(flows) == 0 {
		t.Fatalf("%s holds no flow", h.Name)
	}
	return flows
}

// compareDumps complains where a flow went, came, or was written anew: a flow's age and
// counters only grow.
func compareDumps(t *testing.T, host string, before, after map[string]dumped) {
	t.Helper()
	for text, was := range before {
		is, ok := after[text]
		switch {
		case !ok:
			t.Errorf("%s lost a flow: %s", host, text)
		case is.duration < was.duration:
			t.Errorf("%s: a flow was written anew (age %.1f s, was %.1f s): %s", host, is.duration, was.duration, text)
		case is.packets < was.packets:
			t.Errorf("%s: a counter went back from %d to %d: %s", host, was.packets, is.packets, text)
		}
	}
	for text := range after {
		if _, ok := before[text]; !ok {
			t.Errorf("%s has a flow more: %s", host, text)
		}
	}
}

// containerPorts are the interfaces of containers in a host's bridge and kernel.
func containerPorts(t *testing.T, h lab.Host) []string {
	t.Helper()
	ports, err := h.ContainerPorts(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	links := inHost(t, h.Name, "ip", "-o", "-br", "link")
	return append(ports, regexp.MustCompile(`(?m)^sl-[a-z0-9]+`).FindAllString(links, -1)...)
}

// No flow leaves a decision to the switch, hidden ones included.
func TestNoFlowLearnsFloodsOrIsNormal(t *testing.T) {
	st := needLab(t)
	tenant(t, "explicit")
	a := container(t, "h1", "explicit", "explicit-1")
	b := container(t, "h2", "explicit", "explicit-2")
	wantPing(t, a, ipOf(b))
	forbidden := regexp.MustCompile(`(?i)\b(normal|flood|all|learn)\b`)
	for _, h := range st.Hosts {
		text, err := h.Switch().AppCtl(t.Context(), "bridge/dump-flows", store.BridgeName)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			_, actions, _ := strings.Cut(line, "actions=")
			if forbidden.MatchString(actions) {
				t.Errorf("%s: %s", h.Name, strings.TrimSpace(line))
			}
		}
	}
}

// What the controller would change is nothing, right after what others did.
func wantNoDiff(t *testing.T) {
	t.Helper()
	eventually(t, "sluice flows --diff is empty", func() error {
		out, stderr, status := command(t, "flows", "--diff")
		if status != 0 {
			return fmt.Errorf("status %d: %s%s", status, out, stderr)
		}
		return nil
	})
}
