package main

import (
	"fmt"
	"io"
	"sluice/controller/client"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func schemaCommand() *cobra.Command {
	return group("schema", "Which versions may write the store",
		"  sluice schema show\n  sluice schema set 2", schemaShow(), schemaSet())
}

func schemaShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show which versions may write the store",
		Long: `Show which versions may write the store. Each version writes one schema, a number: the form of what etcd
holds. The store says the least that may write: agents and controllers that write a lesser one hold. They touch
nothing, and what they made goes on.`,
		Example: "  sluice schema show",
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		s, err := c.Schema(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), s, func(w io.Writer) { writeSchema(w, s) })
	})
}

func schemaSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NUMBER",
		Short: "Say which versions may write the store from now on",
		Long: `Say which versions may write the store from now on: those that write schema NUMBER or a greater one. It is the
last step of an upgrade, when all controllers and agents run the new version, and is refused while an older one is live.
Until then the way back is to run the old version again; afterwards it is to set the old NUMBER first.`,
		Example: "  sluice schema set 2",
		Args:    named("NUMBER"),
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		least, err := strconv.Atoi(args[0])
		if err != nil {
			return usagef("NUMBER %q: write it as 2", args[0])
		}
		s, err := c.SetSchema(cmd.Context(), least)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), s, func(w io.Writer) { writeSchema(w, s) })
	})
}

func writeSchema(w io.Writer, s client.Schema) {
	fmt.Fprintf(w, "schema %d and later may write; this controller writes schema %d\n", s.Least, s.Writes)
	if len(s.Away) > 0 {
		fmt.Fprintf(w, "not live, so not asked for their version: %s\n", strings.Join(s.Away, ", "))
	}
}
