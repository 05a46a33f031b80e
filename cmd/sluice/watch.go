package main

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice/controller/changes"
	"sluice/controller/client"
	"sluice/store"
)

func watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch [KIND...]",
		Short: "Show what changes, as it changes",
		Long: `Show what changes, as it changes: a line for each object that is put, which is that it is new or another than before, or
deleted, with the revision at which that happened. It begins with what is there. --after goes on after a revision
instead; the last changes are kept, and a revision before them is refused.

Kinds are tenants, networks, hosts, ports, gateways, peerings, published and stickies. Where the connection is lost the command
connects again and goes on where it was. -o json writes a line for each change, with the object as etcd holds it, and
bookmarks: revisions up to which all was told.`,
		Example: `  sluice watch
  sluice watch tenants networks --tenant alice
  sluice watch ports --after 4711 -o json`,
		ValidArgs: kindNames(),
		Args:      kinds,
	}
	var q client.WatchQuery
	cmd.Flags().StringVar(&q.Tenant, "tenant", "", "only this `TENANT`'s")
	completeFlag(cmd, "tenant", tenantNames)
	cmd.Flags().Int64Var((*int64)(&q.After), "after", 0, "go on after this `REVISION` (default: begin with what is there)")
	out := linesFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		for _, kind := range args {
			q.Kinds = append(q.Kinds, store.Kind(kind))
		}
		return eachUntilInterrupted(cmd, c.Watch(cmd.Context(), q), func(change client.Change) error { return writeChange(cmd.OutOrStdout(), change, *out) })
	})
}

// eachUntilInterrupted writes what a watch yields. That a command is interrupted is no error.
func eachUntilInterrupted[T any](cmd *cobra.Command, all iter.Seq2[T, error], write func(T) error) error {
	for one, err := range all {
		if err == nil {
			err = write(one)
		}
		switch {
		case cmd.Context().Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// kinds refuses what is no kind of object that may be watched.
func kinds(_ *cobra.Command, args []string) error {
	for _, kind := range args {
		if !slices.Contains(kindNames(), kind) {
			return fmt.Errorf("%q is no kind: watch some of %s", kind, strings.Join(kindNames(), ", "))
		}
	}
	return nil
}

func kindNames() (names []string) {
	for _, kind := range changes.Kinds() {
		names = append(names, string(kind))
	}
	return names
}

// linesFlag gives a command that writes line by line -o.
func linesFlag(cmd *cobra.Command) *format {
	f := formatFlag{new(format), []format{formatTable, formatJSON}}
	*f.chosen = formatTable
	cmd.Flags().VarP(f, "output", "o", "how to show it: `"+strings.Join(f.names(), "|")+"`")
	completeWords(cmd, "output", f.names()...)
	return f.chosen
}

// writeChange writes one line. People are shown no bookmarks.
func writeChange(w io.Writer, c client.Change, f format) error {
	if f == formatJSON {
		return json.NewEncoder(w).Encode(c)
	}
	if c.Event == client.EventBookmark {
		return nil
	}
	on := ""
	if c.Host != "" && c.Kind != store.KindHost {
		on = " on host " + c.Host
	}
	_, err := fmt.Fprintf(w, "%8d  %-6s  %s%s\n", c.Revision, c.Event, c.Key().Title(), on)
	return err
}
