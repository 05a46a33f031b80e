package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/controller/client"
	"sluice/store"
)

func networkCommand() *cobra.Command {
	return group("network", "Networks: L2 segments of a tenant",
		"  sluice network create alice/db --subnet 10.0.1.0/24\n  sluice network list --tenant alice",
		networkCreate(), networkList(), networkShow(), networkDelete())
}

func networkCreate() *cobra.Command {
	spec := client.NetworkSpec{}
	cmd := &cobra.Command{
		Use:   "create TENANT/NAME --subnet CIDR",
		Short: "Create one more network of a tenant",
		Example: `  sluice network create alice/db --subnet 10.0.1.0/24
  sluice network create alice/web --subnet 10.0.2.0/24 --gateway-ip 10.0.2.254 --segmentation vlan --flood off
  sluice network create alice/lan --subnet 10.0.3.0/24 --exclude 10.0.3.2-10.0.3.20`,
		Args: named("TENANT/NAME"),
	}
	f := cmd.Flags()
	f.StringArrayVar(&spec.Subnets, "subnet", nil, "`CIDR` of a subnet; may be repeated")
	f.StringArrayVar(&spec.Gateways, "gateway-ip", nil, "the router's `ADDRESS` in a subnet, in the order of --subnet (default the first usable)")
	f.StringVar(&spec.Segmentation, "segmentation", "", "how it is marked on the wire: `tunnel|vlan` (default tunnel)")
	f.IntVar(&spec.MTU, "mtu", 0, "`BYTES` of a packet at most (default derived from the underlay)")
	f.StringVar(&spec.Flood, "flood", "", "whether broadcast and multicast are replicated: `auto|on|off` (default auto)")
	excludeFlag(f, &spec.Exclude)
	must(cmd.MarkFlagRequired("subnet"))
	completeWords(cmd, "segmentation", "tunnel", "vlan")
	completeWords(cmd, "flood", "auto", "on", "off")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		var err error
		if spec.Tenant, spec.Name, err = tenantAndNetwork(args[0]); err != nil {
			return err
		}
		n, err := c.CreateNetwork(cmd.Context(), spec)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), n, func(w io.Writer) {
			fmt.Fprintf(w, "network %s created: %s, %s\n", args[0], subnets(n), segment(n))
		})
	})
}

// excludeFlag is of what is not given to ports that ask for no address.
func excludeFlag(f *pflag.FlagSet, ranges *[]string) {
	f.StringArrayVar(ranges, "exclude", nil, "`RANGE` of addresses that ports get only by asking for them, such as 10.0.0.2-10.0.0.20; may be repeated")
}

func networkList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List networks",
		Example: "  sluice network list\n  sluice network list --tenant alice",
		Args:    cobra.NoArgs,
	}
	tenant := cmd.Flags().String("tenant", "", "only this `TENANT`'s")
	completeFlag(cmd, "tenant", tenantNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Networks(cmd.Context(), *tenant)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeNetworks(w, list) })
	})
}

func writeNetworks(w io.Writer, list []client.Network) {
	g := columns("network", "number", "segment", "subnets", "hosts", "ports")
	for _, n := range list {
		g.row(n.Tenant+"/"+n.Name, fmt.Sprint(n.Number), segment(n), subnets(n), joined(n.Hosts), fmt.Sprint(n.Ports))
	}
	g.write(w)
}

// segment is what marks the network on the wire: vlan 12, tunnel 7.
func segment(n client.Network) string { return fmt.Sprintf("%s %d", n.Segmentation, n.Segment) }

func subnets(n client.Network) string {
	list := make([]string, len(n.Subnets))
	for i, s := range n.Subnets {
		list[i] = s.Prefix.String()
	}
	return joined(list)
}

func networkShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show TENANT/NAME",
		Short:             "Show a network",
		Example:           "  sluice network show alice/default",
		Args:              named("TENANT/NAME"),
		ValidArgsFunction: completeArg(networkNames),
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		tenant, name, err := tenantAndNetwork(args[0])
		if err != nil {
			return err
		}
		n, err := c.Network(cmd.Context(), tenant, name)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), n, func(w io.Writer) { writeNetwork(w, n) })
	})
}

func writeNetwork(w io.Writer, n client.Network) {
	mtu := "derived from the underlay"
	if n.MTU > 0 {
		mtu = fmt.Sprint(n.MTU)
	}
	f := []string{"Network", n.Tenant + "/" + n.Name, "Number", fmt.Sprint(n.Number), "Segment", segment(n)}
	for _, s := range n.Subnets {
		f = append(f, "Subnet", fmt.Sprintf("%s, gateway %s", s.Prefix, s.Gateway))
	}
	for _, r := range n.Exclude {
		f = append(f, "Excluded", r.String())
	}
	for _, u := range n.Addresses {
		f = append(f, "Addresses", addressUse(u))
	}
	facts(w, append(f,
		"MTU", mtu,
		"Flood", string(n.Flood),
		"Hosts", joined(n.Hosts),
		"Ports", fmt.Sprint(n.Ports),
		"Created", fmt.Sprintf("revision %d", n.Created),
	)...)
}

// addressUse is what is left of a subnet, in words.
func addressUse(u store.SubnetUse) string {
	text := fmt.Sprintf("%s: %d in use, %d free", u.Subnet, u.InUse, u.Free)
	if u.Next.IsValid() {
		return text + ", the first " + u.Next.String()
	}
	return text + ": detach ports, or make a network with a larger subnet"
}

func networkDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "delete TENANT/NAME",
		Aliases:           []string{"rm"},
		Short:             "Delete a network that has no ports",
		Example:           "  sluice network delete alice/db",
		Args:              named("TENANT/NAME"),
		ValidArgsFunction: completeArg(networkNames),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		tenant, name, err := tenantAndNetwork(args[0])
		if err != nil {
			return err
		}
		if _, err := c.DeleteNetwork(cmd.Context(), tenant, name); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "network %s deleted\n", args[0])
		return nil
	})
}
