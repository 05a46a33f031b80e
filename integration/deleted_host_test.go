package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"sluice/integration/lab"
	"sluice/metrics/overtime"
)

// What a tenant sent by a host stays in its sums when the host is deleted, for a real Prometheus and for sluice usage, as what left by
// a gateway host stays when the gateway moves on.
func TestSumsOutliveTheirHost(t *testing.T) {
	st := controlled(t, 1)
	p := startPrometheus(t, st)
	eventually(t, "Prometheus scrapes the leader", func() error { _, err := p.one("sluice_tenant_sums_read == 1"); return err }) // what was counted before, usage cannot know
	tenant(t, "outlived", "--gateway", "h3")
	a, c := container(t, "h1", "outlived", "outlived-1"), container(t, "h3", "outlived", "outlived-2")
	settled(t, "outlived", "h3")
	const (
		inside = `sluice_tenant_packets_total{tenant="outlived",scope="internal",direction="out"}`
		egress = `sluice_tenant_packets_total{tenant="outlived",scope="egress",direction="out"}`
		byH1   = `sluice_tenant_gateway_packets_total{tenant="outlived",host="h1",direction="out"}`
		byH3   = `sluice_tenant_gateway_packets_total{tenant="outlived",host="h3",direction="out"}`
	)
	leaves := func(series string, pings int) float64 {
		t.Helper()
		if answered := <-pingsOut(a, pings); answered != pings {
			t.Errorf("of %d pings %d were answered", pings, answered)
		}
		n := p.rests(series)
		if n != float64(pings) {
			t.Errorf("%s is %v after %d pings", series, n, pings)
		}
		return n
	}
	countPings(t, c, ipOf(a), 100)
	first := leaves(byH3, 100)
	sluice(t, "gateway", "policy", "outlived", "h1")
	settled(t, "outlived", "h1")
	second := leaves(byH1, 50)
	was := map[string]float64{inside: p.rests(inside), egress: first + second, byH1: second, byH3: first}
	deleted(t, c)
	for series, want := range was {
		if got := p.rests(series); got != want {
			t.Errorf("a host was deleted: %s is %v, and was %v", series, got, want)
		}
		p.oneSeries(series)
		if n := p.must(`resets(` + series + `[1h])`); n != 0 {
			t.Errorf("%s fell %v times", series, n)
		}
	}
	eventually(t, "usage tells of it", func() error {
		var is overtime.Usage
		if err := json.Unmarshal([]byte(sluice(t, "usage", "--tenant", "outlived", "--since", "10m", "--prometheus", p.url, "-o", "json")), &is); err != nil {
			return err
		}
		return usageHas(is, map[string]float64{"internal": was[inside], "egress": was[egress], "h1": second, "h3": first})
	})
}

// pingsOut pings the outside so many times, and tells how many were answered.
func pingsOut(from lab.Container, pings int) <-chan int {
	return answersOf(from, lab.Container{IPs: []netip.Addr{lab.InternetAddress}}, pings)
}

// usageHas says which packets out usage does not have, by scope and by gateway host.
func usageHas(is overtime.Usage, want map[string]float64) error {
	got := map[string]float64{}
	for _, of := range is.Traffic {
		if of.Direction == "out" {
			got[of.Scope] = float64(of.Packets)
		}
	}
	for _, of := range is.Gateways {
		if of.Direction == "out" {
			got[of.Host] = float64(of.Packets)
		}
	}
	var wrong error
	for what, n := range want {
		if got[what] != n {
			wrong = errors.Join(wrong, fmt.Errorf("%s: %v packets, not %v", what, got[what], n))
		}
	}
	return wrong
}
