package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	goovs "github.com/digitalocean/go-openvswitch/ovs"

	"sluice/controller/client"
	"sluice/datapath/ovsrun"
	"sluice/integration/lab"
	"sluice/store"

	"github.com/google/go-cmp/cmp"
)

// metric is the sum of all samples of a metric that have all these labels.
func metric(t *testing.T, st lab.Status, name string, labels ...string) float64 {
	t.Helper()
	body := scraped(t, st)
	var sum float64
	for line := range strings.Lines(body) {
		if !strings.HasPrefix(line, name+"{") || !containsAll(line, labels) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			t.Fatalf("/metrics: %q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// scraped are the metrics of a controller that leads: after one was killed, the next does once the lease of the former ended.
func scraped(t *testing.T, st lab.Status) (body string) {
	t.Helper()
	eventually(t, "the controller leads and reads the sums of tenants", func() error {
		resp, err := http.Get(st.API + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/metrics: %s, %w", resp.Status, err)
		}
		if body = string(text); !strings.Contains(body, "\nsluice_tenant_sums_read 1\n") {
			return errors.New("it does not yet")
		}
		return nil
	})
	return body
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// The API of a running cluster tells nobody anything who does not say who asks, and takes no request
// for another name than its own, as a page elsewhere sends it after its name came to stand for this
// machine. What root of the machine may read opens it.
func TestTheAPIKnowsWhoAsks(t *testing.T) {
	st := needLab(t)
	token, err := os.ReadFile(st.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host, token string
		want        int
	}{
		{"", "", http.StatusUnauthorized},
		{"", strings.TrimSpace(string(token)), http.StatusNotFound},
		{"evil.example", strings.TrimSpace(string(token)), http.StatusForbidden},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, st.API+"/v1/tenants/nobody", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = test.host
		req.Header.Set("Authorization", "Bearer "+test.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("host %q, token of %d letters: %s, not %d", test.host, len(test.token), resp.Status, test.want)
		}
	}
	if info, err := os.Stat(st.TokenFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", st.TokenFile, info.Mode(), err)
	}
}

// The counters of a tenant are the packets that it sent: pings across hosts, counted where
// they leave and where they arrive, there and back.
func TestCountersMatchTraffic(t *testing.T) {
	st := needLab(t)
	a, b := pair(t, "counted")
	const pings = 200
	read := func(direction string) float64 {
		return metric(t, st, "sluice_tenant_packets_total", `tenant="counted"`, `scope="internal"`, `direction="`+direction+`"`)
	}
	// Neighbours ask for each other now and then: ARP is traffic too, so a few more may come.
	const slack = 20
	var out, in float64
	eventually(t, "the counters rest", func() error {
		o, i := read("out"), read("in")
		if o != out || i != in || o == 0 {
			out, in = o, i
			return fmt.Errorf("out %v, in %v", o, i)
		}
		return nil
	})
	countPings(t, a, ipOf(b), pings)
	eventually(t, "the counters match", func() error {
		for direction, was := range map[string]float64{"out": out, "in": in} {
			if got := read(direction) - was; got < 2*pings || got > 2*pings+slack {
				return fmt.Errorf("%d pings and answers, counted %v %s", pings, got, direction)
			}
		}
		return nil
	})
}

// What is refused is counted with its reason.
func TestDropsAreCounted(t *testing.T) {
	st := needLab(t)
	tenant(t, "dropped")
	w := tap(t, container(t, "h1", "dropped", "dropped-1"))
	other := hw("02:12:34:56:78:9a")
	const frames = 50
	before := metric(t, st, "sluice_tenant_drops_total", `tenant="dropped"`)
	for range frames {
		w.send(t, ethernet(broadcast, other, 0x0800, udp4(ipOf(w.c), ipOf(w.c).Next(), 1, 2, nil)))
	}
	eventually(t, "drops are counted", func() error {
		if got := metric(t, st, "sluice_tenant_drops_total", `tenant="dropped"`) - before; got < frames {
			return fmt.Errorf("%d frames refused, %v counted", frames, got)
		}
		return nil
	})
}

// Every flow that is shown names its owner, and was read from the switch.
func TestFlowsNameTheirOwner(t *testing.T) {
	st := needLab(t)
	a, b := pair(t, "owner")
	wantPing(t, a, ipOf(b))
	all := answer[[]client.Flow](t, "flows", "--host", "h1")
	if held := len(dump(t, st.Hosts[0])); len(all) != held {
		t.Errorf("sluice flows shows %d flows, h1 holds %d", len(all), held)
	}
	for _, f := range all {
		if f.Owner == "" || strings.HasPrefix(f.Owner, "unknown") {
			t.Errorf("owner %q of %s", f.Owner, f.Text)
		}
	}
	for _, f := range answer[[]client.Flow](t, "flows", "--host", "h1", "--port", "owner/default/owner-1") {
		if !strings.Contains(f.Owner, "owner-1") {
			t.Errorf("owner of a flow of port owner-1 is %q", f.Owner)
		}
	}
	wantNoDiff(t)
	wantSameDump(t, st.Hosts[0])
}

// wantSameDump compares `sluice flows -o ofctl` with what ovs-ofctl prints, and has ovs-ofctl's own dump
// named: every flow has an owner.
func wantSameDump(t *testing.T, h lab.Host) {
	t.Helper()
	lines := func(text string) (list []string) {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "cookie=") { // else it is the reply's head
				list = append(list, counters.ReplaceAllString(line, ""))
			}
		}
		slices.Sort(list)
		return list
	}
	theirs := dumpText(t, h, store.BridgeName)
	ours := sluice(t, "flows", "--host", h.Name, "-o", "ofctl")
	if diff := cmp.Diff(lines(theirs), lines(ours)); diff != "" {
		t.Errorf("sluice flows -o ofctl is not what ovs-ofctl prints (-ovs-ofctl +sluice):\n%s", diff)
	}
	owner := exec.Command(program, "owner", "-")
	owner.Stdin = strings.NewReader(theirs)
	out, err := owner.Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), "  # "); n != len(lines(theirs)) || strings.Contains(string(out), "# unknown") {
		t.Errorf("%d of the %d flows of %s have an owner:\n%s", n, len(lines(theirs)), h.Name, out)
	}
}

