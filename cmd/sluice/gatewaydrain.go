package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func gatewayDrain() *cobra.Command {
	timeout, noWait := store.DefaultDrainTimeout, false
	order := client.DrainOrder{}
	cmd := &cobra.Command{
		Use:   "drain HOST",
		Short: "Move all gateways away from a host, so that it can be switched off",
		Long: "Moves the gateways of all tenants that leave by HOST to others, without loss, and sends it no more. It returns once no\n" +
			"tenant leaves by it and no connection goes on through it: then it can be switched off. Who ends the command\n" +
			"before does not end the drain: sluice gateway undrain does.",
		Example: `  sluice gateway drain h1
  sluice gateway drain h1 --at-once 20 --timeout 10m`,
		Args:              named("HOST"),
		ValidArgsFunction: completeArg(hostNames),
	}
	cmd.Flags().IntVar(&order.AtOnce, "at-once", store.DefaultAtOnce, "`NUMBER` of gateways that move at one time")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long connections may go on through the host: a `DURATION` such as 10m")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return once the drain is asked for")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if order.AtOnce < 1 {
			return usagef("--at-once %d: give 1 to %d", order.AtOnce, store.MaxAtOnce)
		}
		seconds := int(timeout / time.Second)
		order.Timeout = &seconds
		d, err := c.DrainHost(cmd.Context(), args[0], order)
		if err == nil && !noWait {
			d, err = awaitDrain(cmd.Context(), c, args[0], cmd.ErrOrStderr())
		}
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), d, func(w io.Writer) { writeDrain(w, d) })
	})
}

// awaitDrain waits until a host has nothing left of any tenant, and shows on a terminal how far it is.
func awaitDrain(ctx context.Context, c *client.Client, host string, progress io.Writer) (client.HostDrain, error) {
	watched := isTerminal(progress)
	first := -1
	for {
		d, err := c.Drain(ctx, host)
		if err != nil {
			return d, err
		}
		first = max(first, d.Active)
		if watched {
			fmt.Fprintf(progress, "\r\033[K%s: %d of %d tenants have moved, %d are on their way; connections of %d go on through it",
				host, first-d.Active, first, d.Moving, d.Draining)
		}
		done := d.Active == 0 && d.Draining == 0
		if watched && (done || !d.Drained || d.Problem != "") {
			fmt.Fprintln(progress)
		}
		switch {
		case !d.Drained:
			return d, fmt.Errorf("host %s is not drained any more: somebody took that back", host)
		case done:
			return d, nil
		case d.Problem != "" && d.Moving == 0:
			return d, fmt.Errorf("host %s stays half drained: %s", host, d.Problem)
		}
		select {
		case <-ctx.Done():
			return d, fmt.Errorf("host %s is still being drained: sluice gateway list: %w", host, ctx.Err())
		case <-time.After(lookInterval):
		}
	}
}

func writeDrain(w io.Writer, d client.HostDrain) {
	if d.Active == 0 && d.Draining == 0 {
		fmt.Fprintf(w, "no tenant leaves by host %s any more: it can be switched off; sluice gateway undrain %s takes it back\n", d.Host, d.Host)
		return
	}
	fmt.Fprintf(w, "host %s is being drained: %s leave by it, and connections of %d others go on through it\n", d.Host, counted(d.Active, "tenant"), d.Draining)
}

func gatewayUndrain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "undrain HOST",
		Short: "Let a gateway host take tenants again",
		Long: "Ends a drain. Tenants whose policy names HOST come back to it, a few at a time. The others stay where they are: new\n" +
			"tenants fill it, and sluice gateway move.",
		Example:           "  sluice gateway undrain h1",
		Args:              named("HOST"),
		ValidArgsFunction: completeArg(hostNames),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if err := c.UndrainHost(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "host %s takes tenants again\n", args[0])
		return nil
	})
}
