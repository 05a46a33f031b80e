package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/flows"
	"sluice/hostagent"
	agentapi "sluice/hostagent/api"
	"sluice/hostagent/docker"
	"sluice/pki/join"
	"sluice/store/etcd"
)

// agentFlags are the command line of sluice agent.
type agentFlags struct {
	options        hostagent.Options
	vtep           string
	probeOutside   string
	infrastructure []string
	check          bool
	etcd           etcdFlags
	pki            pkiFlags
	docker         string
	entry          entryFlags
	join           string
	cluster        join.Cluster // that this machine joined; zero: none
	fresh          bool         // it joined just now
	pprof          pprofFlag
	log            logFlags
}

func agentCommand() *cobra.Command {
	var o agentFlags
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run a host's agent: it attaches containers",
		Long: `Run the agent of this host. It registers the host, makes the bridge br-int with its tunnel port,
attaches containers, and runs the kernel's side of gateways. What it made stays when it stops.

The agent and its switch prove with the certificate below --pki that they are this host. Without one they
speak with this machine alone, or, with --insecure, in the clear with whoever is there. With --join the host
gets its certificate, and learns where etcd and the controllers are; it renews the certificate by itself.

Each flag may stand in /etc/sluice/agent.yaml, under its name, and in the environment: --vtep as $SLUICE_AGENT_VTEP.
A flag goes before the environment, and that before the file.`,
		Example: `  sluice agent --host h1 --vtep 192.0.2.21 --etcd-endpoints https://192.0.2.1:2379 --controllers ssl:192.0.2.1:6653
  sluice agent --host h2 --vtep 192.0.2.22 --etcd-endpoints https://192.0.2.1:2379 --controllers ssl:192.0.2.1:6653 --gateway --uplink eth0
  sluice agent --vtep 192.0.2.23 --join sluice-join.eyJob3N0IjoiaDMi...
  sluice agent --check --vtep 192.0.2.21`,
		Args: cobra.NoArgs,
	}
	o.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := o.log.logger(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if err := o.complete(); err != nil {
			return err
		}
		if err := o.parse(); err != nil {
			return err
		}
		if o.check {
			return o.preflight(cmd)
		}
		if err := o.pprof.serve(cmd.Context(), log); err != nil {
			return err
		}
		return o.run(cmd.Context(), log)
	}
	configure(cmd, agentSettings)
	return cmd
}

