package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// usage is what tenants sent, got and were refused in a time.
type usage struct {
	From    time.Time     `json:"from"` // later than asked where Prometheus knows nothing of before
	To      time.Time     `json:"to"`
	Gaps    []gap         `json:"gaps,omitempty"`
	Traffic []usedTraffic `json:"traffic"`
	// Gateways has what of the traffic passed which gateway host, egress and published.
	Gateways []usedGateway `json:"gateways"`
	Drops    []usedDrops   `json:"drops"`

	asked time.Time
	step  time.Duration
	at    map[usedTraffic]int // where traffic of a tenant, direction and scope stands
	by    map[usedGateway]int // where that of a tenant, host and direction does
}

// gap is a time of which Prometheus knows nothing. What was counted in it is in the sums, since counts go on.
type gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

type usedTraffic struct {
	Tenant    string `json:"tenant"`
	Direction string `json:"direction"`
	Scope     string `json:"scope"`
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`
}

type usedGateway struct {
	Tenant    string `json:"tenant"`
	Host      string `json:"host"`
	Direction string `json:"direction"`
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`
}

type usedDrops struct {
	Tenant  string `json:"tenant"`
	Reason  string `json:"reason"`
	Packets uint64 `json:"packets"`
}

// newUsage begins with the times at which sums were known: there is one at least.
func newUsage(over promv1.Range, known []model.SamplePair) usage {
	u := usage{From: known[0].Timestamp.Time().UTC(), To: over.End.UTC(), Traffic: []usedTraffic{}, Gateways: []usedGateway{}, Drops: []usedDrops{},
		asked: over.Start, step: over.Step, at: map[usedTraffic]int{}, by: map[usedGateway]int{}}
	last := u.From
	end := model.SamplePair{Timestamp: model.TimeFromUnixNano(over.End.UnixNano())}
	for _, k := range append(slices.Clone(known[1:]), end) {
		at := k.Timestamp.Time().UTC()
		if at.Sub(last) > u.step {
			u.Gaps = append(u.Gaps, gap{last, at})
		}
		last = at
	}
	return u
}

// increase is by how much a series grew. One that falls began at 0 again, with another tenant of the name. One
// that began while Prometheus looked on began at 0.
func (u *usage) increase(values []model.SamplePair) (grown uint64) {
	was := values[0].Value
	if values[0].Timestamp.Time().After(u.From) {
		was = 0
	}
	for _, v := range values {
		if v.Value < was {
			was = 0
		}
		grown += uint64(v.Value - was)
		was = v.Value
	}
	return grown
}

// traffic is where a metric's sums stand.
func (u *usage) traffic(m model.Metric) *usedTraffic {
	of := usedTraffic{Tenant: string(m["tenant"]), Direction: string(m["direction"]), Scope: string(m["scope"])}
	at, there := u.at[of]
	if !there {
		at = len(u.Traffic)
		u.Traffic, u.at[of] = append(u.Traffic, of), at
	}
	return &u.Traffic[at]
}

func (u *usage) packets(m model.Metric, n uint64) { u.traffic(m).Packets = n }

func (u *usage) bytes(m model.Metric, n uint64) { u.traffic(m).Bytes = n }

// through is where sums of a gateway host stand.
func (u *usage) through(m model.Metric) *usedGateway {
	of := usedGateway{Tenant: string(m["tenant"]), Host: string(m["host"]), Direction: string(m["direction"])}
	at, there := u.by[of]
	if !there {
		at = len(u.Gateways)
		u.Gateways, u.by[of] = append(u.Gateways, of), at
	}
	return &u.Gateways[at]
}

func (u *usage) throughPackets(m model.Metric, n uint64) { u.through(m).Packets = n }

func (u *usage) throughBytes(m model.Metric, n uint64) { u.through(m).Bytes = n }

func (u *usage) drops(m model.Metric, n uint64) {
	if n > 0 {
		u.Drops = append(u.Drops, usedDrops{string(m["tenant"]), string(m["reason"]), n})
	}
}

// sort leaves out what did not grow.
func (u *usage) sort() {
	u.Traffic = slices.DeleteFunc(u.Traffic, func(t usedTraffic) bool { return t.Packets == 0 && t.Bytes == 0 })
	slices.SortFunc(u.Traffic, func(a, b usedTraffic) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Direction, b.Direction))
	})
	u.Gateways = slices.DeleteFunc(u.Gateways, func(g usedGateway) bool { return g.Packets == 0 && g.Bytes == 0 })
	slices.SortFunc(u.Gateways, func(a, b usedGateway) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Direction, b.Direction))
	})
	slices.SortFunc(u.Drops, func(a, b usedDrops) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Reason, b.Reason))
	})
}

// writeUsage writes it for people.
func writeUsage(w io.Writer, u usage) {
	shown := func(t time.Time) string { return t.UTC().Format(time.DateTime) }
	fmt.Fprintf(w, "From %s to %s (UTC)\n", shown(u.From), shown(u.To))
	if late := u.From.Sub(u.asked); late > u.step {
		fmt.Fprintf(w, "Prometheus knows nothing of before: %v are missing of what was asked\n", late.Round(time.Second))
	}
	for _, g := range u.Gaps {
		fmt.Fprintf(w, "Prometheus knows nothing of %s to %s; what was counted then is in the sums\n", shown(g.From), shown(g.To))
	}
	fmt.Fprintln(w)
	if len(u.Traffic) == 0 && len(u.Drops) == 0 {
		fmt.Fprintln(w, "Nothing was counted.")
		return
	}
	g := columns("tenant", "scope", "direction", "packets", "bytes")
	for _, t := range u.Traffic {
		g.row(t.Tenant, t.Scope, t.Direction, fmt.Sprint(t.Packets), fmt.Sprint(t.Bytes))
	}
	g.write(w)
	if len(u.Gateways) > 0 {
		fmt.Fprintln(w)
		g = columns("tenant", "gateway host", "direction", "packets", "bytes")
		for _, t := range u.Gateways {
			g.row(t.Tenant, t.Host, t.Direction, fmt.Sprint(t.Packets), fmt.Sprint(t.Bytes))
		}
		g.write(w)
	}
	if len(u.Drops) == 0 {
		return
	}
	fmt.Fprintln(w)
	g = columns("tenant", "refused", "packets")
	for _, d := range u.Drops {
		g.row(d.Tenant, d.Reason, fmt.Sprint(d.Packets))
	}
	g.write(w)
}
