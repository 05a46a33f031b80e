package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/net/idna"

	"sluice/controller/client"
	"sluice/store"
)

// routeCommand publishes a port of a container by a route.
func routeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "http TENANT --port [NETWORK/]PORT --tcp PORT --host-name NAME",
		Short: "Let browsers reach a port of a container by a host name, at the entry of any host",
		Long: `Let browsers reach a port of a container by a host name: the entry of any host (sluice agent --entry) carries requests for the name over the
tenant's gateway host to the container. It stays reachable while the gateway moves, and no port of a host is taken.

A name is one tenant's alone. Browsers keep what pages of one name store and do from those of another name, and not what is under one path of a
name from what is under another. With --path and --shared-origin several tenants have paths of one name all the same, where each of them
says so: their pages can read and change each other's.`,
		Example: `  sluice publish http alice --port jupyter --tcp 8888 --host-name alice.example
  sluice publish http alice --port lab --tcp 8888 --host-name hub.example --path /alice/ --shared-origin
  sluice unpublish alice http-alice-example`,
		Args:              named("TENANT"),
		ValidArgsFunction: completeArg(tenantNames),
	}
	var port string
	spec := client.PublicationSpec{Protocol: string(store.ProtocolTCP), Route: &client.Route{}}
	cmd.Flags().StringVar(&port, "port", "", "the tenant's port, by its name: `[NETWORK/]PORT`")
	cmd.Flags().StringVar(&spec.Ports, "tcp", "", "`PORT` of the container, where it speaks HTTP in the clear")
	cmd.Flags().StringVar(&spec.Route.Host, "host-name", "", "`NAME` by which browsers ask for it")
	cmd.Flags().StringVar(&spec.Route.Path, "path", "", "`PATH` of the name under which it is (default all of the name)")
	cmd.Flags().BoolVar(&spec.Route.Strip, "strip-path", false, "have the container see paths without --path")
	cmd.Flags().BoolVar(&spec.Route.Shared, "shared-origin", false, "let other tenants have paths of the name, though browsers do not keep them apart")
	for _, flag := range []string{"port", "tcp", "host-name"} {
		must(cmd.MarkFlagRequired(flag))
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
		if spec.Tenant, spec.Network, spec.Port, err = tenantNetworkPort(args[0] + "/" + port); err != nil {
			return err
		}
		if spec.Route.Host, err = idna.Lookup.ToASCII(spec.Route.Host); err != nil {
			return usagef("--host-name %s: give a DNS name, such as alice.example", spec.Route.Host)
		}
		p, err := c.Publish(cmd.Context(), spec)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), p, func(w io.Writer) { writePublication(w, p) })
	})
}

// mostEntries are shown to people.
const mostEntries = 8

func writeRoute(w io.Writer, p client.Publication) {
	fmt.Fprintf(w, "%s/%s: http://%s%s leads to %s\n", p.Tenant, p.Name, p.Route.Host, p.Route.Path, leadsTo(p))
	if p.Why != "" {
		fmt.Fprintf(w, "  not now: %s\n", p.Why)
	}
	if len(p.Entries) == 0 {
		fmt.Fprintf(w, "  no host takes such requests yet: start an agent with --entry\n")
		return
	}
	fmt.Fprintf(w, "  %s must lead to an entry: %s\n", p.Route.Host, strings.Join(p.Entries[:min(len(p.Entries), mostEntries)], ", "))
}