func (o *agentFlags) register(cmd *cobra.Command) {
	f, a := cmd.Flags(), &o.options
	f.StringVar(&a.Host, "host", "", "this host's `NAME`, a DNS label")
	f.StringVar(&o.vtep, "vtep", "", "this host's tunnel `ADDRESS`")
	f.StringVar(&a.Encap, "encap", "vxlan", "how frames travel between hosts: `vxlan|geneve|gre`")
	f.StringVar(&a.DatapathType, "datapath-type", "system", "the switch's datapath: `system|netdev`; netdev is OVS's own in userspace")
	f.StringVar(&a.OVSDB, "ovsdb", "unix:/run/openvswitch/db.sock", "the switch's database: `unix:PATH`")
	f.StringSliceVar(&a.Controllers, "controllers", nil, "where the switch dials: `ssl:HOST:PORT`s, with commas; tcp: is in the clear")
	f.StringVar(&a.Socket, "socket", agentapi.DefaultSocket, "unix socket, a `PATH`, where containers are attached")
	f.StringVar(&o.docker, "docker-socket", docker.DefaultSocket, "unix socket, a `PATH`, where Docker finds its driver sluice; empty: Docker is not served")
	f.StringVar(&a.StateDir, "state-dir", "/var/lib/sluice/agent", "`DIRECTORY` of the host's identity, of its ports and of which store it serves; keep it over restarts")
	f.BoolVar(&a.Adopt, "adopt", false, "serve the store that etcd holds now, though another is remembered, and take this host's ports into it: once")
	f.DurationVar(&a.Quarantine, "quarantine", 10*time.Minute, "`TIME` for which an interface of a container must have belonged to no port before it is removed")
	f.StringVar(&a.Uplink, "uplink", "", "`INTERFACE` by which tenants leave (default that of the default route)")
	f.StringVar(&a.Trunk, "trunk", "", "physical `INTERFACE` whose switches carry VLANs: frames between ports of a VLAN network go tagged by it where every host of the network has one (default none: they go by tunnels)")
	f.BoolVar(&a.Gateway, "gateway", false, "tenants may leave through this host")
	f.IntVar(&a.Weight, "weight", 1, "share of tenants and of traffic, a `NUMBER`, that this gateway host is to have beside others")
	f.StringVar(&o.probeOutside, "probe-outside", "", "IPv4 `ADDRESS` outside that a gateway host pings by its uplink: while it does not answer, others send to backups (default: nobody is asked)")
	f.StringSliceVar(&o.infrastructure, "infrastructure", nil, "`CIDR`s that tenants must not reach, besides the tunnel address's own and the addresses of all hosts, of controllers and of etcd")
	f.BoolVar(&a.Resolver, "dns", true, "answer containers' questions for names, at 169.254.53.53 and fd73:6c75:6963:65::53")
	f.StringSliceVar(&a.Upstream, "dns-upstream", nil, "`ADDRESS`es of DNS servers that are asked for all but containers' names, or none (default those of this host's /etc/resolv.conf)")
	o.entry.register(cmd, &a.Entry)
	o.etcd.register(cmd, "`URL`s of etcd, with commas")
	o.pki.register(cmd)
	o.pprof.register(cmd)
	o.log.register(cmd)
	f.StringVar(&o.join, "join", "", "`TOKEN` of sluice host invite, or @FILE with one: join the cluster as its host; once it has, the host needs neither token nor --host, --etcd-endpoints, --controllers")
	f.BoolVar(&o.check, "check", false, "say what this host has and lacks of what it needs, and end; only --vtep is needed")
	completeWords(cmd, "encap", "vxlan", "geneve", "gre")
	completeWords(cmd, "datapath-type", "system", "netdev")
}

// complete refuses a command line that lacks a flag.
func (o *agentFlags) complete() error {
	if missing := o.lacks(); len(missing) > 0 {
		return usagef("required flag(s) %s not set", strings.Join(missing, ", "))
	}
	return nil
}

// preflight prints a line for each thing that this host needs. It fails where one lacks.
func (o *agentFlags) preflight(cmd *cobra.Command) error {
	o.options.RunDir = os.Getenv("OVS_RUNDIR")
	var lacking []string
	for _, finding := range append(hostagent.Check(cmd.Context(), o.options), o.findEtcd(cmd.Context())...) {
		fmt.Fprintln(cmd.OutOrStdout(), finding)
		if finding.Err != nil {
			lacking = append(lacking, finding.Name)
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("this host lacks what the agent needs: %s", strings.Join(lacking, ", "))
	}
	return nil
}

// findEtcd looks whether etcd answers, where it is said where that is.
func (o agentFlags) findEtcd(ctx context.Context) []hostagent.Finding {
	discard := slog.New(slog.DiscardHandler)
	o.join = "" // a look uses no token
	if err := o.knows(ctx, discard); err != nil || len(o.etcd.endpoints) == 0 {
		return nil
	}
	found := hostagent.Finding{Name: "etcd", Says: strings.Join(o.etcd.endpoints, ", ") + " answers"}
	found.Err = o.asksEtcd(ctx, discard)
	return []hostagent.Finding{found}
}

// asksEtcd fails where etcd does not answer this host.
func (o *agentFlags) asksEtcd(ctx context.Context, log *slog.Logger) error {
	identity, err := o.secure(log)
	if err != nil {
		return err
	}
	reach, err := o.etcd.options(log)
	if err != nil {
		return err
	}
	reach.PKI = identity
	ctx, cancel := context.WithTimeout(ctx, etcdCheckTime)
	defer cancel()
	client, err := etcd.Connect(ctx, reach)
	if err != nil {
		return fmt.Errorf("%w: an agent starts without it, keeps what the host has, and attaches nothing until it answers", err)
	}
	return client.Close()
}

// etcdCheckTime is how long --check waits for etcd.
const etcdCheckTime = 5 * time.Second

// parse reads the flags that are addresses.
func (o *agentFlags) parse() (err error) {
	if o.options.VTEP, err = netip.ParseAddr(o.vtep); err != nil {
		return usagef("--vtep %q: write it as 192.0.2.21", o.vtep)
	}
	for _, target := range o.options.Controllers { // the switch would take any word, and never dial
		if kind, at, _ := strings.Cut(target, ":"); at == "" || !slices.Contains([]string{"tcp", "ssl", "unix"}, kind) {
			return usagef("--controllers %q: write it as ssl:192.0.2.1:6653", target)
		}
	}
	if err := o.parseGateway(); err != nil {
		return err
	}
	if err := o.entry.parse(&o.options.Entry); err != nil {
		return err
	}
	for _, text := range o.infrastructure {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return usagef("--infrastructure %q: write it as 192.0.2.0/24", text)
		}
		o.options.Infrastructure = append(o.options.Infrastructure, p)
	}
	return nil
}

