package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"sluice/controller/api"
)

// flowsFlags say which flows to show.
type flowsFlags struct {
	hosts                    []string
	filter                   api.FlowFilter
	desired, installed, diff bool
}

func flowsCommand() *cobra.Command {
	var o flowsFlags
	cmd := &cobra.Command{
		Use:   "flows",
		Short: "Show the flows of the switches, each with the object that it serves",
		Long: `Show the flows of the switches, each with the object that it serves. The installed ones are
read from the switches now, with their counters; the desired ones are compiled from the state;
--diff shows what programming would change, and exits 1 when that is anything. A comment
behind a flow says what it counts, or why it refuses.`,
		Example: `  sluice flows --host h1
  sluice flows --host h1 --tenant alice --table classify
  sluice flows --port alice/default/a1 -o json
  sluice flows --diff`,
		Args: cobra.NoArgs,
	}
	o.register(cmd)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		return o.run(cmd, c, out)
	})
}

func (o *flowsFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&o.hosts, "host", nil, "only this `HOST`'s; may be repeated (default all)")
	f.StringVar(&o.filter.Tenant, "tenant", "", "only those that serve this `TENANT`")
	f.StringVar(&o.filter.Port, "port", "", "only this port's: `TENANT/NETWORK/NAME`")
	f.StringVar(&o.filter.Table, "table", "", "only this `TABLE`: its number or name")
	f.BoolVar(&o.installed, "installed", false, "what the switches hold (the default)")
	f.BoolVar(&o.desired, "desired", false, "what they should hold")
	f.BoolVar(&o.diff, "diff", false, "what programming would change")
	cmd.MarkFlagsMutuallyExclusive("installed", "desired", "diff")
	completeFlag(cmd, "host", hostNames)
	completeFlag(cmd, "tenant", tenantNames)
	completeFlag(cmd, "port", portNames)
}

func (o *flowsFlags) run(cmd *cobra.Command, c *api.Client, out *format) error {
	if err := o.checkFilter(); err != nil {
		return err
	}
	o.filter.View = o.view()
	hosts, err := o.chosenHosts(cmd.Context(), c)
	if err == nil && len(hosts) == 0 {
		err = o.namesSomething(cmd.Context(), c)
	}
	if err != nil {
		return err
	}
	list := []api.Flow{}
	for _, host := range hosts {
		of, problems, err := c.Flows(cmd.Context(), host, o.filter)
		if err != nil {
			return err
		}
		for _, p := range problems {
			cmd.PrintErrf("problem on %s: %s\n", host, p)
		}
		list = append(list, of...)
	}
	err = out.print(cmd.OutOrStdout(), list, func(w io.Writer) {
		if len(list) > 0 || !o.diff {
			writeFlows(w, list, len(hosts) > 1, o.diff)
			return
		}
		fmt.Fprintf(w, "no difference on %s\n", counted(len(hosts), "host"))
	})
	if err == nil && o.diff && len(list) > 0 {
		err = fmt.Errorf("%s not as desired on %s: the controller mends them when it next looks",
			counted(len(list), "flow"), joined(hostsOf(list)))
	}
	return err
}

// checkFilter refuses what no object can be called, and completes what was called in short.
func (o *flowsFlags) checkFilter() error {
	if o.filter.Table != "" {
		if _, err := api.TableID(o.filter.Table); err != nil {
			return usagef("--table: %w", err)
		}
	}
	if o.filter.Tenant != "" {
		if err := checkParts(o.filter.Tenant); err != nil {
			return err
		}
	}
	if o.filter.Port != "" {
		tenant, network, name, err := tenantNetworkPort(o.filter.Port)
		if err != nil {
			return err
		}
		o.filter.Port = strings.Join([]string{tenant, network, name}, "/")
	}
	return nil
}

// namesSomething refuses a tenant or a port that is not there. Where there are hosts, each answers so.
func (o *flowsFlags) namesSomething(ctx context.Context, c *api.Client) error {
	if o.filter.Tenant != "" {
		if _, err := c.Tenant(ctx, o.filter.Tenant); err != nil {
			return err
		}
	}
	if part := strings.Split(o.filter.Port, "/"); len(part) == 3 {
		_, err := c.Port(ctx, part[0], part[1], part[2])
		return err
	}
	return nil
}

func (o *flowsFlags) view() string {
	switch {
	case o.desired:
		return api.ViewDesired
	case o.diff:
		return api.ViewDiff
	}
	return api.ViewInstalled
}

func (o *flowsFlags) chosenHosts(ctx context.Context, c *api.Client) ([]string, error) {
	if len(o.hosts) > 0 {
		return o.hosts, nil
	}
	return hostNames(ctx, c)
}

// hostsOf are the hosts that flows are of, in their order.
func hostsOf(list []api.Flow) (hosts []string) {
	for _, f := range list {
		if len(hosts) == 0 || hosts[len(hosts)-1] != f.Host {
			hosts = append(hosts, f.Host)
		}
	}
	return hosts
}

// writeFlows writes a line a flow; the host and the change only where they tell something.
func writeFlows(w io.Writer, list []api.Flow, withHost, withChange bool) {
	p := painterFor(w)
	head := []string{"table", "priority", "packets", "bytes", "owner", "flow"}
	if withChange {
		head = append([]string{"change"}, head...)
	}
	if withHost {
		head = append([]string{"host"}, head...)
	}
	g := columns(head...)
	for _, f := range list {
		cells := []string{
			tableOf(f), fmt.Sprint(f.Priority),
			fmt.Sprint(f.Packets), fmt.Sprint(f.Bytes), f.Owner, brief(f.Text) + noted(f.Note),
		}
		if withChange {
			cells = append([]string{p.change(f.Change)}, cells...)
		}
		if withHost {
			cells = append([]string{f.Host}, cells...)
		}
		g.row(cells...)
	}
	g.write(w)
}

// tableOf is a table's number and name. One that is not ours has its number for a name.
func tableOf(f api.Flow) string {
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
	case "add":
		return p.paint(c, color.FgGreen)
	case "delete":
		return p.paint(c, color.FgRed)
	}
	return p.paint(c, color.FgYellow)
}
