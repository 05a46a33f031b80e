package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	agentapi "sluice/hostagent/api"
	"sluice/store"
)

func portCommand() *cobra.Command {
	return group("port", "Ports: containers' attachments to networks",
		"  sluice port list --tenant alice\n  sluice port attach alice/a1 --netns /run/netns/a1",
		portList(), portShow(), portAttach(), portDetach(), portMove(), portSet())
}

func portName(p client.Port) string { return p.Tenant + "/" + p.Network + "/" + p.Name }

// tenantNetworkPort reads TENANT/NETWORK/NAME, or TENANT/NAME for the network default.
func tenantNetworkPort(arg string) (tenant, network, name string, err error) {
	parts := strings.Split(arg, "/")
	for _, part := range parts {
		if part == "" {
			parts = nil
		}
	}
	switch len(parts) {
	case 2:
		return parts[0], agentapi.DefaultNetwork, parts[1], checkParts(parts...)
	case 3:
		return parts[0], parts[1], parts[2], checkParts(parts...)
	}
	return "", "", "", usagef("port %q: write it as TENANT/NETWORK/NAME, or TENANT/NAME in the network default", arg)
}

func portList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List ports",
		Example: "  sluice port list\n  sluice port list --tenant alice --host h1",
		Args:    cobra.NoArgs,
	}
	var filter client.PortFilter
	cmd.Flags().StringVar(&filter.Tenant, "tenant", "", "only this `TENANT`'s")
	cmd.Flags().StringVar(&filter.Network, "network", "", "only `NETWORK`s of this name")
	cmd.Flags().StringVar(&filter.Host, "host", "", "only on this `HOST`")
	completeFlag(cmd, "tenant", tenantNames)
	completeFlag(cmd, "host", hostNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Ports(cmd.Context(), filter)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writePorts(w, list) })
	})
}

func writePorts(w io.Writer, list []client.Port) {
	g := columns("port", "host", "addresses", "mac", "interface", "container")
	for _, p := range list {
		g.row(portName(p), p.Host, addresses(p), p.MAC.String(), p.Interface, p.ContainerID)
	}
	g.write(w)
}

// addresses leaves out the subnet's length, which is the network's.
func addresses(p client.Port) string {
	list := make([]string, len(p.Addresses))
	for i, a := range p.Addresses {
		list[i] = a.Addr().String()
	}
	return joined(list)
}

func portShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show TENANT/NETWORK/NAME",
		Short:             "Show a port",
		Example:           "  sluice port show alice/default/a1\n  sluice port show alice/a1  # in the network default",
		Args:              named("TENANT/NETWORK/NAME"),
		ValidArgsFunction: completeArg(portNames),
	}
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
		return out.print(cmd.OutOrStdout(), p, func(w io.Writer) { writePort(w, p) })
	})
}

func writePort(w io.Writer, p client.Port) {
	var pairsAllowed []string
	for _, a := range p.AllowedPairs {
		pairsAllowed = append(pairsAllowed, strings.TrimSpace(a.Prefix.String()+" "+yesNo(a.MAC.IsZero(), "", a.MAC.String())))
	}
	facts(w,
		"Port", portName(p),
		"Host", p.Host,
		"Addresses", joined(p.Addresses),
		"MAC", p.MAC.String(),
		"Also allowed", joined(pairsAllowed),
		"Number", fmt.Sprint(p.Number),
		"Interface", p.Interface,
		"Container", strings.TrimSpace(p.Runtime+" "+p.ContainerID),
		"Publishes", publishedWords(p.Port),
		"Limits", limitsWords(p.Port),
		"Sticky", yesNo(p.Sticky != store.NotSticky, "yes", ""),
		"Labels", pairs(p.Labels),
		"Created", fmt.Sprintf("revision %d", p.Created),
	)
}

// socketFlag makes a command a client of this host's agent.
func socketFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("socket", agentapi.DefaultSocket, "unix socket, a `PATH`, of this host's agent")
}

