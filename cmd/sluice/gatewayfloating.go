package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func gatewayFloating() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "floating [RANGE...]",
		Short: "Say on which addresses tenants may publish that go along with their gateways",
		Long: `Without an argument it shows which addresses may float, and who publishes on which. With arguments these may float from now on, in
place of those before: each is an address, a range such as 203.0.113.50-203.0.113.59, or a prefix.

A tenant publishes on one by sluice publish --on ADDRESS:PORTS. Its gateway host has the address on its uplink then, and no other
machine may: give addresses that are in a subnet of the uplinks of all gateway hosts, and that nobody else has or gives out.`,
		Example: `  sluice gateway floating 203.0.113.50-203.0.113.59 203.0.113.64/28
  sluice gateway floating
  sluice gateway floating --none`,
		Args: cobra.ArbitraryArgs,
	}
	none := cmd.Flags().Bool("none", false, "let no address float any more")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		is, err := floating(cmd, c, args, *none)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), is, func(w io.Writer) { writeFloating(w, is) })
	})
}

// floating shows how it is, or changes it.
func floating(cmd *cobra.Command, c *client.Client, args []string, none bool) (client.Floating, error) {
	if len(args) == 0 && !none {
		return c.Floating(cmd.Context())
	}
	if len(args) > 0 && none {
		return client.Floating{}, usagef("give ranges, or --none")
	}
	wanted := client.Floating{Ranges: []string{}}
	for _, text := range args {
		r, err := store.ParseAddressRange(text)
		if err != nil {
			return wanted, usagef("%v", err)
		}
		wanted.Ranges = append(wanted.Ranges, r.String())
	}
	return c.SetFloating(cmd.Context(), wanted)
}

func writeFloating(w io.Writer, is client.Floating) {
	if len(is.Ranges) == 0 {
		fmt.Fprintln(w, "no address floats: tenants publish on their gateway hosts' own")
	} else {
		fmt.Fprintf(w, "may float: %s\n", joined(is.Ranges))
	}
	if len(is.Used) == 0 {
		return
	}
	g := columns("address", "tenant", "host")
	for _, a := range is.Used {
		g.row(a.Address.String(), a.Tenant, a.Host)
	}
	g.write(w)
}
