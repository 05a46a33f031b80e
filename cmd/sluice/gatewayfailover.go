package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func gatewayFailOver() *cobra.Command {
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "fail-over [on|off]",
		Short: "Say whether hosts send to another gateway host when one is dead",
		Long: "Without an argument it shows whether gateways fail over. With on, each tenant's gateway gets a backup: another gateway\n" +
			"host that holds its flows. Each switch probes gateway hosts (BFD, every 100 ms or --interval), and sends a tenant's egress to the\n" +
			"backup while it finds the gateway host dead: that needs neither a controller nor etcd. Probes of a switch that is busy go less\n" +
			"often by themselves. What went on through the dead\n" +
			"host ends; new connections leave by the backup. After 10 s without agent and switch the backup becomes the gateway\n" +
			"host, so that nothing goes back by itself. With off there are no probes and no backups. A cluster that began with this version\n" +
			"has it on; one that was upgraded has it off until somebody turns it on, which is refused while agents of the version before run.",
		Example: `  sluice gateway fail-over on
  sluice gateway fail-over on --interval 300ms
  sluice gateway fail-over`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"on", "off"},
	}
	cmd.Flags().DurationVar(&interval, "interval", store.DefaultProbeInterval, "`DURATION` between two probes: four that do not come mean dead")
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		is, err := failOver(cmd, c, args, interval)
		if err != nil {
			return err
		}
		said := "off: a gateway whose host is dead stays there"
		if is.On {
			said = "on: sluice gateway list shows the backups"
		}
		if is.On && is.Interval != int(store.DefaultProbeInterval/time.Millisecond) {
			said += fmt.Sprintf("; probes go every %d ms", is.Interval)
		}
		fmt.Fprintln(cmd.OutOrStdout(), "fail-over is "+said)
		if is.Note != "" {
			fmt.Fprintln(cmd.OutOrStdout(), "Note: "+is.Note)
		}
		if is.On && len(is.NotProbed) > 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "Note: nobody looks whether the uplinks of these gateway hosts lead anywhere, since their agents run without --probe-outside: %s\n", joined(is.NotProbed))
		}
		return nil
	})
}

// failOver shows how it is, or changes it.
func failOver(cmd *cobra.Command, c *client.Client, args []string, interval time.Duration) (client.FailOver, error) {
	changed := cmd.Flags().Changed("interval")
	switch {
	case len(args) == 0 && changed:
		return client.FailOver{}, usagef("say on beside --interval: sluice gateway fail-over on --interval %s", interval)
	case len(args) == 0:
		return c.FailOver(cmd.Context())
	}
	wanted := client.FailOver{On: args[0] == "on"}
	if changed {
		if interval < store.MinProbeInterval || interval > store.MaxProbeInterval {
			return wanted, usagef("--interval %s: give %s to %s", interval, store.MinProbeInterval, store.MaxProbeInterval)
		}
		wanted.Interval = int(interval / time.Millisecond)
	}
	return c.SetFailOver(cmd.Context(), wanted)
}
