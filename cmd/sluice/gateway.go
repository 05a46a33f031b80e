package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sluice/controller/api"
)

func gatewayCommand() *cobra.Command {
	return group("gateway", "Gateways: through which host a tenant's egress leaves",
		"  sluice gateway list", gatewayList())
}

func gatewayList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List each tenant's gateway host",
		Example: "  sluice gateway list",
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		list, err := c.Gateways(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeGateways(w, list) })
	})
}

func writeGateways(w io.Writer, list []api.Gateway) {
	g := columns("tenant", "policy", "host", "draining", "epoch", "why")
	for _, t := range list {
		g.row(t.Tenant, t.Policy, t.Active, joined(t.Draining), fmt.Sprint(t.Epoch), t.Why)
	}
	g.write(w)
}
