package overtime

import (
	"strings"
	"testing"
	"time"

	"sluice/metrics/overtime/promtest"
)

// A course of a Prometheus that began late and was away for an hour: what it remembers stands where it was, and what it
// does not know is a gap and not an idle time.
func TestCourse(t *testing.T) {
	end := time.Now().Truncate(time.Minute)
	var out, in, read []promtest.Sample
	for ago := 600; ago >= 0; ago-- {
		at := end.Add(-time.Duration(ago) * time.Minute)
		if ago > 240 && ago <= 300 {
			continue
		}
		read = append(read, promtest.Sample{Series: `sluice_tenant_sums_read{instance="c1"}`, Value: 1, At: at})
		out = append(out, promtest.Sample{Series: `sluice_tenant_bytes_total{tenant="alice",direction="out",scope="internal"}`, Value: float64(1000 * (600 - ago)), At: at})
		in = append(in, promtest.Sample{Series: `sluice_tenant_bytes_total{tenant="alice",direction="in",scope="egress"}`, Value: 7, At: at})
	}
	url, stop := promtest.Start(t, append(append(read, out...), in...))
	p, err := At(url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Course(t.Context(), "alice", 24*time.Hour, end)
	if err != nil {
		t.Fatal(err)
	}
	var sent, got uint64
	for _, p := range c.Points {
		sent, got = sent+p.Out, got+p.In
		if ago := end.Sub(p.At); ago > 242*time.Minute && ago < 298*time.Minute {
			t.Errorf("a point at %v, when nothing was scraped", p.At)
		}
	}
	if sent < 590_000 || sent > 600_000 || got != 0 {
		t.Errorf("%d bytes sent and %d got of 600000 and 0", sent, got)
	}
	if late := c.From.Sub(c.Asked); late < 13*time.Hour || late > 15*time.Hour {
		t.Errorf("it begins %v after what was asked", late)
	}
	if len(c.Gaps) != 1 || c.Gaps[0].To.Sub(c.Gaps[0].From) < 57*time.Minute {
		t.Errorf("gaps %v", c.Gaps)
	}
	if nobody, err := p.Course(t.Context(), "nobody", time.Hour, end); err != nil || len(nobody.Points) == 0 || nobody.Points[0].Out > 0 {
		t.Errorf("of a tenant that sent nothing: %+v, %v", nobody, err)
	}
	if _, err := p.Course(t.Context(), "alice", time.Hour, end.Add(-100*time.Hour)); err == nil || !strings.Contains(err.Error(), "knows nothing of Sluice since") {
		t.Errorf("of a time before: %v", err)
	}
	stop()
	if _, err := p.Course(t.Context(), "alice", time.Hour, end); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("of one that is away: %v", err)
	}
}
