package overtime

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Usage is what tenants sent, got and were refused in a time.
type Usage struct {
	From    time.Time `json:"from"` // later than asked where Prometheus knows nothing of before
	To      time.Time `json:"to"`
	Gaps    []Gap     `json:"gaps,omitempty"`
	Traffic []Traffic `json:"traffic"`
	// Gateways has what of the traffic passed which gateway host, egress and published.
	Gateways []Through `json:"gateways"`
	Drops    []Drops   `json:"drops"`

	Asked time.Time     `json:"-"` // from when on it was asked for
	Step  time.Duration `json:"-"` // to which times are exact

	at map[Traffic]int // where traffic of a tenant, direction and scope stands
	by map[Through]int // where that of a tenant, host and direction does
}

// Gap is a time of which Prometheus knows nothing. What was counted in it is in the sums, since counts go on.
type Gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Traffic is what a tenant sent or got in one scope.
type Traffic struct {
	Tenant    string `json:"tenant"`
	Direction string `json:"direction"`
	Scope     string `json:"scope"`
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`
}

// Through is what a tenant sent or got through one gateway host.
type Through struct {
	Tenant    string `json:"tenant"`
	Host      string `json:"host"`
	Direction string `json:"direction"`
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"bytes"`
}

// Drops are packets that a tenant was refused, for one reason.
type Drops struct {
	Tenant  string `json:"tenant"`
	Reason  string `json:"reason"`
	Packets uint64 `json:"packets"`
}

// Usage asks for all that counts, of one tenant or, without a name, of all.
func (p *Prometheus) Usage(ctx context.Context, tenant string, since time.Duration, now time.Time) (u Usage, err error) {
	over, known, err := p.known(ctx, since, now)
	if err != nil {
		return u, err
	}
	u = newUsage(over, known)
	u.Asked = now.Add(-since)
	for _, q := range []struct {
		query string
		take  func(model.Metric, uint64)
	}{
		{`max by (tenant, direction, scope) (sluice_tenant_packets_total` + of(tenant) + `)`, u.packets},
		{bytesQuery(tenant), u.bytes},
		{`max by (tenant, host, direction) (sluice_tenant_gateway_packets_total` + of(tenant) + `)`, u.throughPackets},
		{`max by (tenant, host, direction) (sluice_tenant_gateway_bytes_total` + of(tenant) + `)`, u.throughBytes},
		{`max by (tenant, reason) (sluice_tenant_drops_total` + of(tenant) + `)`, u.drops},
	} {
		series, err := p.ask(ctx, q.query, over)
		if err != nil {
			return u, err
		}
		for _, s := range series {
			q.take(s.Metric, u.increase(s.Values))
		}
	}
	u.sort()
	return u, nil
}

// newUsage begins with the times at which sums were known: there is one at least.
func newUsage(over promv1.Range, known []model.SamplePair) Usage {
	return Usage{From: known[0].Timestamp.Time().UTC(), To: over.End.UTC(), Gaps: gaps(over, known), Traffic: []Traffic{}, Gateways: []Through{}, Drops: []Drops{},
		Asked: over.Start, Step: over.Step, at: map[Traffic]int{}, by: map[Through]int{}}
}

// gaps are the times between those at which sums were known, and up to the end.
func gaps(over promv1.Range, known []model.SamplePair) (list []Gap) {
	last := known[0].Timestamp.Time().UTC()
	end := model.SamplePair{Timestamp: model.TimeFromUnixNano(over.End.UnixNano())}
	for _, k := range append(slices.Clone(known[1:]), end) {
		at := k.Timestamp.Time().UTC()
		if at.Sub(last) > max(over.Step, scrapeTime) {
			list = append(list, Gap{last, at})
		}
		last = at
	}
	return list
}

// increase is by how much a series grew.
func (u *Usage) increase(values []model.SamplePair) (sum uint64) {
	for _, n := range growth(values, u.From) {
		sum += n
	}
	return sum
}

// growth is by how much a series grew up to each of its times, where Prometheus looked on since from. One that falls began
// at 0 again, with another tenant of the name. One that began while Prometheus looked on began at 0.
func growth(values []model.SamplePair, from time.Time) iter.Seq2[time.Time, uint64] {
	return func(yield func(time.Time, uint64) bool) {
		was := values[0].Value
		if values[0].Timestamp.Time().After(from) {
			was = 0
		}
		for _, v := range values {
			if v.Value < was {
				was = 0
			}
			if !yield(v.Timestamp.Time(), uint64(v.Value-was)) {
				return
			}
			was = v.Value
		}
	}
}

// traffic is where a metric's sums stand.
func (u *Usage) traffic(m model.Metric) *Traffic {
	of := Traffic{Tenant: string(m["tenant"]), Direction: string(m["direction"]), Scope: string(m["scope"])}
	at, there := u.at[of]
	if !there {
		at = len(u.Traffic)
		u.Traffic, u.at[of] = append(u.Traffic, of), at
	}
	return &u.Traffic[at]
}

func (u *Usage) packets(m model.Metric, n uint64) { u.traffic(m).Packets = n }

func (u *Usage) bytes(m model.Metric, n uint64) { u.traffic(m).Bytes = n }

// through is where a metric's sums of a gateway host stand.
func (u *Usage) through(m model.Metric) *Through {
	of := Through{Tenant: string(m["tenant"]), Host: string(m["host"]), Direction: string(m["direction"])}
	at, there := u.by[of]
	if !there {
		at = len(u.Gateways)
		u.Gateways, u.by[of] = append(u.Gateways, of), at
	}
	return &u.Gateways[at]
}

func (u *Usage) throughPackets(m model.Metric, n uint64) { u.through(m).Packets = n }

func (u *Usage) throughBytes(m model.Metric, n uint64) { u.through(m).Bytes = n }

func (u *Usage) drops(m model.Metric, n uint64) {
	if n > 0 {
		u.Drops = append(u.Drops, Drops{string(m["tenant"]), string(m["reason"]), n})
	}
}

// sort leaves out what did not grow.
func (u *Usage) sort() {
	u.Traffic = slices.DeleteFunc(u.Traffic, func(t Traffic) bool { return t.Packets == 0 && t.Bytes == 0 })
	slices.SortFunc(u.Traffic, func(a, b Traffic) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Direction, b.Direction))
	})
	u.Gateways = slices.DeleteFunc(u.Gateways, func(g Through) bool { return g.Packets == 0 && g.Bytes == 0 })
	slices.SortFunc(u.Gateways, func(a, b Through) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Direction, b.Direction))
	})
	slices.SortFunc(u.Drops, func(a, b Drops) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Reason, b.Reason))
	})
}
