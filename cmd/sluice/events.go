package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/client"
	"sluice/controller/events"
	"sluice/store"
)

func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened to the cluster",
		Long: `Show what happened to the cluster, the last at the end: gateways that moved, and why; hosts that fell behind, and came
back; drift that was mended; attaches that were refused; who changed what by the API. The controllers keep the last
` + fmt.Sprint(events.Most) + ` events, for a week. What happens again within 10 minutes of the last time, and reads the same, is the same event
with a larger count.

--kind takes kinds, and groups of them: host is all that begin with host-. A * marks what somebody may have
to do something about. --watch goes on with what happens, a line each time, until it is interrupted.`,
		Example: `  sluice events --since 1h
  sluice events --kind gateway,host --host h2
  sluice events --watch --tenant alice -o json`,
		Args: cobra.NoArgs,
	}
	var filter client.EventFilter
	var watch bool
	f := cmd.Flags()
	f.StringVar(&filter.Tenant, "tenant", "", "only this `TENANT`'s")
	completeFlag(cmd, "tenant", tenantNames)
	f.StringVar(&filter.Host, "host", "", "only of this `HOST`")
	completeFlag(cmd, "host", hostNames)
	f.StringSliceVar(&filter.Kinds, "kind", nil, "only of these `KIND`s, with commas")
	completeWords(cmd, "kind", whatNames()...)
	f.StringVar(&filter.Since, "since", "", "only what happened since: a `TIME` before now such as 1h, or one such as 2026-01-02T15:04:05Z (default all that is kept)")
	f.BoolVar(&watch, "watch", false, "go on with what happens, until interrupted")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		if watch {
			return watchEvents(cmd, c, filter, *out)
		}
		list, err := c.Events(cmd.Context(), filter, 0)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeEvents(w, list) })
	})
}

func whatNames() (names []string) {
	for _, w := range store.Whats() {
		names = append(names, string(w))
	}
	return names
}

// watchEvents writes a line each time that something happens.
func watchEvents(cmd *cobra.Command, c *client.Client, filter client.EventFilter, f format) error {
	if f == formatYAML {
		return usagef("--watch writes lines: with -o table or json")
	}
	return eachUntilInterrupted(cmd, c.WatchEvents(cmd.Context(), filter), func(h client.Happened) error { return writeEvent(cmd.OutOrStdout(), h, f) })
}

func writeEvents(w io.Writer, list []client.Happened) {
	g := columns("last (UTC)", "count", "kind", "object", "what")
	for _, h := range list {
		g.row(lastOf(h), fmt.Sprint(h.Count), marked(h), h.Object, wordsOf(h))
	}
	g.write(w)
}

// writeEvent writes one event as a line.
func writeEvent(w io.Writer, h client.Happened, f format) error {
	if f == formatJSON {
		return json.NewEncoder(w).Encode(h)
	}
	_, err := fmt.Fprintf(w, "%s  %3d  %-20s  %s: %s\n", lastOf(h), h.Count, marked(h), h.Object, wordsOf(h))
	return err
}

func lastOf(h client.Happened) string { return h.Last.UTC().Format(time.DateTime) }

func marked(h client.Happened) string {
	if h.Warning {
		return string(h.What) + "*"
	}
	return string(h.What)
}

// wordsOf is what happened, in one line.
func wordsOf(h client.Happened) string {
	text := h.Text
	if h.Detail != "" {
		text += ": " + h.Detail
	}
	if h.Who != "" {
		text += ", by " + h.Who
	}
	return strings.ReplaceAll(text, "\n", " ")
}
