package main

import (
	"context"
	"fmt"
	"io"
	"sluice/controller/client"

	"github.com/spf13/cobra"
)

func stickyCommand() *cobra.Command {
	return group("sticky", "Sticky names: addresses that wait for the next port of a name",
		"  sluice port attach alice/web --netns web --sticky\n  sluice sticky list",
		stickyList(), stickyDelete())
}

func stickyName(s client.Sticky) string { return s.Tenant + "/" + s.Network + "/" + s.Name }

func stickyNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Stickies(ctx, "")
	return namesOf(list, stickyName), err
}

func stickyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List what stays with the names of ports that are gone",
		Example: "  sluice sticky list\n  sluice sticky list --tenant alice",
		Args:    cobra.NoArgs,
	}
	tenant := cmd.Flags().String("tenant", "", "only this `TENANT`'s")
	completeFlag(cmd, "tenant", tenantNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Stickies(cmd.Context(), *tenant)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeStickies(w, list) })
	})
}

func writeStickies(w io.Writer, list []client.Sticky) {
	g := columns("name", "host", "addresses", "mac")
	for _, s := range list {
		g.row(stickyName(s), s.Host, joined(s.Addresses), s.MAC.String())
	}
	g.write(w)
}

func stickyDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete TENANT/NETWORK/NAME",
		Aliases: []string{"rm"},
		Short:   "Free what stays with a name",
		Long: `Free the MAC and the addresses that stay with the name of a port that is gone, and the name. A port of that name that comes
later gets others.`,
		Example:           "  sluice sticky delete alice/default/web\n  sluice sticky delete alice/web  # in the network default",
		Args:              named("TENANT/NETWORK/NAME"),
		ValidArgsFunction: completeArg(stickyNames),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		tenant, network, name, err := tenantNetworkPort(args[0])
		if err != nil {
			return err
		}
		if _, err := c.DeleteSticky(cmd.Context(), tenant, network, name); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "sticky name %s/%s/%s is free\n", tenant, network, name)
		return nil
	})
}
