// Package overtime says what tenants sent, got and were refused over time. Sluice counts and a Prometheus remembers:
// this package asks one that scrapes every controller. It must never make up what Prometheus does not know: what is
// not known is told as a gap.
package overtime

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	promapi "github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Prometheus is one that is asked.
type Prometheus struct {
	url string // without a password
	api promv1.API
}

// At is the Prometheus at a URL. It is asked for nothing yet.
func At(text string) (*Prometheus, error) {
	at, err := url.Parse(text)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("%q: write it as http://HOST:PORT", text)
	}
	client, err := promapi.NewClient(promapi.Config{Address: text})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	return &Prometheus{at.Redacted(), promv1.NewAPI(client)}, nil
}

// steps is into how many steps a time is cut: what is shown begins and ends at one.
const steps = 500

// upTo is a time that ends now, in whole steps.
func upTo(now time.Time, since time.Duration) promv1.Range {
	step := max(since/steps, time.Second).Round(time.Second)
	return promv1.Range{Start: now.Add(-(since + step - 1) / step * step), End: now, Step: step}
}

// scraped is when Prometheus got the sums of a leader last. What it got it tells for 5 minutes more, as if that were so still.
const scraped = `max(timestamp(sluice_tenant_sums_read) and sluice_tenant_sums_read == 1)`

// scrapeTime is how long two scrapes lie apart at most, where nothing is missing between them.
const scrapeTime = 2 * time.Minute

// known is when Prometheus had sums: once at least. Where it knows little of what is asked, that little is asked for in
// finer steps.
func (p *Prometheus) known(ctx context.Context, since time.Duration, now time.Time) (over promv1.Range, times []model.SamplePair, err error) {
	for over = upTo(now, since); ; {
		known, err := p.ask(ctx, scraped, over)
		if err != nil {
			return over, nil, err
		}
		if len(known) == 0 || len(known[0].Values) == 0 {
			return over, nil, fmt.Errorf("prometheus at %s knows nothing of Sluice since %s: does it scrape every controller (docs/monitoring.md)?",
				p.url, over.Start.UTC().Format(time.DateTime))
		}
		first := known[0].Values[0].Timestamp.Time()
		finer := upTo(now, now.Sub(first)+over.Step)
		if first.Sub(over.Start) <= over.Step || finer.Step == over.Step {
			return over, each(known[0].Values), nil
		}
		over = finer
	}
}

// each leaves out the times at which Prometheus told the same scrape as before.
func each(values []model.SamplePair) []model.SamplePair {
	return slices.CompactFunc(values, func(a, b model.SamplePair) bool { return a.Value == b.Value })
}

// of is the part of a query that asks for one tenant's series; without a name for all.
func of(tenant string) string {
	if tenant == "" {
		return ""
	}
	return fmt.Sprintf("{tenant=%q}", tenant)
}

// bytesQuery asks for bytes. The sums of two controllers that both led for a moment are the same ones.
func bytesQuery(tenant string) string {
	return `max by (tenant, direction, scope) (sluice_tenant_bytes_total` + of(tenant) + `)`
}

// ask is one query of Prometheus.
func (p *Prometheus) ask(ctx context.Context, query string, over promv1.Range) (model.Matrix, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, _, err := p.api.QueryRange(ctx, query, over)
	if err != nil {
		return nil, fmt.Errorf("prometheus at %s does not answer: %w: is it running? name another with --prometheus", p.url, err)
	}
	matrix, ok := answer.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("prometheus at %s answers with a %s", p.url, answer.Type())
	}
	return matrix, nil
}
