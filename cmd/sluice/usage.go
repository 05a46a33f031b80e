package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	promapi "github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"sluice/store"
)

// prometheusEnv names the Prometheus that is asked without --prometheus.
const prometheusEnv = "SLUICE_PROMETHEUS"

// usageFlags say what is asked of which Prometheus.
type usageFlags struct {
	prometheus, tenant string
	since              time.Duration
}

func usageCommand() *cobra.Command {
	var o usageFlags
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Say what tenants sent, got and were refused over time, by your Prometheus",
		Long: `Say what tenants sent, got and were refused over time. Sluice counts and Prometheus remembers: name yours,
which scrapes every controller. Sums are exact to one scrape at both ends, also where controllers, gateways
and ports came and went meanwhile.`,
		Example: `  sluice usage --tenant alice --since 1h --prometheus http://127.0.0.1:9090
  sluice usage --since 24h -o json --prometheus http://127.0.0.1:9090`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&o.prometheus, "prometheus", "", "`URL` of Prometheus (default $"+prometheusEnv+")")
	f.StringVar(&o.tenant, "tenant", "", "only this `NAME`'s")
	f.DurationVar(&o.since, "since", time.Hour, "how far back")
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		api, err := o.dial()
		if err != nil {
			return err
		}
		u, err := o.read(cmd.Context(), api, time.Now())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), u, func(w io.Writer) { writeUsage(w, u) })
	}
	return cmd
}

// dial checks what was asked.
func (o *usageFlags) dial() (promv1.API, error) {
	if o.prometheus == "" {
		o.prometheus = os.Getenv(prometheusEnv)
	}
	if o.prometheus == "" {
		return nil, usagef("--prometheus is missing: what was sent over time only Prometheus knows; what was sent so far is at /metrics of the leader")
	}
	if at, err := url.Parse(o.prometheus); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, usagef("--prometheus %q: write it as http://HOST:PORT", o.prometheus)
	}
	if o.since < time.Minute {
		return nil, usagef("--since %v: it is 1m at least", o.since)
	}
	if o.tenant != "" {
		if err := store.ValidateName(o.tenant); err != nil {
			return nil, usageError{err}
		}
	}
	client, err := promapi.NewClient(promapi.Config{Address: o.prometheus})
	if err != nil {
		return nil, fmt.Errorf("--prometheus %s: %w", o.prometheus, err)
	}
	return promv1.NewAPI(client), nil
}

// steps is into how many steps a time is cut: what is shown begins and ends at one.
const steps = 500

// upTo is a time that ends now, in whole steps.
func upTo(now time.Time, since time.Duration) promv1.Range {
	step := max(since/steps, time.Second).Round(time.Second)
	return promv1.Range{Start: now.Add(-(since + step - 1) / step * step), End: now, Step: step}
}

// sumsRead is 1 while Prometheus had the sums of a leader.
const sumsRead = `max(sluice_tenant_sums_read) == 1`

// known is when Prometheus had sums. Where it knows little of what is asked, that little is asked for in finer steps.
func (o *usageFlags) known(ctx context.Context, api promv1.API, now time.Time) (over promv1.Range, times []model.SamplePair, err error) {
	for over = upTo(now, o.since); ; {
		known, err := o.ask(ctx, api, sumsRead, over)
		if err != nil {
			return over, nil, err
		}
		if len(known) == 0 || len(known[0].Values) == 0 {
			return over, nil, fmt.Errorf("prometheus at %s knows nothing of Sluice since %s: does it scrape every controller (docs/monitoring.md)?",
				o.prometheus, over.Start.UTC().Format(time.DateTime))
		}
		first := known[0].Values[0].Timestamp.Time()
		finer := upTo(now, now.Sub(first)+over.Step)
		if first.Sub(over.Start) <= over.Step || finer.Step == over.Step {
			return over, known[0].Values, nil
		}
		over = finer
	}
}

// read asks Prometheus for all that counts. The sums of two controllers that both led for a moment are the same ones.
func (o *usageFlags) read(ctx context.Context, api promv1.API, now time.Time) (u usage, err error) {
	over, known, err := o.known(ctx, api, now)
	if err != nil {
		return u, err
	}
	of := ""
	if o.tenant != "" {
		of = fmt.Sprintf("{tenant=%q}", o.tenant)
	}
	u = newUsage(over, known)
	u.asked = now.Add(-o.since)
	for _, q := range []struct {
		query string
		take  func(model.Metric, uint64)
	}{
		{`max by (tenant, direction, scope) (sluice_tenant_packets_total` + of + `)`, u.packets},
		{`max by (tenant, direction, scope) (sluice_tenant_bytes_total` + of + `)`, u.bytes},
		{`max by (tenant, host, direction) (sluice_tenant_gateway_packets_total` + of + `)`, u.throughPackets},
		{`max by (tenant, host, direction) (sluice_tenant_gateway_bytes_total` + of + `)`, u.throughBytes},
		{`max by (tenant, reason) (sluice_tenant_drops_total` + of + `)`, u.drops},
	} {
		series, err := o.ask(ctx, api, q.query, over)
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

// ask is one query of Prometheus.
func (o *usageFlags) ask(ctx context.Context, api promv1.API, query string, over promv1.Range) (model.Matrix, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, _, err := api.QueryRange(ctx, query, over)
	if err != nil {
		return nil, fmt.Errorf("prometheus at %s does not answer: %w: is it running? name another with --prometheus", o.prometheus, err)
	}
	matrix, ok := answer.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("prometheus at %s answers with a %s", o.prometheus, answer.Type())
	}
	return matrix, nil
}
