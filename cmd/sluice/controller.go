package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"sluice/controller"
	"sluice/controller/access"
	"sluice/controller/api"
	"sluice/pki"
	"sluice/store"
	"sluice/store/etcd"
)

// storeFile is what a controller knows of its store, in its --data-dir.
const storeFile = "store.json"

// controllerFlags are the command line of sluice controller.
type controllerFlags struct {
	name                   string
	openflow               string
	api                    apiFlags
	dataDir                string
	etcd                   etcdFlags
	embedClient, embedPeer string
	history                time.Duration
	pki                    pkiFlags
	adopt                  bool
	audit, counters        time.Duration
	transit                transitFlag
	pprof                  pprofFlag
	log                    logFlags
}

func controllerCommand() *cobra.Command {
	var o controllerFlags
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run a controller: it programs every switch",
		Long: `Run a controller. Switches dial in at --listen-openflow, clients at --listen-api. With
a certificate below --pki all of them speak TLS, but for an API that listens on loopback; without one
everything listens on loopback, or --insecure says that whoever comes is believed. Without
--etcd-endpoints it runs an etcd of its own, which keeps its data below --data-dir.

Several controllers share one etcd under different names. One that starts under the name of
another takes its place at once, and the other ends with exit status 2.

A controller remembers in --data-dir which store it serves. Where etcd holds another one, or one that
went back as after a restore, it touches nothing until the right one is back, or until it is started
with --adopt.

Each flag may stand in /etc/sluice/controller.yaml, under its name, and in the environment: --name as
$SLUICE_CONTROLLER_NAME. A flag goes before the environment, and that before the file.`,
		Example: `  sluice controller
  sluice controller --name c1 --listen-openflow 192.0.2.1:6653 --embedded-etcd-client-url https://192.0.2.1:2379 --embedded-etcd-peer-url https://192.0.2.1:2380
  sluice controller --name c1 --etcd-endpoints https://192.0.2.11:2379,https://192.0.2.12:2379
  sluice controller --etcd-endpoints https://192.0.2.11:2379,https://192.0.2.12:2379 --etcd-ca ca.pem --etcd-cert c1.pem --etcd-key c1.key`,
		Args: cobra.NoArgs,
	}
	o.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		log, err := o.log.logger(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		return o.run(cmd.Context(), log)
	}
	configure(cmd, controllerSettings)
	return cmd
}

func (o *controllerFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "`NAME` that no other controller of this etcd has (default the machine's name)")
	f.StringVar(&o.openflow, "listen-openflow", "", "`ADDRESS` where switches dial in (default :6653, without a certificate 127.0.0.1:6653)")
	o.api.register(cmd)
	f.StringVar(&o.dataDir, "data-dir", defaultDataDir, "`DIRECTORY` of the embedded etcd, and of what this controller knows of its store")
	f.BoolVar(&o.adopt, "adopt", false, "serve the store that etcd holds now, though another is remembered: after a restore, once")
	o.etcd.register(cmd, "`URL`s of etcd, with commas (default an embedded one)")
	f.StringVar(&o.embedClient, "embedded-etcd-client-url", "", "`URL` where the embedded etcd serves agents and other controllers (default https://127.0.0.1:2379, without a certificate http)")
	f.StringVar(&o.embedPeer, "embedded-etcd-peer-url", "", "`URL` where the embedded etcd would meet other members (default https://127.0.0.1:2380, without a certificate http)")
	f.DurationVar(&o.history, "keep-history", 10*time.Minute, "for how much `TIME` the embedded etcd keeps what was overwritten or deleted, for sluice flows --at and --between")
	o.pki.register(cmd)
	f.DurationVar(&o.audit, "audit-interval", time.Minute, "`TIME` between two audits of a switch: does it still hold what it should?")
	f.DurationVar(&o.counters, "counter-interval", 2*time.Second, "`TIME` between two readings of a switch's counters; 0: never")
	o.transit.register(cmd)
	o.pprof.register(cmd)
	o.log.register(cmd)
}

