package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func portSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set TENANT/NETWORK/NAME",
		Short: "Change a port's own limits, while it is used",
		Long: `Changes what a port may send and get, in place of what its runtime asked for: in the directions that are given; 0 stands
for no limit of its own. The tenant's limits of a port hold beside it. What was set stays while the port is there, also when
its container starts again or moves to another host. With --as-asked what the runtime asked for holds again.`,
		Example: `  sluice port set alice/default/a1 --limit-egress-kbps 20000 --limit-ingress-kbps 0
  sluice port set alice/a1 --as-asked`,
		Args:              named("TENANT/NETWORK/NAME"),
		ValidArgsFunction: completeArg(portNames),
	}
	var egress, ingress uint32
	var asAsked bool
	cmd.Flags().Uint32Var(&egress, limitEgress, 0, "what the container sends, in `KILOBITS` a second; the tenant's limit of a port holds where it is smaller")
	cmd.Flags().Uint32Var(&ingress, limitIngress, 0, "what the container gets, in `KILOBITS` a second")
	cmd.Flags().BoolVar(&asAsked, "as-asked", false, "let what its runtime asked for hold again, in both directions")
	cmd.MarkFlagsOneRequired(limitEgress, limitIngress, "as-asked")
	cmd.MarkFlagsMutuallyExclusive(limitEgress, "as-asked")
	cmd.MarkFlagsMutuallyExclusive(limitIngress, "as-asked")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		tenant, network, name, err := tenantNetworkPort(args[0])
		if err != nil {
			return err
		}
		p, err := c.Port(cmd.Context(), tenant, network, name)
		if err != nil {
			return err
		}
		set := p.LimitsSet
		if asAsked {
			set = store.PortLimitsSet{}
		}
		if cmd.Flags().Changed(limitEgress) {
			set.EgressKbps = &egress
		}
		if cmd.Flags().Changed(limitIngress) {
			set.IngressKbps = &ingress
		}
		if p, err = c.AsOf(p.Modified).SetPortLimits(cmd.Context(), tenant, network, name, set); err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), p, func(w io.Writer) {
			fmt.Fprintf(w, "port %s has limits of its own: %s\n", portName(p), cmp.Or(limitsWords(p.Port), "none"))
		})
	})
}

// Flags of a port's own limits.
const limitEgress, limitIngress = "limit-egress-kbps", "limit-ingress-kbps"

// limitsWords are a port's own limits, for people, and which of them the operator set.
func limitsWords(p store.Port) string {
	own := p.OwnLimits()
	var words []string
	for _, one := range []struct {
		what        string
		kbps, asked uint32
		set         *uint32
	}{
		{"sends", own.EgressKbps, p.Limits.EgressKbps, p.LimitsSet.EgressKbps},
		{"gets", own.IngressKbps, p.Limits.IngressKbps, p.LimitsSet.IngressKbps},
	} {
		switch {
		case one.set == nil && one.kbps > 0:
			words = append(words, fmt.Sprintf("%s %s", one.what, kbpsWords(one.kbps)))
		case one.set != nil:
			words = append(words, fmt.Sprintf("%s %s (set; its runtime asked for %s)", one.what, kbpsWords(one.kbps), kbpsWords(one.asked)))
		}
	}
	return strings.Join(words, ", ")
}

// kbpsWords is a rate for people.
func kbpsWords(kbps uint32) string {
	if kbps == 0 {
		return "any rate"
	}
	return fmt.Sprintf("%d kbit/s", kbps)
}
