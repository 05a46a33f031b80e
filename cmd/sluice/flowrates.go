package main

import (
	"fmt"
	"io"
	"sluice/controller/client"
	"time"

	"github.com/spf13/cobra"
)

// reading is what flows had counted at a time.
type reading struct {
	at   time.Time
	list []client.Flow
}

// showRates reads the chosen flows again and again, and writes the rates of those that counted
// between two readings, until the command is interrupted.
func (o *flowsFlags) showRates(cmd *cobra.Command, c *client.Client, hosts []string) error {
	w := cmd.OutOrStdout()
	var before reading
	for {
		list, err := o.read(cmd, c, hosts)
		if cmd.Context().Err() != nil {
			return nil // interrupted
		}
		if err != nil {
			return err
		}
		now := reading{time.Now(), list}
		if before.list != nil {
			if isTerminal(w) {
				fmt.Fprint(w, clearScreen)
			}
			writeRates(w, before, now, len(hosts) > 1)
		}
		before = now
		select {
		case <-cmd.Context().Done():
			return nil
		case <-time.After(o.every):
		}
	}
}

// clearScreen is ANSI's: to the upper left, and nothing below.
const clearScreen = "\x1b[H\x1b[J"

// flowKey tells flows of several hosts apart.
type flowKey struct{ host, text string }

// writeRates writes the flows that counted between two readings. A flow that is new, or was replaced,
// counts from its beginning.
func writeRates(w io.Writer, before, now reading, withHost bool) {
	was := map[flowKey]client.Flow{}
	for _, f := range before.list {
		was[flowKey{f.Host, f.Text}] = f
	}
	t := flowTable{withHost: withHost}
	seconds := now.at.Sub(before.at).Seconds()
	g := columns(t.with("host", "", []string{"table", "priority", "packets/s", "bytes/s", "owner", "flow"})...)
	counted := 0
	for _, f := range now.list {
		packets, bytes := since(f.Packets, was[flowKey{f.Host, f.Text}].Packets), since(f.Bytes, was[flowKey{f.Host, f.Text}].Bytes)
		if packets == 0 {
			continue
		}
		counted++
		g.row(t.with(f.Host, "", []string{
			tableOf(f), fmt.Sprint(f.Priority), rate(packets, seconds), rate(bytes, seconds), f.Owner, f.Words + noted(f.Note),
		})...)
	}
	fmt.Fprintf(w, "%s: %d of %d flows counted in %.1f s\n", now.at.Format(time.TimeOnly), counted, len(now.list), seconds)
	if counted > 0 {
		g.write(w)
	}
	fmt.Fprintln(w)
}

// since is how much was counted since a reading; a count that went back began anew.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

func rate(n uint64, seconds float64) string { return fmt.Sprintf("%.1f", float64(n)/seconds) }
