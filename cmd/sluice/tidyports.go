package main

import (
	"fmt"
	"io"
	"sluice/controller/client"

	"github.com/spf13/cobra"
)

func tidyPorts() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ports",
		Short: "List, or remove, ports that cannot be read, of hosts without an agent",
		Long: `List ports whose value in etcd somebody spoilt, on hosts whose agent does not run. They count as absent
and are kept: whoever spoilt one may put it right, and on a host whose agent runs "sluice port detach"
removes it with its interface. With --yes and the ID under the list they are removed. The word is for just
what was listed, once: if others came, or one was written anew, nothing is removed. With -o json the answer
has each key with its value (in base64), as etcd held it: with these "etcdctl put" brings it back.`,
		Example: "  sluice tidy ports -o json\n  sluice tidy ports --yes 0a1b2c3d4e5f",
		Args:    cobra.NoArgs,
	}
	out, id := outputFlag(cmd), yesFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		if cmd.Flags().Changed("yes") {
			removed, err := c.RemoveUnreadable(cmd.Context(), *id)
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), removed, func(w io.Writer) { fmt.Fprintf(w, "%s removed\n", counted(len(removed.Ports), "port")) })
		}
		list, err := c.UnreadablePorts(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeUnreadable(w, list) })
	})
}

func writeUnreadable(w io.Writer, list client.UnreadablePorts) {
	if len(list.Ports) == 0 {
		fmt.Fprintln(w, "nothing is left over: each port can be read, or its host's agent runs")
		return
	}
	g := columns("host", "port", "since revision", "why")
	for _, p := range list.Ports {
		g.row(p.Host, p.Tenant+"/"+p.Network+"/"+p.Name, fmt.Sprint(p.Modified), p.Why)
	}
	g.write(w)
	if list.More {
		fmt.Fprintln(w, "\nThere are more: these come first.")
	}
	fmt.Fprintf(w, "\n%s cannot be read. To keep a copy, and remove them:\n  sluice tidy ports -o json > ports.json\n  sluice tidy ports --yes %s\n",
		counted(len(list.Ports), "port"), list.ID)
}
