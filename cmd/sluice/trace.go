package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"sluice/controller/api"
	"sluice/controller/client"
	"sluice/flows/trace"
)

// traceFlags say which packet to follow, and what to show of it.
type traceFlags struct {
	query   client.TraceQuery
	desired bool
	flows   bool
}

func traceCommand() *cobra.Command {
	var o traceFlags
	cmd := &cobra.Command{
		Use:   "trace FROM TO",
		Short: "Follow a packet through the switches, and say what becomes of it",
		Long: `Follow a packet through the switches, and say what becomes of it: host by host and table by
table, with the owner of the flow that decided. The flows are those that the switches hold now;
--desired takes those that they should hold, and --at those that they were to hold at a revision of etcd, as far as its
history goes.

FROM is a port, TENANT/NETWORK/PORT, or TENANT/PORT where one network alone has the name; or outside,
for the internet behind the gateway hosts, or an IPv4 address there. TO is a port or an address; from
outside it is a port, or a tenant's transit address. The packet is what FROM's kernel would send: it asks
for the MAC of its next hop first, and a question that nobody answers ends the trace.

The packet is the first of a new connection. With --state it is a later one (established), the answer
to a connection that TO opened (reply), an ICMP error about a packet of TO (related), or one of no
connection (invalid); the packets that lead there are walked before it. Connections that the
switches know are not looked at, nor how many packets a meter lets pass.

Exit status 0 says that there is an answer, whatever it is: see verdict in -o json, and complete, which is
false where the tables of a host are not known.`,
		Example: `  sluice trace alice/web-1 10.0.0.7 --proto tcp --dport 80
  sluice trace alice/default/web-1 alice/web-2 --flows
  sluice trace alice/web-1 10.0.0.7 --proto arp --desired
  sluice trace outside alice/web-1 --proto tcp --sport 443 --state reply -o json`,
		Args: named("FROM", "TO"),
	}
	o.register(cmd)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		return o.run(cmd, c, out, args)
	})
}

func (o *traceFlags) register(cmd *cobra.Command) {
	f, q := cmd.Flags(), &o.query
	f.StringVar(&q.Proto, "proto", "", "`PROTOCOL`: tcp, udp, icmp, arp (for IPv6: neighbour discovery), or a number (default icmp)")
	f.Uint16Var(&q.SrcPort, "sport", 0, "source `PORT` of tcp or udp (default 40000)")
	f.Uint16Var(&q.DstPort, "dport", 0, "destination `PORT` of tcp or udp (default 80)")
	f.Uint8Var(&q.TTL, "ttl", 0, "`TTL`, hop limit of IPv6 (default 64)")
	f.StringVar(&q.State, "state", "", "what it is to its connection: `new|established|reply|related|invalid` (default new)")
	f.BoolVar(&o.desired, "desired", false, "over the flows that the switches should hold")
	f.Int64Var((*int64)(&q.At), "at", 0, "over the flows that were desired at this `REVISION` (default now)")
	f.BoolVar(&o.flows, "flows", false, "show the flow that decided each step")
	completeWords(cmd, "proto", "tcp", "udp", "icmp", "arp")
	completeWords(cmd, "state", "new", "established", "reply", "related", "invalid")
	cmd.ValidArgsFunction = completeArg(portNames)
}

func (o *traceFlags) run(cmd *cobra.Command, c *client.Client, out *format, args []string) error {
	o.query.From, o.query.To, o.query.View = args[0], args[1], client.ViewInstalled
	if o.desired {
		o.query.View = client.ViewDesired
	}
	if o.query.At < 0 {
		return usagef("--at %d: revisions begin at 1", o.query.At)
	}
	if err := api.Question(&o.query).Check(); err != nil {
		return usageError{err}
	}
	t, err := c.Trace(cmd.Context(), o.query)
	if err != nil {
		return err
	}
	return out.print(cmd.OutOrStdout(), t, func(w io.Writer) { o.write(w, t) })
}

func (o *traceFlags) write(w io.Writer, t client.Trace) {
	over := "the switches " + yesNo(t.View == client.ViewDesired, "should hold", "hold now")
	if t.At > 0 {
		over = fmt.Sprint("were desired at revision ", t.At)
	}
	fmt.Fprintf(w, "%s\n%s, over the flows that %s\n\n", t.Asked(), t.State.Words(), over)
	for _, before := range t.Before {
		fmt.Fprintf(w, "before it, %s: %s\n", before.About, before.Ending())
	}
	if len(t.Before) > 0 {
		fmt.Fprintln(w)
	}
	o.writeSteps(w, t.Hops)
	fmt.Fprintf(w, "\n%s\n", painterFor(w).answer(t.Verdict, t.Text))
	if t.Allow != "" {
		fmt.Fprintf(w, "what would let it pass: %s\n", t.Allow)
	}
	for _, note := range t.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	for _, tables := range t.Tables {
		if tables.Problem != "" && !strings.Contains(t.Text, tables.Problem) {
			fmt.Fprintf(w, "note: tables of %s: %s\n", tables.Host, tables.Problem)
		}
	}
}

func (o *traceFlags) writeSteps(w io.Writer, hops []trace.Hop) {
	head := []string{"host", "table", "owner", "what it did"}
	if o.flows {
		head = append(head, "flow")
	}
	g := columns(head...)
	row := func(cells ...string) { g.row(cells[:len(head)]...) }
	for _, h := range hops {
		row(h.Host, "", "", h.From+": "+h.Packet, "")
		for _, s := range h.Steps {
			table := fmt.Sprintf("%s%d %s", strings.Repeat(" ", 2*s.Depth), s.Table, s.TableName)
			row(h.Host, table, s.Owner, s.What(), brief(cmp.Or(s.Flow, " actions=")))
		}
		if h.Problem != "" {
			row(h.Host, "", "", h.Problem, "")
		}
	}
	g.write(w)
}

// answer paints what became of a packet.
func (p painter) answer(v trace.Verdict, text string) string {
	switch v {
	case trace.Delivered, trace.Answered, trace.Left:
		return p.paint(text, color.FgGreen)
	case trace.Dropped:
		return p.paint(text, color.FgRed)
	}
	return p.paint(text, color.FgYellow)
}