// A flow that somebody adds by hand is shown as no one's, and as a difference.
func TestForeignFlowIsShown(t *testing.T) {
	st := needLab(t)
	h := st.Hosts[2]
	const cookie = 0xbad
	foreign := &goovs.Flow{Cookie: cookie, Priority: 65000, InPort: 999, Actions: []goovs.Action{goovs.Drop()}}
	if err := h.Switch().Client(t.Context()).OpenFlow.AddFlow(store.BridgeName, foreign); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		his := &goovs.MatchFlow{Cookie: cookie, Table: goovs.AnyTable}
		if err := h.Switch().Client(context.Background()).OpenFlow.DelFlows(store.BridgeName, his); err != nil {
			t.Error(err)
		}
	})
	out, _, status := command(t, "flows", "--diff", "--host", h.Name)
	if status != 1 || !strings.Contains(out, "OpenFlow port 999") {
		t.Errorf("flows --diff: status %d and\n%s", status, out)
	}
}

// A switch that nobody registered is shown, and given no tenant's flow.
func TestUnknownSwitchIsShown(t *testing.T) {
	st := needLab(t)
	tenant(t, "known")
	container(t, "h3", "known", "known-1")
	h := st.Hosts[2]
	const id = "00000000deadbeef"
	const stranger = "stranger"
	err := h.Switch().Change(t.Context(), func(c *ovsrun.Change) error {
		return errors.Join(c.AddBridge(stranger),
			c.Also("set", "bridge", stranger, "datapath_type=netdev", "other_config:datapath-id="+id),
			c.SetFailMode(stranger, goovs.FailModeSecure),
			c.SetController(stranger, "ssl:172.30.0.100:6653"))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Switch().Client(context.Background()).VSwitch.DeleteBridge(stranger); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "sluice status shows the stranger", func() error {
		if out := sluice(t, "status"); !strings.Contains(out, id) {
			return fmt.Errorf("no %s in\n%s", id, out)
		}
		return nil
	})
	flows := dumpText(t, h, stranger)
	if strings.Contains(flows, "cookie=") {
		t.Errorf("the stranger was given flows:\n%s", flows)
	}
}
