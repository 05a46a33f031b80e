package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/controller/client"
	"sluice/store"
)

func tenantCommand() *cobra.Command {
	return group("tenant", "Tenants: units of isolation, counters and quota",
		"  sluice tenant create alice --subnet 10.0.0.0/24\n  sluice tenant list",
		tenantCreate(), tenantSet(), tenantList(), tenantShow(), tenantDelete())
}

func tenantCreate() *cobra.Command {
	spec := client.TenantSpec{}
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a tenant and its network default",
		Example: `  sluice tenant create alice
  sluice tenant create bob --subnet 10.0.0.0/24 --subnet fd00::/64 --segmentation vlan --gateway h2
  sluice tenant create job17 --ttl 2h  # goes by itself once it had no port for two hours`,
		Args: named("NAME"),
	}
	f := cmd.Flags()
	f.StringArrayVar(&spec.Subnets, "subnet", nil, "`CIDR` of the network default; may be repeated (default 10.0.0.0/24)")
	f.StringVar(&spec.Segmentation, "segmentation", "", "how the network default is marked on the wire: `tunnel|vlan` (default tunnel)")
	f.StringVar(&spec.Gateway, "gateway", "", "through which host egress leaves: `auto|central|HOST` (default auto)")
	f.StringSliceVar(&spec.Hosts, "hosts", nil, "`HOST`s that the tenant may use, with commas (default all)")
	excludeFlag(f, &spec.Exclude)
	f.StringVar(&spec.Topology, "topology", "", topologyUsage+" (default direct)")
	f.DurationVar(&ttl, "ttl", 0, "`TIME` without ports after which the tenant is removed with its networks, such as 2h (default never)")
	limitFlags(f, &spec.Limits)
	labelFlag(cmd, (*map[string]string)(&spec.Labels))
	completeWords(cmd, "segmentation", "tunnel", "vlan")
	completeWords(cmd, "topology", "direct", "star")
	completeFlag(cmd, "gateway", hostNames)
	completeFlag(cmd, "hosts", hostNames)
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		spec.Name = args[0]
		if cmd.Flags().Changed("ttl") {
			spec.TTL = ttl.String()
		}
		t, err := c.CreateTenant(cmd.Context(), spec)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), t, func(w io.Writer) {
			fmt.Fprintf(w, "tenant %s created with network %s\n", t.Name, t.Name+"/"+joined(t.Networks))
		})
	})
}

const topologyUsage = "which way frames between its hosts go: `direct|star`, from host to host or by its gateway host"

// limitFlags are the flags of a tenant's limits.
func limitFlags(f *pflag.FlagSet, l *store.Limits) {
	f.IntVar(&l.Ports, "max-ports", 0, "`NUMBER` of ports that the tenant may have at most (default no limit)")
	f.IntVar(&l.Connections, "limit-connections", 0, fmt.Sprintf("`NUMBER` of connections through its gateway host at one time (default %d)", store.DefaultConnections))
	f.IntVar(&l.Broadcasts, "limit-broadcasts", 0, fmt.Sprintf("`NUMBER` of broadcast and multicast frames a second from its ports on one host (default %d)", store.DefaultBroadcasts))
	f.IntVar(&l.NewPorts, "limit-new-ports", 0, fmt.Sprintf("`NUMBER` of ports made a second on one host (default %d)", store.DefaultNewPorts))
	f.IntVar(&l.Questions, "limit-questions", 0, fmt.Sprintf("`NUMBER` of questions for names that a host answers a second, a fifth of them by servers outside (default %d)", store.DefaultQuestions))
	for _, rate := range rateLimits(l) {
		f.Uint32Var(rate.is, "limit-"+rate.name, 0, "`KILOBITS` a second that "+rate.about+" (default no limit)")
	}
}

// rateLimit is one of a tenant's limits of kilobits a second.
type rateLimit struct {
	name, about, short string
	is                 *uint32
}

func rateLimits(l *store.Limits) []rateLimit {
	return []rateLimit{
		{"egress-kbps", "all its containers together send out by its gateway host", "out", &l.EgressKbps},
		{"ingress-kbps", "come back to them by it", "in", &l.IngressKbps},
		{"port-egress-kbps", "each of its ports sends", "from a port", &l.PortEgressKbps},
		{"port-ingress-kbps", "each of its ports gets", "to a port", &l.PortIngressKbps},
	}
}

func tenantSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Change the limits and the topology of a tenant",
		Long: "Changes those limits of a tenant that are given; 0 stands for the default. It takes nothing away: what the\n" +
			"tenant has beyond a new limit it keeps. With --topology frames between its hosts go another way, from about\n" +
			"two seconds later on; none is lost.",
		Example: `  sluice tenant set alice --limit-connections 4096
  sluice tenant set alice --max-ports 100 --limit-new-ports 0
  sluice tenant set alice --limit-egress-kbps 50000 --limit-port-egress-kbps 10000
  sluice tenant set alice --topology star`,
		Args:              named("NAME"),
		ValidArgsFunction: completeArg(tenantNames),
	}
	var said store.Limits
	var topology string
	limitFlags(cmd.Flags(), &said)
	cmd.Flags().StringVar(&topology, "topology", "", topologyUsage)
	completeWords(cmd, "topology", "direct", "star")
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		limited, turned := slices.ContainsFunc(limitNames, cmd.Flags().Changed), cmd.Flags().Changed("topology")
		if !limited && !turned {
			return usagef("say which limit: --%s, or --topology", strings.Join(limitNames, ", --"))
		}
		if t := store.Topology(topology); turned && (t == "" || t.Validate() != nil) {
			return usagef("topology %q: it is direct or star", topology)
		}
		t, err := c.Tenant(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if turned {
			if t, err = c.SetTopology(cmd.Context(), args[0], store.Topology(topology)); err != nil {
				return err
			}
		}
		if limited {
			if t, err = c.SetLimits(cmd.Context(), args[0], withChanged(cmd.Flags(), t.Limits, said)); err != nil {
				return err
			}
		}
		return out.print(cmd.OutOrStdout(), t, func(w io.Writer) { writeSet(w, t, limited, turned) })
	})
}

// writeSet tells what of a tenant was changed.
func writeSet(w io.Writer, t client.Tenant, limited, turned bool) {
	if limited {
		ports := "any number of ports"
		if t.Limits.Ports > 0 {
			ports = fmt.Sprintf("%d ports", t.Limits.Ports)
		}
		fmt.Fprintf(w, "tenant %s may have %s, %s\n", t.Name, ports, limits(t.Limits))
	}
	if turned {
		fmt.Fprintf(w, "tenant %s has the topology %s\n", t.Name, topologyWords(t))
	}
}

// topologyWords are a tenant's topology, and how far it is.
func topologyWords(t client.Tenant) string {
	topology, by := t.Topology.OrDirect(), t.GatewayHost
	switch star := topology == store.TopologyStar; {
	case star && by == "":
		return "star, but it has no gateway host yet: frames between its hosts go directly"
	case star && t.Relay != store.RelayOn:
		return fmt.Sprintf("star: frames between its hosts go directly until all hosts know that %s relays them", by)
	case star:
		return fmt.Sprintf("star: frames between its hosts go by %s", by)
	case t.Relay != "":
		return fmt.Sprintf("direct, but some hosts may still send by %s", by)
	}
	return "direct"
}

// limitNames are the flags of limitFlags.
var limitNames = []string{"max-ports", "limit-connections", "limit-broadcasts", "limit-new-ports", "limit-questions",
	"limit-egress-kbps", "limit-ingress-kbps", "limit-port-egress-kbps", "limit-port-ingress-kbps"}

// withChanged are limits with those changed whose flags were given.
func withChanged(f *pflag.FlagSet, is, said store.Limits) store.Limits {
	for name, change := range map[string]func(){
		"max-ports":         func() { is.Ports = said.Ports },
		"limit-connections": func() { is.Connections = said.Connections },
		"limit-broadcasts":  func() { is.Broadcasts = said.Broadcasts },
		"limit-new-ports":   func() { is.NewPorts = said.NewPorts },
		"limit-questions":   func() { is.Questions = said.Questions },
	} {
		if f.Changed(name) {
			change()
		}
	}
	rates := rateLimits(&said)
	for i, rate := range rateLimits(&is) {
		if f.Changed("limit-" + rate.name) {
			*rate.is = *rates[i].is
		}
	}
	return is
}

func tenantList() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List tenants",
		Example: "  sluice tenant list\n  sluice tenant list -o json",
		Args:    cobra.NoArgs,
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Tenants(cmd.Context())
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), list, func(w io.Writer) { writeTenants(w, list) })
	})
}

func writeTenants(w io.Writer, list []client.Tenant) {
	g := columns("name", "number", "gateway", "through", "networks", "ports")
	for _, t := range list {
		g.row(t.Name, fmt.Sprint(t.Number), t.Gateway, t.GatewayHost, joined(t.Networks), fmt.Sprint(t.Ports))
	}
	g.write(w)
}

func tenantShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "show NAME",
		Short:             "Show a tenant",
		Example:           "  sluice tenant show alice",
		Args:              named("NAME"),
		ValidArgsFunction: completeArg(tenantNames),
	}
	out := outputFlag(cmd)
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		t, err := c.Tenant(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), t, func(w io.Writer) { writeTenant(w, t) })
	})
}

func writeTenant(w io.Writer, t client.Tenant) {
	through := t.GatewayHost
	if through == "" {
		through = "no host yet"
	}
	transit := "none yet: it gets one with its first container"
	if t.Transit.IsValid() {
		transit = t.Transit.String()
	}
	hosts := joined(t.Hosts)
	if hosts == "" {
		hosts = "all"
	}
	about := []string{
		"Tenant", t.Name,
		"Number", fmt.Sprint(t.Number),
		"Gateway", fmt.Sprintf("%s (through %s)", t.Gateway, through),
		"Transit address", transit,
		"Topology", topologyWords(t),
		"Networks", joined(t.Networks),
		"Ports", limited(t.Ports, t.Limits.Ports),
		"Limits", limits(t.Limits),
		"Uses", uses(t.Usage),
		"Refused", refusals(t.Usage),
		"Hosts allowed", hosts,
		"Labels", pairs(t.Labels),
		"Created", fmt.Sprintf("revision %d", t.Created),
	}
	if t.TTL > 0 {
		about = append(about, "Ends", ends(t))
	}
	facts(w, about...)
}

// ends is when a tenant ends by itself, in words.
func ends(t client.Tenant) string {
	if t.Ends == nil {
		return fmt.Sprintf("when it had no port for %s", t.TTL)
	}
	return fmt.Sprintf("at %s, if it gets no port until then", t.Ends.UTC().Format("2006-01-02 15:04:05 UTC"))
}

// limits are a tenant's limits in words, those that it says itself and the defaults.
func limits(l store.Limits) string {
	text := fmt.Sprintf("%d connections; a second on a host %d broadcasts, %d new ports and %d questions for names",
		l.MaxConnections(), l.MaxBroadcasts(), l.MaxNewPorts(), l.MaxQuestions())
	var rates []string
	for _, rate := range rateLimits(&l) {
		if *rate.is > 0 {
			rates = append(rates, fmt.Sprintf("%d %s", *rate.is, rate.short))
		}
	}
	if len(rates) > 0 {
		text += "; kbit/s " + strings.Join(rates, ", ")
	}
	return text
}

// uses is what a tenant uses of its limits, in words.
func uses(u *client.TenantUsage) string {
	if u == nil {
		return "unknown"
	}
	return fmt.Sprintf("%d connections (%d in the kernel)", u.Connections, u.KernelConnections)
}

// refusals are what a tenant's limits refused, in words.
func refusals(u *client.TenantUsage) string {
	if u == nil {
		return "unknown"
	}
	var all []string
	for _, r := range []struct {
		n    uint64
		what string
	}{
		{u.ConnectionDrops, "packets of new connections in the switch"},
		{u.KernelDrops, "packets of new connections in the kernel"},
		{u.BroadcastDrops, "broadcasts"},
		{u.RateDrops, "packets beyond its kilobits a second"},
		{u.PortsRefused, "attaches beyond its number of ports"},
		{u.NewPortsRefused, "attaches beyond its new ports a second"},
		{u.QuestionsRefused, "questions for names"},
	} {
		if r.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", r.n, r.what))
		}
	}
	text := cmp.Or(strings.Join(all, ", "), "nothing")
	if u.HostsNotRead > 0 {
		text += fmt.Sprintf(" (without the switches of %d hosts that other controllers program)", u.HostsNotRead)
	}
	return text
}

// limited is a number beside its bound, where it has one.
func limited(n, limit int) string {
	if limit == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d of %d", n, limit)
}

func tenantDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "delete NAME",
		Aliases:           []string{"rm"},
		Short:             "Delete a tenant that has no ports",
		Example:           "  sluice tenant delete bob",
		Args:              named("NAME"),
		ValidArgsFunction: completeArg(tenantNames),
	}
	return clientCommand(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if _, err := c.DeleteTenant(cmd.Context(), args[0]); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "tenant %s deleted\n", args[0])
		return nil
	})
}

// tenantAndNetwork reads TENANT/NETWORK.
func tenantAndNetwork(arg string) (tenant, network string, err error) {
	parts := strings.Split(arg, "/")
	if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
		return "", "", usagef("network %q: write it as TENANT/NAME", arg)
	}
	return parts[0], parts[1], checkParts(parts...)
}
