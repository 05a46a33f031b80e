package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/controller/api"
	"sluice/controller/client"
)

// flowsFlags say which flows to show.
type flowsFlags struct {
	hosts                    []string
	filter                   client.FlowFilter
	desired, installed, diff bool
	watch                    bool
	past                     pastFlags
	every                    time.Duration
}

func flowsCommand() *cobra.Command {
	var o flowsFlags
	cmd := &cobra.Command{
		Use:   "flows [--between REVISION REVISION]",
		Short: "Show the flows of the switches, each with the object that it serves",
		Long: `Show the flows of the switches, each with the object that it serves. The installed ones are
read from the switches now, with their counters; the desired ones are compiled from the state;
--diff shows what programming would change, and exits 1 when that is anything. Of a switch
that has no session with the controller the installed ones are those that a controller read last, and a line says which and how old they are. A comment
behind a flow says what it counts, or why it refuses.

A flow is told in the cluster's words: which frames it takes, and what becomes of them. What has no
words stands as ovs-ofctl writes it, so that nothing is left out. -o wide shows ovs-ofctl's text beside it,
and -o ofctl that alone, line by line as ovs-ofctl dump-flows prints it.

--at shows what was desired at a revision of etcd, and --between what changed from one to another, or to now: each flow that came, went
or is another one, and whose it is. They go as far back as etcd's history: the embedded one keeps that for
--keep-history of sluice controller. Hosts that were deleted since are shown too. sluice watch and the audit log say which change was at which revision.

--packet takes a match as ovs-ofctl writes it, and shows the flows that may take such a packet; what it does not
say may be anything. --watch reads the switches again and again, and shows the rates of the flows that count
meanwhile.`,
		Example: `  sluice flows --host h1
  sluice flows --host h1 --tenant alice --table classify
  sluice flows --port alice/default/a1 -o json
  sluice flows --host h1 --packet ip,nw_dst=10.0.0.7 -o wide
  sluice flows --owner peer --reason unknown-vtep
  sluice flows --diff
  sluice flows --host h1 --at 4711
  sluice flows --between 4700 4711 --tenant alice`,
		Args: o.past.arguments,
	}
	o.register(cmd)
	out := outputFlag(cmd, formatWide, formatOfctl)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if err := o.past.choose(cmd, args, &o.filter); err != nil {
			return err
		}
		return o.run(cmd, c, *out)
	})
}

func (o *flowsFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&o.hosts, "host", nil, "only this `HOST`'s; may be repeated (default all)")
	f.StringVar(&o.filter.Tenant, "tenant", "", "only those that serve this `TENANT`")
	f.StringVar(&o.filter.Network, "network", "", "only this network's and its ports': `TENANT/NETWORK`")
	f.StringVar(&o.filter.Port, "port", "", "only this port's: `TENANT/NETWORK/NAME`")
	f.StringVar(&o.filter.Table, "table", "", "only this `TABLE`: its number or name")
	f.StringVar(&o.filter.Owner, "owner", "", "only those of this `OWNER`, or of owners of this kind: base, peer, tenant, network, port")
	f.StringVar(&o.filter.Reason, "reason", "", "only those that refuse for this `REASON`, or count what was")
	f.StringVar(&o.filter.Packet, "packet", "", "only those that may take such a packet: a `MATCH`")
	f.BoolVar(&o.watch, "watch", false, "show the rates of those that count, until interrupted")
	f.DurationVar(&o.every, "every", 2*time.Second, "for --watch: how much `TIME` between two readings")
	f.BoolVar(&o.installed, "installed", false, "what the switches hold (the default)")
	f.BoolVar(&o.desired, "desired", false, "what they should hold")
	f.BoolVar(&o.diff, "diff", false, "what programming would change")
	o.past.register(cmd)
	cmd.MarkFlagsMutuallyExclusive("installed", "desired", "diff")
	cmd.MarkFlagsMutuallyExclusive("watch", "desired", "diff")
	completeFlag(cmd, "host", hostNames)
	completeFlag(cmd, "tenant", tenantNames)
	completeFlag(cmd, "network", networkNames)
	completeFlag(cmd, "port", portNames)
}

