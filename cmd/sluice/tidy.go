package main

import (
	"fmt"
	"io"
	"sluice/controller/client"

	"github.com/spf13/cobra"
)

func tidyCommand() *cobra.Command {
	return group("tidy", "What is left over of objects that are not there, or cannot be read",
		"  sluice tidy values\n  sluice tidy hosts\n  sluice tidy ports", tidyValues(), tidyHosts(), tidyPorts())
}

// yesFlag is the word to remove what a look showed, and no more.
func yesFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("yes", "", "remove what was listed under this `ID`; what came or went since is refused")
}

func tidyValues() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "values",
		Short: "List, or free, values that are taken by objects that are not there",
		Long: `List names, numbers, MACs and addresses that are taken, and that no object has: somebody deleted
its key by hand, it cannot be read, or etcd lost it. The leader frees few of them after ten minutes. So
many that rather the objects were lost (more than 20, and more than a tenth of all) it keeps: bring the
objects back, or free the values with --yes and the ID under the list. The word is for just the values
that were listed, once: if others came or some went meanwhile, nothing is freed.`,
		Example: "  sluice tidy values\n  sluice tidy values --yes 0a1b2c3d4e5f",
		Args:    cobra.NoArgs,
	}
	out, id := outputFlag(cmd), yesFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		if cmd.Flags().Changed("yes") {
			freed, err := c.FreeStrays(cmd.Context(), *id)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), freed, func(w io.Writer) { fmt.Fprintf(w, "%s freed\n", counted(len(freed.Values), "value")) })
		}
		list, err := c.Strays(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeStrays(w, list) })
	})
}

func writeStrays(w io.Writer, list client.Strays) {
	if len(list.Values) == 0 {
		fmt.Fprintf(w, "nothing is left over: %s, each by an object that is there\n", counted(list.Taken, "value")+" taken")
		return
	}
	g := columns("value", "taken by", "since revision")
	for _, v := range list.Values {
		g.row(v.Value, v.Owner, fmt.Sprint(v.Modified))
	}
	g.write(w)
	if list.More {
		fmt.Fprintln(w, "\nThere are more: these come first.")
	}
	fmt.Fprintf(w, "\n%d of %d taken values are of objects that are not there. If these are gone for good:\n  sluice tidy values --yes %s\n",
		len(list.Values), list.Taken, list.ID)
}

func tidyHosts() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hosts",
		Short: "List, or remove, the ports of hosts that are not registered",
		Long: `List hosts that are not registered and have ports: somebody deleted their keys by hand, or etcd lost
them. The leader removes few such ports after ten minutes, and keeps many (more than 20, and more than a
tenth of all). An agent that starts registers its host again, with its ports. With --yes and the ID under
the list, the ports of all these hosts are removed; "sluice host delete" does so for one. The word is for
just the ports that were listed, once: if others came or some went meanwhile, nothing is removed.`,
		Example: "  sluice tidy hosts\n  sluice tidy hosts --yes 0a1b2c3d4e5f",
		Args:    cobra.NoArgs,
	}
	out, id := outputFlag(cmd), yesFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		if cmd.Flags().Changed("yes") {
			cleared, err := c.ClearAbsentHosts(cmd.Context(), *id)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), cleared, func(w io.Writer) {
				for _, h := range cleared.Hosts {
					fmt.Fprintf(w, "host %s: %s removed\n", h.Host, counted(h.Ports, "port"))
				}
			})
		}
		list, err := c.AbsentHosts(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeAbsentHosts(w, list) })
	})
}

func writeAbsentHosts(w io.Writer, list client.AbsentHosts) {
	if len(list.Hosts) == 0 {
		fmt.Fprintln(w, "nothing is left over: each port is of a host that is registered")
		return
	}
	g, ports := columns("host", "ports", "newest at revision"), 0
	for _, h := range list.Hosts {
		g.row(h.Host, fmt.Sprint(h.Ports), fmt.Sprint(h.Newest))
		ports += h.Ports
	}
	g.write(w)
	fmt.Fprintf(w, "\n%s not registered. If they are gone for good, this removes %s:\n  sluice tidy hosts --yes %s\n",
		hostsAre(len(list.Hosts)), counted(ports, "port"), list.ID)
}

func hostsAre(n int) string {
	if n == 1 {
		return "1 host is"
	}
	return fmt.Sprintf("%d hosts are", n)
}
