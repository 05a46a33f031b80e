package main

import (
	"fmt"
	"io"
	"sluice/controller/client"
	"strings"

	"github.com/spf13/cobra"
)

func peeringCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "peer TENANT[/NETWORK,...] TENANT[/NETWORK,...]",
		Short: "Let two tenants reach each other, host to host",
		Long: `Let two tenants reach each other, directly from host to host, whatever their gateways and segmentation.

Both sides must agree. With the token of one of the two tenants the command is that tenant's word: the peering is offered until the
other tenant says the same. An admin agrees for both. Said again with other networks, it is about those from then on.

Without networks it is about all that a tenant has, those to come too. Networks whose subnets overlap do not reach each other: neither with
each other's, nor with other networks of the same tenant, nor with those of a third tenant that one of them is peered with longer. What
three tenants in a row agree on does not let the first reach the third.`,
		Example: `  sluice peer alice bob
  sluice peer alice/web,app bob/db
  sluice peer list
  sluice unpeer alice bob`,
		Args: named("TENANT[/NETWORK,...]", "TENANT[/NETWORK,...]"),
	}
	out := outputFlag(cmd)
	clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
		var spec client.PeeringSpec
		if spec.Tenant, spec.Networks, err = tenantAndNetworks(args[0]); err != nil {
			return err
		}
		if spec.Peer, spec.PeerNetworks, err = tenantAndNetworks(args[1]); err != nil {
			return err
		}
		p, err := c.Peer(cmd.Context(), spec)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), p, func(w io.Writer) { writePeering(w, p) })
	})
	cmd.AddCommand(peeringList())
	return cmd
}

// tenantAndNetworks reads TENANT or TENANT/NETWORK,NETWORK.
func tenantAndNetworks(arg string) (tenant string, networks []string, err error) {
	tenant, list, some := strings.Cut(arg, "/")
	if some {
		networks = strings.Split(list, ",")
	}
	return tenant, networks, checkParts(append([]string{tenant}, networks...)...)
}

func writePeering(w io.Writer, p client.Peering) {
	fmt.Fprintf(w, "peering of %s and %s: %s\n", about(p.Tenant, p.Networks), about(p.Peer, p.PeerNetworks), p.State)
	for _, why := range p.Why {
		fmt.Fprintf(w, "  %s\n", why)
	}
}

// about is a tenant with the networks that a peering is about.
func about(tenant string, networks []string) string {
	if len(networks) == 0 {
		return tenant
	}
	return tenant + "/" + strings.Join(networks, ",")
}

func peeringList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List peerings: offered, agreed, and refused with the reason",
		Example: "  sluice peer list\n  sluice peer list --tenant alice",
		Args:    cobra.NoArgs,
	}
	tenant := cmd.Flags().String("tenant", "", "only this `TENANT`'s")
	completeFlag(cmd, "tenant", tenantNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Peerings(cmd.Context(), *tenant)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writePeerings(w, list) })
	})
}

func writePeerings(w io.Writer, list []client.Peering) {
	g := columns("tenant", "peer", "state", "why")
	for _, p := range list {
		state := p.State
		if p.OfferedBy != "" {
			state += " by " + p.OfferedBy
		}
		g.row(about(p.Tenant, p.Networks), about(p.Peer, p.PeerNetworks), state, strings.Join(p.Why, "; "))
	}
	g.write(w)
}

func unpeerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unpeer TENANT TENANT",
		Short: "End the peering of two tenants, at once",
		Long: `End the peering of two tenants, at once: also what is under way between them stops.

With the token of one of the two tenants it takes that tenant's word back. The other's stays, so that the peering is offered again.`,
		Example: "  sluice unpeer alice bob",
		Args:    named("TENANT", "TENANT"),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if _, err := c.Unpeer(cmd.Context(), args[0], args[1]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "peering of %s and %s ended\n", args[0], args[1])
		return nil
	})
}
