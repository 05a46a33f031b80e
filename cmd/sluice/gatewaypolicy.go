package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func gatewayPolicy() *cobra.Command {
	var selector map[string]string
	all := false
	cmd := &cobra.Command{
		Use:   "policy [TENANT] auto|central|HOST",
		Short: "Change how the gateway hosts of tenants are chosen, while they run",
		Long: "Gives a tenant, the tenants with some labels, or all, another policy: auto spreads them over the gateway hosts that are\n" +
			"ready, by weight; central has them share one host (sluice gateway central says which); a HOST is that one.\n" +
			"Gateways that do not fit any more move without loss, a few at a time: sluice gateway list shows them.",
		Example: `  sluice gateway policy alice h2
  sluice gateway policy --selector team=red central
  sluice gateway policy --all auto`,
		Args: func(_ *cobra.Command, args []string) error {
			switch several := all || len(selector) > 0; {
			case all && len(selector) > 0:
				return usagef("say --all or --selector, not both")
			case several && len(args) != 1:
				return usagef("give the policy alone beside --all or --selector: auto, central or a HOST")
			case !several && len(args) != 2:
				return usagef("give a TENANT and its policy, or the policy with --all or --selector")
			}
			return checkParts(args...)
		},
	}
	cmd.Flags().Var(labels{&selector}, "selector", "for the tenants with this label, `KEY=VALUE`; may be repeated, for those with all of them")
	cmd.Flags().BoolVar(&all, "all", false, "for all tenants")
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		policy := args[len(args)-1]
		if len(args) == 2 {
			if _, err := c.SetGatewayPolicy(cmd.Context(), args[0], policy); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the gateway policy of tenant %s is %s\n", args[0], policy)
			return nil
		}
		changed, of, err := setPolicies(cmd.Context(), c, selector, policy)
		fmt.Fprintf(cmd.OutOrStdout(), "the gateway policy of %s is %s, of which %d had another\n", counted(of, "tenant"), policy, changed)
		return err
	})
}

// setPolicies gives the tenants that have some labels a policy. One that is refused holds up no other.
func setPolicies(ctx context.Context, c *client.Client, selector map[string]string, policy string) (changed, of int, err error) {
	tenants, err := c.Tenants(ctx)
	if err != nil {
		return 0, 0, err
	}
	var refused []error
	for _, t := range tenants {
		if !hasLabels(t.Labels, selector) {
			continue
		}
		of++
		if t.Gateway == policy {
			continue
		}
		if _, err := c.SetGatewayPolicy(ctx, t.Name, policy); err != nil {
			refused = append(refused, err)
			of--
			continue
		}
		changed++
	}
	if len(refused) > 0 {
		return changed, of, fmt.Errorf("%s: the first: %w", counted(len(refused), "tenant")+" keep theirs", refused[0])
	}
	if of == 0 {
		return 0, 0, errors.New("no tenant has " + strings.ReplaceAll(pairs(selector), ", ", " and "))
	}
	return changed, of, nil
}

// hasLabels reports whether labels have all of some others.
func hasLabels(has store.Labels, wanted map[string]string) bool {
	for k, v := range wanted {
		if got, there := has[k]; !there || got != v {
			return false
		}
	}
	return true
}

func gatewayCentral() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "central HOST",
		Short: "Say by which host all tenants leave whose policy is central",
		Long: "Moves the gateways of all tenants whose policy is central to HOST, without loss, a few at a time. Where nobody said\n" +
			"a host, the leader of the controllers chose one when the first such tenant was made.",
		Example:           "  sluice gateway central h1",
		Args:              named("HOST"),
		ValidArgsFunction: completeArg(hostNames),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if err := c.SetCentralGateway(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "central tenants leave by %s: sluice gateway list shows how far they are\n", args[0])
		return nil
	})
}
