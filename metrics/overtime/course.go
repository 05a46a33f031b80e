package overtime

import (
	"context"
	"sort"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Course is how what a tenant sent and got came about.
type Course struct {
	Asked  time.Time     // from when on it was asked for
	From   time.Time     // later than asked where Prometheus knows nothing of before
	To     time.Time     // the end of what was asked for
	Step   time.Duration // to which times are exact
	Points []Point       // at the times at which Prometheus knew, the oldest first: one at least
	Gaps   []Gap         // times without points
}

// Point is what a tenant sent and got since the point before, in bytes.
type Point struct {
	At      time.Time
	Out, In uint64
}

// Course asks for what a tenant sent and got, in all scopes together.
func (p *Prometheus) Course(ctx context.Context, tenant string, since time.Duration, now time.Time) (c Course, err error) {
	over, known, err := p.known(ctx, since, now)
	if err != nil {
		return c, err
	}
	c = newCourse(over, known)
	c.Asked = now.Add(-since).UTC()
	series, err := p.ask(ctx, bytesQuery(tenant), over)
	for _, s := range series {
		c.add(s)
	}
	return c, err
}

// newCourse begins with the times at which sums were known: there is one at least.
func newCourse(over promv1.Range, known []model.SamplePair) Course {
	c := Course{Asked: over.Start.UTC(), From: known[0].Timestamp.Time().UTC(), To: over.End.UTC(), Step: over.Step, Gaps: gaps(over, known)}
	for _, k := range known {
		c.Points = append(c.Points, Point{At: k.Timestamp.Time().UTC()})
	}
	return c
}

// add takes one series. What it counted while the sums were not known stands at the next time at which they were.
func (c *Course) add(s *model.SampleStream) {
	for at, n := range growth(s.Values, c.From) {
		i := sort.Search(len(c.Points), func(i int) bool { return !c.Points[i].At.Before(at) })
		p := &c.Points[min(i, len(c.Points)-1)]
		if s.Metric["direction"] == "out" {
			p.Out += n
		} else {
			p.In += n
		}
	}
}