// maxWeight bounds the share of a gateway host.
const maxWeight = 1000

// parseGateway refuses what no gateway host could be told.
func (o *agentFlags) parseGateway() (err error) {
	if o.options.Weight < 1 || o.options.Weight > maxWeight {
		return usagef("--weight %d: give 1 to %d", o.options.Weight, maxWeight)
	}
	if o.probeOutside == "" {
		return nil
	}
	if o.options.ProbeOutside, err = netip.ParseAddr(o.probeOutside); err != nil || !o.options.ProbeOutside.Is4() {
		return usagef("--probe-outside %q: give an IPv4 address, such as that of the next router: 192.0.2.254", o.probeOutside)
	}
	return nil
}

// hostOf is the host of an endpoint: a URL, or HOST:PORT.
func hostOf(endpoint string) string {
	_, rest, isURL := strings.Cut(endpoint, "://")
	if !isURL {
		rest = endpoint
	}
	rest, _, _ = strings.Cut(rest, "/")
	if host, _, err := net.SplitHostPort(rest); err == nil {
		return host
	}
	return strings.Trim(rest, "[]")
}

// endpointHosts are the hosts of endpoints.
func endpointHosts(endpoints []string) (hosts []string) {
	for _, endpoint := range endpoints {
		hosts = append(hosts, hostOf(endpoint))
	}
	return hosts
}

// run wires an agent and serves until ctx ends.
func (o *agentFlags) run(ctx context.Context, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := o.knows(ctx, log); err != nil {
		return err
	}
	identity, err := o.secure(log)
	if err != nil {
		return err
	}
	reach, err := o.etcd.options(log)
	if err != nil {
		return err
	}
	reach.PKI, o.options.Identity = identity, identity
	if err := o.entry.open(&o.options.Entry, log); err != nil {
		return err
	}
	client, err := o.connect(ctx, reach)
	if err != nil {
		return err
	}
	defer client.Close()
	go o.renew(ctx, identity)
	o.options.Store, o.options.Log = client, log
	o.options.Names = append(o.options.Names, endpointHosts(o.etcd.endpoints)...)
	o.options.RunDir = os.Getenv("OVS_RUNDIR")
	o.options.Tables = map[int]string{}
	for _, t := range flows.Tables() {
		o.options.Tables[int(t.ID)] = t.Name
	}
	ready := make(chan struct{})
	o.options.Listening = func() { close(ready) }
	agent, err := hostagent.New(o.options)
	if err != nil {
		return err
	}
	go o.serveDocker(ctx, log, ready)
	go func() {
		select {
		case <-ctx.Done():
		case <-ready:
			tellSupervisor(ctx, log, func() { agent.Status() })
		}
	}()
	if err := agent.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("host %s: %w", o.options.Host, err)
	}
	return nil
}

// serveDocker serves Docker's driver once the agent listens, if it is to be served.
func (o *agentFlags) serveDocker(ctx context.Context, log *slog.Logger, ready <-chan struct{}) {
	if o.docker == "" {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-ready:
	}
	agent := agentapi.Dial(o.options.Socket)
	defer agent.Close()
	docker.New(docker.Options{Socket: o.docker, StateDir: o.options.StateDir, Agent: agent, Log: log}).Run(ctx)
}
