package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sluice/controller/access"
	"sluice/metrics/overtime"
)

// span is a time of which a page shows what was used.
type span struct {
	Name, Says string
	Since      time.Duration
	rows       int // of its table
	clock      string
}

// spans are those that a page offers; the first one is shown where none is asked for.
var spans = [...]span{
	{"1h", "1 hour", time.Hour, 12, "15:04"},
	{"24h", "24 hours", 24 * time.Hour, 12, "02 Jan 15:04"},
	{"7d", "7 days", 7 * 24 * time.Hour, 7, "02 Jan 15:04"},
}

// spanNamed is the one of a name, and the first one for any other text.
func spanNamed(name string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spans[0]
}

// usagePart is what a tenant used over time, on its page.
type usagePart struct {
	Tenant  string
	Named   bool   // the controller was told of a Prometheus
	Refused string // why there is no answer
	Spans   []span
	Chosen  span
	Curve   curve
	Rows    []usageRow
	Before  string // of before when nothing is known; empty: all that was asked for is
	Unknown []string
}

// usageRow is a row of the table: what was sent and got in a part of the time.
type usageRow struct {
	From, To string
	Out, In  uint64
	Known    bool // something of it is
	Partly   bool // something of it is not
}

// usage is asked of Prometheus, and never made up where that does not know.
func (s *site) usage(r *http.Request, tenant string) usagePart {
	part := usagePart{Tenant: tenant, Named: s.Prometheus != nil, Spans: spans[:], Chosen: spanNamed(r.URL.Query().Get("since"))}
	if !part.Named {
		return part
	}
	course, err := s.past.ask(r.Context(), question{tenant, part.Chosen.Since}, s.Prometheus.Course)
	if err != nil {
		s.Log.Warn("ask Prometheus for a page", "tenant", tenant, "err", err)
		part.Refused = s.past.sorry(access.From(r.Context()), err)
		return part
	}
	part.show(course)
	return part
}

// show takes what Prometheus told.
func (p *usagePart) show(c overtime.Course) {
	clock := func(t time.Time) string { return t.UTC().Format(p.Chosen.clock) }
	gaps := c.Gaps
	for _, g := range c.Gaps {
		p.Unknown = append(p.Unknown, clock(g.From)+" to "+clock(g.To))
	}
	if c.From.Sub(c.Asked) > c.Step {
		p.Before = c.From.UTC().Format("2006-01-02 15:04:05 UTC")
		gaps = append([]overtime.Gap{{From: c.Asked, To: c.From}}, gaps...)
	}
	p.Curve = draws(c, gaps)
	p.Curve.From, p.Curve.To = clock(c.Asked), clock(c.To)
	each := p.Chosen.Since / time.Duration(p.Chosen.rows)
	for from := c.To.Add(-p.Chosen.Since); from.Before(c.To); from = from.Add(each) {
		to := from.Add(each)
		row := rowOf(c, gaps, from, to)
		row.From, row.To = clock(from), clock(to)
		p.Rows = append(p.Rows, row)
	}
}

// rowOf adds up what was sent and got after from and until to.
func rowOf(c overtime.Course, gaps []overtime.Gap, from, to time.Time) (row usageRow) {
	for _, point := range c.Points {
		if point.At.After(from) && !point.At.After(to) {
			row.Out, row.In, row.Known = row.Out+point.Out, row.In+point.In, true
		}
	}
	for _, g := range gaps {
		row.Partly = row.Partly || g.From.Before(to) && g.To.After(from)
	}
	return row
}

// Says is the row's word for what is not known of it.
func (r usageRow) Says() string {
	switch {
	case !r.Known:
		return "not known"
	case r.Partly:
		return "partly known"
	}
	return ""
}

// askTime bounds how long a page waits for Prometheus.
const askTime = 5 * time.Second

// sorry is the sentence in place of usage. Who runs the cluster is told where Prometheus is, and others are not.
func (m *past) sorry(c access.Caller, err error) string {
	text := "Prometheus cannot say what was used: whoever runs this cluster sees why"
	if c.Sees("") {
		text = err.Error()
	}
	if last := m.answered(); !last.IsZero() {
		return fmt.Sprintf("%s. It answered last at %s.", text, last.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return text + ". It has not answered since this controller was started."
}

// asker is how Prometheus is asked.
type asker func(ctx context.Context, tenant string, since time.Duration, now time.Time) (overtime.Course, error)
