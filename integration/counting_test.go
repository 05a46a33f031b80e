package integration

import (
	"fmt"
	"testing"
	"time"

	"sluice/integration/lab"
)

// controlled gives a test a lab with that many controllers, and the others theirs back.
func controlled(t *testing.T, controllers int) lab.Status {
	t.Helper()
	needLab(t)
	sluice(t, "lab", "down")
	t.Cleanup(func() {
		command(t, "lab", "down")
		sluice(t, "lab", "up", "--hosts", "3")
	})
	sluice(t, "lab", "up", "--hosts", "3", "--controllers", fmt.Sprint(controllers), "--etcd", "1")
	return needLab(t)
}

// What a tenant sent is one series in a real Prometheus, which never falls, never jumps and loses nothing, while each of
// three controllers is killed with its hosts, ports come and go, a gateway moves and a host is deleted.
func TestATenantIsOneSeries(t *testing.T) {
	st := controlled(t, 3)
	p := startPrometheus(t, st)
	tenant(t, "one")
	a, b, c := container(t, "h1", "one", "one-1"), container(t, "h2", "one", "one-2"), container(t, "h3", "one", "one-3")
	pings := []*steadyPings{steadyPing(t, a, ipOf(b)), steadyPing(t, b, ipOf(c)), steadyPing(t, c, ipOf(a))}
	const packets = `sluice_tenant_packets_total{tenant="one",scope="internal"}`
	const out, in = `sluice_tenant_packets_total{tenant="one",scope="internal",direction="out"}`, `sluice_tenant_packets_total{tenant="one",scope="internal",direction="in"}`
	eventually(t, "Prometheus knows the tenant", func() error { _, err := p.one(out); return err })

	for _, m := range st.Controllers {
		t.Logf("%s is killed; hosts by controller: %v", m.Name, programs(t, ""))
		sluice(t, "lab", "kill", "controller/"+m.Name)
		programs(t, m.Name)
		eventually(t, "another leads", func() error { _, err := p.one(out); return err })
		p.grows(out)
		sluice(t, "lab", "up")
	}
	moveGateway(t, st, "one")
	d := container(t, "h2", "one", "one-4")
	countPings(t, d, ipOf(a), 100)
	time.Sleep(2 * time.Second) // Open vSwitch has counted what it forwarded: else it counts for the flows that come after d
	sluice(t, "lab", "rm", d.Name)
	answered := 0
	for _, ping := range pings {
		ping.wantAll()
		answered += ping.answered
	}
	sent := p.rests(out)
	const slack = 300 // neighbours ask for each other, and new ones tell all
	if got := p.rests(in); got < sent || got > sent+slack {
		t.Errorf("%v packets were sent inside, and %v received", sent, got)
	}
	if want := 2 * float64(answered+100); sent < want || sent > want+slack {
		t.Errorf("%v packets were counted; pings and their answers are %v", sent, want)
	}
	deleted(t, c)
	if got := p.rests(out); got != sent {
		t.Errorf("a host was deleted, and of %v packets are left %v", sent, got)
	}
	p.oneSeries(out)
	for series, resets := range p.answers(`resets(` + packets + `[1h])`) {
		if resets != 0 {
			t.Errorf("%s fell %v times", series, resets)
		}
	}
	usual := p.must(`quantile_over_time(0.5, rate(` + out + `[30s])[1h:1s])`)
	if most := p.must(`max_over_time(rate(` + out + `[30s])[1h:1s])`); most > 2.5*usual { // what is late comes at once
		t.Errorf("the rate is %v packets a second most of the time, and once it was %v", usual, most)
	}
}

// moveGateway moves a tenant's gateway to any other host.
func moveGateway(t *testing.T, st lab.Status, tenant string) {
	t.Helper()
	is := gatewayOf(t, tenant).Active
	for _, h := range st.Hosts {
		if h.Name != is {
			sluice(t, "gateway", "move", tenant, h.Name)
			return
		}
	}
}

// deleted removes a container and then its host, for good.
func deleted(t *testing.T, c lab.Container) {
	t.Helper()
	sluice(t, "lab", "rm", c.Name)
	sluice(t, "lab", "kill", c.Host)
	eventually(t, c.Host+" can be deleted", func() error {
		if _, stderr, status := command(t, "host", "delete", c.Host); status != 0 {
			return fmt.Errorf("%s", stderr)
		}
		return nil
	})
}

// oneSeries says that all that was ever known of a metric is one series.
func (p *prometheus) oneSeries(query string) {
	p.Helper()
	if n := p.must(`count(count_over_time(` + query + `[1h]))`); n != 1 {
		p.Errorf("%s was %v series", query, n)
	}
}

// answers is ask's answer.
func (p *prometheus) answers(query string) map[string]float64 {
	p.Helper()
	answer, err := p.ask(query)
	if err != nil {
		p.Fatal(err)
	}
	if len(answer) == 0 {
		p.Fatalf("%s has no series", query)
	}
	return answer
}