func (o *flowsFlags) run(cmd *cobra.Command, c *client.Client, out format) error {
	if err := o.check(out); err != nil {
		return err
	}
	hosts, err := o.chosenHosts(cmd.Context(), c)
	if err == nil && len(hosts) == 0 && !o.past.asked {
		err = o.namesSomething(cmd.Context(), c)
	}
	if err != nil {
		return err
	}
	if o.watch {
		return o.showRates(cmd, c, hosts)
	}
	list, err := o.read(cmd, c, hosts)
	if err != nil {
		return err
	}
	err = out.print(cmd.OutOrStdout(), list, func(w io.Writer) { o.write(w, list, hosts, out) })
	if err == nil && o.diff && len(list) > 0 {
		err = fmt.Errorf("%s not as desired on %s: the controller mends them when it next looks",
			counted(len(list), "flow"), joined(hostsOf(list)))
	}
	return err
}

// read reads the chosen flows of hosts, and tells the problems of what is compiled.
func (o *flowsFlags) read(cmd *cobra.Command, c *client.Client, hosts []string) ([]client.Flow, error) {
	o.filter.View = o.view()
	list := []client.Flow{}
	var skipped []error
	for _, host := range hosts {
		of, problems, err := c.Flows(cmd.Context(), host, o.filter)
		if o.past.asked && len(o.hosts) == 0 && isNotFound(err) { // it was not there yet
			skipped = append(skipped, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, p := range problems {
			cmd.PrintErrf("problem on %s: %s\n", host, p)
		}
		list = append(list, of...)
	}
	if len(skipped) > 0 && len(skipped) == len(hosts) {
		return nil, skipped[0]
	}
	return list, nil
}

// write writes flows for people, or as ovs-ofctl does.
func (o *flowsFlags) write(w io.Writer, list []client.Flow, hosts []string, out format) {
	switch {
	case out == formatOfctl:
		writeDump(w, list, len(hosts) > 1)
	case len(list) == 0 && (o.diff || o.past.between > 0):
		fmt.Fprintf(w, "no difference on %s\n", counted(len(hosts), "host"))
	default:
		flowTable{withHost: len(hosts) > 1, withChange: o.diff || o.past.between > 0, withText: out == formatWide}.write(w, list)
	}
}

// check refuses what no object can be called, completes what was called in short, and refuses flags
// that do not go together.
func (o *flowsFlags) check(out format) error {
	switch {
	case o.watch && out != formatTable && out != formatWide:
		return usagef("--watch writes a table for people: leave -o %s out, or read the counters twice", out)
	case o.watch && o.every <= 0:
		return usagef("--every %s: it is a time above 0", o.every)
	case o.filter.Packet != "":
		if _, err := api.PacketMatch(o.filter.Packet); err != nil {
			return usagef("--packet: %w", err)
		}
	}
	return o.checkFilter()
}

// checkFilter refuses what no object can be called, and completes what was called in short.
func (o *flowsFlags) checkFilter() error {
	if err := checkParts(o.hosts...); err != nil {
		return err
	}
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
	if o.filter.Network != "" {
		if _, _, err := tenantAndNetwork(o.filter.Network); err != nil {
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

// namesSomething refuses a tenant, a network or a port that is not there. Where there are hosts, each answers so.
func (o *flowsFlags) namesSomething(ctx context.Context, c *client.Client) error {
	if o.filter.Tenant != "" {
		if _, err := c.Tenant(ctx, o.filter.Tenant); err != nil {
			return err
		}
	}
	if tenant, network, two := strings.Cut(o.filter.Network, "/"); two {
		if _, err := c.Network(ctx, tenant, network); err != nil {
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
		return client.ViewDesired
	case o.diff:
		return client.ViewDiff
	}
	return client.ViewInstalled
}

func (o *flowsFlags) chosenHosts(ctx context.Context, c *client.Client) ([]string, error) {
	if o.past.asked && len(o.hosts) == 0 {
		return o.past.hosts(ctx, c)
	}
	if len(o.hosts) > 0 {
		return o.hosts, nil
	}
	return hostNames(ctx, c)
}

// hostsOf are the hosts that flows are of, in their order.
func hostsOf(list []client.Flow) (hosts []string) {
	for _, f := range list {
		if len(hosts) == 0 || hosts[len(hosts)-1] != f.Host {
			hosts = append(hosts, f.Host)
		}
	}
	return hosts
}
