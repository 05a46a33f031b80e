package main

import (
	"fmt"
	"io"
	"sluice/controller/client"
	"strings"

	"github.com/fatih/color"
)

// Formats that only flows have.
const (
	formatWide  format = "wide"  // the table, with ovs-ofctl's text beside the words
	formatOfctl format = "ofctl" // as ovs-ofctl dump-flows prints them
)

// flowTable says which columns a table of flows has besides those that it always has.
type flowTable struct{ withHost, withChange, withText, withoutCounts bool }

// write writes a line a flow.
func (t flowTable) write(w io.Writer, list []client.Flow) {
	p := painterFor(w)
	g := columns(t.with("host", "change", t.counts([]string{"table", "priority"}, "packets", "bytes", "owner", "flow"))...)
	for _, f := range list {
		words := f.Words + noted(f.Note)
		if t.withText {
			words += "\n" + brief(f.Text)
		}
		g.row(t.with(f.Host, p.change(f.Change), t.counts([]string{tableOf(f), fmt.Sprint(f.Priority)},
			fmt.Sprint(f.Packets), fmt.Sprint(f.Bytes), f.Owner, words))...)
	}
	g.write(w)
}

// counts adds cells to those before them: packets and bytes, where the table has them, then the rest.
func (t flowTable) counts(cells []string, packets, bytes string, rest ...string) []string {
	if !t.withoutCounts {
		cells = append(cells, packets, bytes)
	}
	return append(cells, rest...)
}

// with puts the host and the change before the cells of a row, where the table has them.
func (t flowTable) with(host, change string, cells []string) []string {
	var before []string
	if t.withHost {
		before = append(before, host)
	}
	if t.withChange {
		before = append(before, change)
	}
	return append(before, cells...)
}

// writeDump writes flows as ovs-ofctl dump-flows prints them, each host's below a comment with its name.
func writeDump(w io.Writer, list []client.Flow, withHost bool) {
	host := ""
	for _, f := range list {
		if withHost && f.Host != host {
			host = f.Host
			fmt.Fprintf(w, "# %s\n", host)
		}
		fmt.Fprintln(w, dumpLine(f))
	}
}

// dumpLine is a flow as ovs-ofctl dump-flows prints it; one that is not installed, as add-flows takes it.
func dumpLine(f client.Flow) string {
	if f.Age == "" {
		return " " + f.Text
	}
	rest := f.Text
	for _, before := range []string{"cookie=", "table="} { // ovs-ofctl writes both of every flow
		if strings.HasPrefix(rest, before) {
			_, rest, _ = strings.Cut(rest, ", ")
		}
	}
	cookie := strings.TrimLeft(strings.TrimPrefix(f.Cookie, "0x"), "0")
	if cookie == "" {
		cookie = "0"
	}
	return fmt.Sprintf(" cookie=0x%s, duration=%s, table=%d, n_packets=%d, n_bytes=%d, %s",
		cookie, f.Age, f.Table, f.Packets, f.Bytes, rest)
}

// tableOf is a table's number and name. One that is not ours has its number for a name.
func tableOf(f client.Flow) string {
	number := fmt.Sprint(f.Table)
	if f.TableName == number {
		return number
	}
	return number + " " + f.TableName
}

// noted is a note behind a flow, as a comment.
func noted(note string) string {
	if note == "" {
		return ""
	}
	return "  # " + note
}

// brief drops from a flow's text what stands in columns of its own.
func brief(text string) string {
	match, actions, _ := strings.Cut(text, " actions=")
	var kept []string
	for _, field := range strings.Split(match, ",") {
		field = strings.TrimSpace(field)
		field = field[strings.LastIndexByte(field, ' ')+1:] // flags stand before it
		name, _, _ := strings.Cut(field, "=")
		switch name {
		case "", "cookie", "table", "priority":
		default:
			kept = append(kept, field)
		}
	}
	if len(kept) == 0 {
		kept = []string{"any"}
	}
	return strings.Join(kept, ",") + " actions=" + actions
}

func (p painter) change(c string) string {
	switch c {
	case "":
		return ""
	case "add":
		return p.paint(c, color.FgGreen)
	case "delete":
		return p.paint(c, color.FgRed)
	}
	return p.paint(c, color.FgYellow)
}
