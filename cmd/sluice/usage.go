package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"sluice/metrics/overtime"
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
		p, err := o.dial()
		if err != nil {
			return err
		}
		u, err := p.Usage(cmd.Context(), o.tenant, o.since, time.Now())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), u, func(w io.Writer) { writeUsage(w, u) })
	}
	return cmd
}

// dial checks what was asked.
func (o *usageFlags) dial() (*overtime.Prometheus, error) {
	if o.prometheus == "" {
		o.prometheus = os.Getenv(prometheusEnv)
	}
	if o.prometheus == "" {
		return nil, usagef("--prometheus is missing: what was sent over time only Prometheus knows; what was sent so far is at /metrics of the leader")
	}
	p, err := overtime.At(o.prometheus)
	if err != nil {
		return nil, usagef("--prometheus %w", err)
	}
	if o.since < time.Minute {
		return nil, usagef("--since %v: it is 1m at least", o.since)
	}
	if o.tenant != "" {
		if err := store.ValidateName(o.tenant); err != nil {
			return nil, usageError{err}
		}
	}
	return p, nil
}

// writeUsage writes it for people.
func writeUsage(w io.Writer, u overtime.Usage) {
	shown := func(t time.Time) string { return t.UTC().Format(time.DateTime) }
	fmt.Fprintf(w, "From %s to %s (UTC)\n", shown(u.From), shown(u.To))
	if late := u.From.Sub(u.Asked); late > u.Step {
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
