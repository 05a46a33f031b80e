package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func gatewayCommand() *cobra.Command {
	return group("gateway", "Gateways: through which host a tenant's egress leaves",
		"  sluice gateway list\n  sluice gateway move alice h2",
		gatewayList(), gatewayMove(), gatewayPolicy(), gatewayCentral(), gatewayFailOver(), gatewayFloating(), gatewayBalance(), gatewayDrain(), gatewayUndrain())
}

func gatewayList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List each tenant's gateway hosts",
		Long: "Lists the host by which each tenant leaves, since when and why; its backup, to which hosts send while they find that\n" +
			"one dead; the host to which it moves, or that is ready for it; and the hosts through which earlier connections go on, with the time at which they are cut.",
		Example: "  sluice gateway list",
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Gateways(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeGateways(w, list) })
	})
}

func writeGateways(w io.Writer, list []client.Gateway) {
	g := columns("tenant", "policy", "host", "since", "backup", "standby", "draining", "epoch", "why")
	for _, t := range list {
		g.row(t.Tenant, t.Policy, t.Active, moment(t.Since), t.Backup, standbys(&t.Gateway), endings(&t.Gateway), fmt.Sprint(t.Epoch), whyGateway(&t.Gateway))
	}
	g.write(w)
}

// moment is a time as a list shows it, in UTC.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// standbys are the hosts that are ready for the tenant, and the one to which it moves.
func standbys(g *store.Gateway) string {
	names := g.Standby
	if g.Move != nil {
		names = append([]string{g.Move.To + " (moves there)"}, names...)
	}
	return joined(names)
}

// endings are the hosts that drain, with the time at which what is left is cut.
func endings(g *store.Gateway) string {
	texts := make([]string, len(g.Draining))
	for i, host := range g.Draining {
		texts[i] = host
		if e, told := g.Ending[host]; told {
			texts[i] += fmt.Sprintf(" (since %s, until %s)", e.Since.UTC().Format(time.TimeOnly), e.Until.UTC().Format(time.TimeOnly))
		}
	}
	return joined(texts)
}

func whyGateway(g *store.Gateway) string {
	if g.Move != nil {
		return g.Move.Why
	}
	return g.Why
}

func gatewayMove() *cobra.Command {
	timeout, noWait := store.DefaultDrainTimeout, false
	cmd := &cobra.Command{
		Use:   "move TENANT HOST",
		Short: "Move a tenant's gateway to another host, without loss",
		Long: "Moves the gateway of a tenant while its containers go on. New connections leave by HOST; those that there are go\n" +
			"on through the host before, which drains, until they end or --timeout is over. What is left then is cut.\n" +
			"It returns once all egress is sent to HOST; sluice gateway list shows the host that drains.",
		Example: `  sluice gateway move alice h2
  sluice gateway move alice h3 --timeout 10m`,
		Args: named("TENANT", "HOST"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return complete(cmd, hostNames, typed)
			}
			return completeArg(tenantNames)(cmd, args, typed)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long connections may go on through the host before: a `DURATION` such as 10m")
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "return once the move is asked for")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		seconds := int(timeout / time.Second)
		g, err := c.MoveGateway(cmd.Context(), args[0], client.GatewayMove{Host: args[1], Timeout: &seconds})
		if err == nil && !noWait {
			g, err = awaitMove(cmd.Context(), c, args[0], args[1])
		}
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), g, func(w io.Writer) { writeMove(w, &g, args[1]) })
	})
}

// lookInterval is how often a command looks how far something is.
const lookInterval = 100 * time.Millisecond

// quietTime is how long a command waits for hosts that do not confirm that they send to the new gateway host.
const quietTime = 15 * time.Second

// awaitMove waits until all hosts send a tenant's egress to a host, or until it is clear that it stays where it is.
func awaitMove(ctx context.Context, c *client.Client, tenant, host string) (client.Gateway, error) {
	for began := time.Now(); ; {
		g, err := c.Gateway(ctx, tenant)
		switch {
		case err != nil:
			return g, err
		case g.Active == host && (quiet(&g.Gateway) || time.Since(began) > quietTime):
			return g, nil
		case g.Active == host:
		case g.Move == nil || g.Move.To != host:
			return g, fmt.Errorf("move the gateway of tenant %s to %s: %s", tenant, host, g.Why)
		}
		select {
		case <-ctx.Done():
			return g, fmt.Errorf("tenant %s is still on its way to %s: sluice gateway list: %w", tenant, host, ctx.Err())
		case <-time.After(lookInterval):
		}
	}
}

// quiet reports whether no host sends new connections to those that drain.
func quiet(g *store.Gateway) bool {
	return !slices.ContainsFunc(g.Draining, func(host string) bool { return !g.Ending[host].Quiet })
}

func writeMove(w io.Writer, g *client.Gateway, host string) {
	if g.Active != host {
		fmt.Fprintf(w, "the gateway of tenant %s goes from %s to %s: sluice gateway list shows how far it is\n", g.Tenant, g.Active, host)
		return
	}
	var texts []string
	for _, before := range g.Draining {
		texts = append(texts, fmt.Sprintf("%s until %s", before, moment(g.Ending[before].Until)))
	}
	if len(texts) == 0 {
		fmt.Fprintf(w, "tenant %s leaves by %s\n", g.Tenant, host)
		return
	}
	fmt.Fprintf(w, "tenant %s leaves by %s; connections of before may go on through %s UTC\n", g.Tenant, host, strings.Join(texts, ", "))
	if !quiet(&g.Gateway) {
		fmt.Fprintln(w, "some hosts have not confirmed yet that they send there: sluice status shows them")
	}
}
