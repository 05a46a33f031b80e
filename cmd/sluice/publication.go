package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/store"
)

func publicationCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish TENANT --port [NETWORK/]PORT (--tcp PORTS | --udp PORTS) [--on [ADDRESS:]PORTS]",
		Short: "Let the outside reach a port of a container, by its tenant's gateway host",
		Long: `Let the outside open connections to a container: what comes to a port of the tenant's gateway host, by its uplink, goes
to a port of the container.

It is on the gateway host's own address, which cannot move: after the tenant's gateway moved, the publication is on the new gateway
host's address, and connections that it let in before go on through the old one until they end. With --on ADDRESS:PORTS it is on a
floating address, one of those that the operator lets float (sluice gateway floating): that goes along with the tenant's gateway, also
when its host is dead. An address is one tenant's. The container need not stay where it is.

A container sees the gateway host as who comes, unless --keep-source is given. With it, what comes from an address that the tenant's own
networks have, or those that it is peered with, is not answered.`,
		Example: `  sluice publish alice --port web --tcp 80 --on 8080
  sluice publish alice --port web --tcp 80 --on 203.0.113.50:80
  sluice publish alice --port db/main --udp 5000-5009 --keep-source
  sluice publish http alice --port jupyter --tcp 8888 --host-name alice.example
  sluice publish list
  sluice unpublish alice tcp-8080`,
		Args:              named("TENANT"),
		ValidArgsFunction: completeArg(tenantNames),
	}
	var port, tcp, udp, on string
	var spec client.PublicationSpec
	cmd.Flags().StringVar(&port, "port", "", "the tenant's port, by its name: `[NETWORK/]PORT`")
	cmd.Flags().StringVar(&tcp, "tcp", "", "`PORTS` of the container for TCP: one, or the first and the last, such as 8000-8009")
	cmd.Flags().StringVar(&udp, "udp", "", "`PORTS` of the container for UDP")
	cmd.Flags().StringVar(&on, "on", "", "as many ports of the gateway host, or of a floating address: `[ADDRESS:]PORTS` (default: the same ports of the host)")
	cmd.Flags().BoolVar(&spec.KeepSource, "keep-source", false, "let the container see who comes")
	cmd.MarkFlagsOneRequired("tcp", "udp")
	cmd.MarkFlagsMutuallyExclusive("tcp", "udp")
	must(cmd.MarkFlagRequired("port"))
	out := outputFlag(cmd)
	clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
		if spec.Tenant, spec.Network, spec.Port, err = tenantNetworkPort(args[0] + "/" + port); err != nil {
			return err
		}
		spec.Protocol, spec.Ports = string(store.ProtocolTCP), tcp
		if udp != "" {
			spec.Protocol, spec.Ports = string(store.ProtocolUDP), udp
		}
		if spec.Floating, spec.On, err = publishOn(on); err != nil {
			return err
		}
		p, err := c.Publish(cmd.Context(), spec)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), p, func(w io.Writer) { writePublication(w, p) })
	})
	cmd.AddCommand(publicationList(), routeCommand())
	return cmd
}

func writePublication(w io.Writer, p client.Publication) {
	if p.Route != nil {
		writeRoute(w, p)
		return
	}
	fmt.Fprintf(w, "%s/%s: %s leads to %s\n", p.Tenant, p.Name, publishedOn(p), leadsTo(p))
	if p.Why != "" {
		fmt.Fprintf(w, "  not now: %s\n", p.Why)
	}
	if p.Floating.IsValid() {
		fmt.Fprintf(w, "  this address floats: it goes along with %s's gateway\n", p.Tenant)
		return
	}
	fmt.Fprintf(w, "  this is the gateway host's own address, which cannot move: after %s's gateway moved, it is the new gateway host's\n", p.Tenant)
}

// publishOn reads where to publish: ports of the gateway host, or of a floating address.
func publishOn(text string) (address netip.Addr, ports string, err error) {
	at, ports, floats := strings.Cut(text, ":")
	if !floats {
		return address, text, nil
	}
	if address, err = netip.ParseAddr(at); err != nil || !address.Is4() {
		return address, "", usagef("--on %s: give ports, such as 8080, or those of an IPv4 address, such as 203.0.113.50:8080", text)
	}
	return address, ports, nil
}

// publishedOn is where the outside reaches a publication.
func publishedOn(p client.Publication) string {
	if p.Floating.IsValid() {
		return fmt.Sprintf("%s %s of %s, at host %s now,", p.Protocol, p.On, p.Floating, cmp.Or(p.Host, "?"))
	}
	if len(p.Addresses) == 0 {
		return fmt.Sprintf("%s %s of host %s", p.Protocol, p.On, cmp.Or(p.Host, "?"))
	}
	return fmt.Sprintf("%s %s of host %s (%s)", p.Protocol, p.On, p.Host, joined(p.Addresses))
}

// leadsTo is where connections go.
func leadsTo(p client.Publication) string {
	return fmt.Sprintf("%s %s of %s/%s/%s", p.Protocol, p.Ports, p.Tenant, p.Network, p.Port)
}

// completePublication offers tenants, and then what the tenant publishes.
func completePublication(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return completeArg(tenantNames)(cmd, args, typed)
	}
	return complete(cmd, func(ctx context.Context, c *client.Client) ([]string, error) {
		list, err := c.Publications(ctx, args[0])
		return namesOf(list, func(p client.Publication) string { return p.Name }), err
	}, typed)
}

func publicationList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List what is published, where, and why something is not let in",
		Example: "  sluice publish list\n  sluice publish list --tenant alice -o json",
		Args:    cobra.NoArgs,
	}
	tenant := cmd.Flags().String("tenant", "", "only this `TENANT`'s")
	completeFlag(cmd, "tenant", tenantNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Publications(cmd.Context(), *tenant)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writePublications(w, list) })
	})
}

func writePublications(w io.Writer, list []client.Publication) {
	g := columns("tenant", "name", "on", "host", "addresses", "to", "source", "last", "why not")
	for _, p := range list {
		source := "hidden"
		if p.KeepSource {
			source = "kept"
		}
		on, last := p.On, "-"
		if p.Route != nil {
			on = p.Route.Host + p.Route.Path
		}
		if p.Last != nil {
			last = p.Last.Format(time.RFC3339)
		}
		g.row(p.Tenant, p.Name, on, p.Host, joined(p.Addresses), strings.Join([]string{p.Network, p.Port}, "/")+" "+p.Ports, source, last, p.Why)
	}
	g.write(w)
}

func unpublishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "unpublish TENANT NAME",
		Short:             "End a publication, with the connections that it let in",
		Long:              "End a publication, at once: also the connections that it let in stop. Its name is its protocol and its ports on the host, or its route's: see sluice publish list.",
		Example:           "  sluice unpublish alice tcp-8080",
		Args:              named("TENANT", "NAME"),
		ValidArgsFunction: completePublication,
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if _, err := c.Unpublish(cmd.Context(), args[0], args[1]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s/%s is not published any more\n", args[0], args[1])
		return nil
	})
}
