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

func hostCommand() *cobra.Command {
	return group("host", "Hosts: machines with a switch and an agent",
		"  sluice host list\n  sluice host show h1",
		hostList(), hostShow(), hostInvite(), hostEnrol(), hostDelete(), hostAdopt(), hostClean())
}

func hostList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List hosts and how they stand",
		Example: "  sluice host list\n  sluice host list -o yaml",
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Hosts(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeHosts(w, list) })
	})
}

func writeHosts(w io.Writer, list []client.Host) {
	p := painterFor(w)
	g := columns("name", "state", "agent", "vtep", "encap", "gateway", "trunk", "ports", "flows", "master")
	for _, h := range list {
		g.row(h.Name, p.state(h.State), p.agent(h.Live), joined(h.VTEPs), h.Encap, yesNo(h.Gateway, "yes", "no"), trunkText(h.Host),
			fmt.Sprint(h.Ports), positive(h.Flows), h.Master)
	}
	g.write(w)
}

func hostShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show NAME",
		Short:             "Show a host",
		Example:           "  sluice host show h1",
		Args:              named("NAME"),
		ValidArgsFunction: completeArg(hostNames),
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		h, err := c.Host(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), h, func(w io.Writer) { writeHost(w, h) })
	})
}

func writeHost(w io.Writer, h client.Host) {
	p := painterFor(w)
	facts(w,
		"Host", h.Name,
		"State", fmt.Sprintf("%s at revision %d", p.state(h.State), h.Realized),
		"Agent", p.agent(h.Live),
		"Version", programText(h.Agent),
		"Master", h.Master,
		"Switch", fmt.Sprintf("%s, %s", h.DatapathID, yesNo(h.Connected, "connected here", "not connected here")),
		"Tunnels", fmt.Sprintf("%s at %s", h.Encap, joined(h.VTEPs)),
		"Underlay MTU", positive(h.UnderlayMTU),
		"Uplink", h.Uplink,
		"Uplink probed", probedText(h.Host),
		"Trunk", cmp.Or(trunkText(h.Host), h.NoTrunk),
		"Gateway", yesNo(h.Gateway, "yes", strings.TrimSuffix("no: "+h.NoGateway, ": ")),
		"Weight", positive(h.Weight),
		"Closed to tenants", joined(h.Infrastructure),
		"Ports", fmt.Sprint(h.Ports),
		"Flows", cmp.Or(positive(h.Flows), "not known to this controller"),
		"Missing", joined(h.Missing),
		"Labels", pairs(h.Labels),
		"Incarnation", h.Incarnation,
		"Created", fmt.Sprintf("revision %d", h.Created),
	)
	if h.State == store.HostLastKnown {
		fmt.Fprintf(w, "\n%s %s: %s\n", p.bad("Host"), h.Name, byLastKnown)
	}
	writeProblems(w, h.Problems)
	if h.Request != nil {
		writeRequest(w, h.Name, *h.Request)
	}
}

// probedText says whether anybody looks that a gateway host's uplink leads anywhere; empty: it is no gateway host.
func probedText(h store.Host) string {
	switch {
	case !h.Gateway:
		return ""
	case h.ProbeOutside.IsValid():
		return "by pings of " + h.ProbeOutside.String()
	}
	return "no: its agent runs without --probe-outside"
}

// trunkText is a host's trunk; empty: it has none.
func trunkText(h store.Host) string {
	if h.Trunk == "" || h.TrunkReady {
		return h.Trunk
	}
	return h.Trunk + ", not ready"
}

// programText says what an agent runs; empty: it is not live, or does not say.
func programText(p store.Program) string {
	if p.Version == "" {
		return ""
	}
	return fmt.Sprintf("%s, schema %d", p.Version, p.Schema)
}

// positive writes a number, and nothing for zero.
func positive(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func writeProblems(w io.Writer, problems store.Problems) {
	if len(problems) == 0 {
		return
	}
	p := painterFor(w)
	fmt.Fprintf(w, "\n%s\n", p.bad(counted(len(problems), "problem")+":"))
	for _, problem := range problems {
		fmt.Fprintf(w, "  %s: %s\n", problem.Object, problem.Text)
	}
}

func hostDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete NAME",
		Aliases: []string{"rm"},
		Short:   "Forget a host and its ports",
		Long: `Forget a host and its ports, and believe its certificate no more. An agent that still runs there is refused; once
the host joins again (sluice host invite) it removes what it had and registers with no ports. Without
certificates it does so at once.`,
		Example:           "  sluice host delete h3",
		Args:              named("NAME"),
		ValidArgsFunction: completeArg(hostNames),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if _, err := c.DeleteHost(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "host %s deleted\n", args[0])
		return nil
	})
}