// run wires a controller and serves until ctx ends.
func (o *controllerFlags) run(ctx context.Context, log *slog.Logger) error {
	if o.audit <= 0 || o.counters < 0 {
		return usagef("--audit-interval is more than 0, --counter-interval not less")
	}
	if o.history < time.Minute {
		return usagef("--keep-history %s: it is a minute or more", o.history)
	}
	if os.Getenv("GOGC") == "" {
		go limitGarbage(ctx)
	}
	if err := cmp.Or(o.transit.parse(), o.api.parse()); err != nil {
		return err
	}
	name, err := o.controllerName()
	if err != nil {
		return err
	}
	if o.dataDir == defaultDataDir {
		if err := moved(o.dataDir, formerData); err != nil {
			return err
		}
	}
	source, err := o.secure(name, log)
	if err != nil {
		return err
	}
	authority, err := o.pki.authority()
	if err != nil {
		return err
	}
	openflow, web, err := o.listen() // first: a taken address must fail before anything else starts
	if err != nil {
		return err
	}
	defer openflow.Close()
	defer web.Close()
	secured := webSecurity(source, o.api.listen)
	if err := o.pprof.serve(ctx, log); err != nil {
		return err
	}

	client, closeStore, err := o.openStore(ctx, name, source, log)
	if err != nil {
		return err
	}
	defer closeStore()
	trust, err := o.trust(client, name)
	if err != nil {
		return err
	}
	audit, closeAudit, err := o.api.audit(log)
	if err != nil {
		return err
	}
	defer closeAudit()
	registry := newRegistry()
	c, err := controller.New(controller.Options{
		Name: name, Store: client, Trust: trust, OpenFlow: openflow, Session: sessions(source, log), Identity: source,
		Registry: registry, Log: log, Audit: audit, AuditInterval: o.audit, CounterInterval: cmp.Or(o.counters, -1),
		Addresses: ownAddresses, Live: live(openflow, web, secured, source, authority, o.etcdURLs()), Authority: authority, Etcd: o.etcdURLs(),
	})
	if err != nil {
		return err
	}
	handler, closeAPI, err := o.api.handler(api.Options{
		Version: version(), Controller: c, Store: client, Registry: registry, Log: log, Audit: audit, Hosts: certifiedNames(source), Identity: source,
	}, web)
	if err != nil {
		return err
	}
	defer closeAPI()
	log.Info("controller started", "name", name, "openflow", openflow.Addr(), "api", web.Addr())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.Run(ctx) })
	g.Go(func() error { return keepRenewed(ctx, source, c.Office()) })
	g.Go(func() error { return o.transit.set(ctx, client, log) })
	g.Go(func() error { return access.Serve(ctx, web, handler, secured, log) })
	tellSupervisor(ctx, log, func() { c.View(func(*store.State) {}) })
	switch err := g.Wait(); {
	case errors.Is(err, controller.ErrNameTaken):
		return usageError{err} // so that a supervisor can tell: starting again would end the other one
	case err != nil && !errors.Is(err, context.Canceled):
		return err
	}
	log.Info("controller stopped", "name", name)
	return nil
}

// ownAddresses are those under which others reach this machine, and tenants must not. Where they
// cannot be read none are told.
func ownAddresses() []netip.Addr {
	have, _ := net.InterfaceAddrs()
	var all []netip.Addr
	for _, a := range have {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			all = append(all, p.Addr().Unmap())
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	all = slices.Compact(all)
	return all[:min(len(all), store.MaxHostAddresses)]
}

// listen opens the addresses for switches and for API clients.
func (o *controllerFlags) listen() (openflow, web net.Listener, err error) {
	if openflow, err = net.Listen("tcp", o.openflow); err != nil {
		return nil, nil, fmt.Errorf("listen for switches at %s: %w", o.openflow, err)
	}
	if web, err = net.Listen("tcp", o.api.listen); err != nil {
		openflow.Close()
		return nil, nil, fmt.Errorf("listen for API clients at %s: %w", o.api.listen, err)
	}
	return openflow, web, nil
}

func (o *controllerFlags) controllerName() (string, error) {
	hostname, err := os.Hostname()
	if o.name == "" && err != nil {
		return "", fmt.Errorf("name of this controller: %w: give it with --name", err)
	}
	name := cmp.Or(o.name, hostname)
	if err := store.ValidateControllerName(name); err != nil {
		return "", usagef("--name: %w", err)
	}
	return name, nil
}

// openStore connects to etcd, after it has started an embedded one where none was named.
func (o *controllerFlags) openStore(ctx context.Context, name string, source *pki.Source, log *slog.Logger) (*etcd.Client, func(), error) {
	options, err := o.etcd.options(log)
	if err != nil {
		return nil, nil, err
	}
	options.PKI = source
	stop := func() {}
	if len(options.Endpoints) == 0 {
		embedded, err := etcd.StartEmbedded(ctx, etcd.EmbedOptions{
			Name: name, Dir: filepath.Join(o.dataDir, "etcd"), ClientURL: o.embedClient, PeerURL: o.embedPeer, Log: log, History: o.history,
			PKI: o.etcdIdentity(source), Open: o.pki.insecure,
		})
		if err != nil {
			return nil, nil, err
		}
		options.Endpoints, stop = embedded.Endpoints(), embedded.Close
	}
	client, err := etcd.Connect(ctx, options)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return client, func() {
		if err := client.Close(); err != nil {
			log.Warn("disconnect from etcd", "err", err)
		}
		stop()
	}, nil
}

// trust has the client judge which store etcd holds. A controller that remembers none believes
// it; --adopt leaves the one that it remembers, once.
func (o *controllerFlags) trust(client *etcd.Client, name string) (*etcd.Trust, error) {
	if err := os.MkdirAll(o.dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("--data-dir, for what this controller knows of its store: %w", err)
	}
	return client.Trust(etcd.TrustOptions{
		File: filepath.Join(o.dataDir, storeFile), Witness: store.WitnessControllerKey(name), Founds: true, Adopt: o.adopt,
		Help: "bring the right store back, or start this controller with --adopt if this is the one to serve from now on",
		Decide: func(_ context.Context, _ *etcd.Client, _ store.Sight, j store.Judgement) (bool, error) {
			return !j.Held(), nil
		},
	})
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