func portAttach() *cobra.Command {
	req, limits := agentapi.AttachRequest{}, agentapi.Limits{}
	cmd := &cobra.Command{
		Use:   "attach TENANT/NETWORK/NAME --netns PATH",
		Short: "Attach a container of this host to a network",
		Long: `Attach a container of this host to a network, through the host's agent. When the command has
ended well the port's flows are in the switch; when it fails it leaves nothing behind.`,
		Example: `  sluice port attach alice/default/a1 --netns /run/netns/a1
  sluice port attach alice/a2 --netns a2 --ip 10.0.0.20 --ifname net1
  sluice port attach alice/web --netns web --publish 8080:80`,
		Args: named("TENANT/NETWORK/NAME"),
	}
	f := cmd.Flags()
	f.StringVar(&req.NetNS, "netns", "", "the container's network namespace: a `PATH`, or a name as ip netns knows it")
	f.StringVar(&req.IfName, "ifname", "eth0", "`NAME` of the interface inside the container")
	f.StringSliceVar(&req.Addresses, "ip", nil, "`ADDRESS`; may be repeated, one for each subnet (default chosen from the network's subnets)")
	f.StringVar(&req.MAC, "mac", "", "`MAC` address (default derived)")
	f.StringVar(&req.ContainerID, "container-id", "", "the container's `ID`, as its runtime knows it")
	f.StringVar(&req.Runtime, "runtime", "", "`NAME` of the container's runtime")
	f.BoolVar(&req.Sticky, "sticky", false, "leave MAC and addresses with the name when the port goes: the next port of that name on this host gets them")
	f.Uint32Var(&limits.EgressKbps, limitEgress, 0, "what the container sends, in `KILOBITS` a second; the tenant's limit of a port holds where it is smaller (default none)")
	f.Uint32Var(&limits.IngressKbps, limitIngress, 0, "what the container gets, in `KILOBITS` a second (default none)")
	publish := f.StringSlice("publish", nil, "`[ON:]PORTS[/udp]` of the container that the outside reaches by its tenant's gateway host while the port is there, such as 8080:80; may be repeated")
	labelFlag(cmd, &req.Labels)
	must(cmd.MarkFlagRequired("netns"))
	socket := socketFlag(cmd)
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if req.Tenant, req.Network, req.Name, err = tenantNetworkPort(args[0]); err != nil {
			return err
		}
		if req.Publish, err = publishedPorts(*publish); err != nil {
			return err
		}
		if limits != (agentapi.Limits{}) {
			req.Limits = &limits
		}
		if !strings.Contains(req.NetNS, "/") {
			req.NetNS = "/run/netns/" + req.NetNS
		}
		agent := agentapi.Dial(*socket)
		defer agent.Close()
		a, err := agent.Attach(cmd.Context(), req)
		if err != nil {
			return err
		}
		for _, warning := range a.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", warning)
		}
		return out.print(cmd.OutOrStdout(), a, func(w io.Writer) {
			fmt.Fprintf(w, "port %s/%s/%s attached: %s, MAC %s, MTU %d, interface %s\n",
				a.Tenant, a.Network, a.Name, joined(a.Addresses), a.MAC, a.MTU, a.IfName)
		})
	}
	return cmd
}

func portDetach() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "detach TENANT/NETWORK/NAME",
		Short:   "Detach a container of this host",
		Example: "  sluice port detach alice/default/a1",
		Args:    named("TENANT/NETWORK/NAME"),
	}
	socket := socketFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tenant, network, name, err := tenantNetworkPort(args[0])
		if err != nil {
			return err
		}
		agent := agentapi.Dial(*socket)
		defer agent.Close()
		req := agentapi.DetachRequest{Tenant: tenant, Network: network, Name: name}
		if err := agent.Detach(cmd.Context(), req); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "port %s/%s/%s detached\n", tenant, network, name)
		return nil
	}
	return cmd
}

func portMove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move TENANT/NETWORK/NAME HOST",
		Short: "Take a port to another host, for a container that moves with its addresses",
		Long: `Take a port to another host, with its number, MAC and addresses. The host that it leaves lets go of its interface;
on the other one attach the container under the same name, as it was restored there, within ten minutes. Its
connections go on. Until the container is attached nobody reaches it.`,
		Example: `  sluice port move alice/default/a1 h2
  sluice port attach alice/default/a1 --netns /run/netns/a1  # on h2`,
		Args:              named("TENANT/NETWORK/NAME", "HOST"),
		ValidArgsFunction: completeArg(portNames),
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		tenant, network, name, err := tenantNetworkPort(args[0])
		if err != nil {
			return err
		}
		p, err := c.MovePort(cmd.Context(), tenant, network, name, args[1])
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), p, func(w io.Writer) {
			fmt.Fprintf(w, "port %s moved to host %s: attach its container there with sluice port attach %s --netns PATH\n", portName(p), p.Host, portName(p))
		})
	})
}
