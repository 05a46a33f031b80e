package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"sluice/controller/access"
	"sluice/controller/api"
	"sluice/controller/web"
	"sluice/metrics/overtime"
	"sluice/pki"
)

// apiFlags say how a controller's API is served, and to whom.
type apiFlags struct {
	listen      string
	hosts       []string
	tokenFile   string
	auditLog    string
	openMetrics bool
	prometheus  string
	remembers   *overtime.Prometheus // the one that is named; nil: none is
}

func (o *apiFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen-api", "127.0.0.1:8080", "`ADDRESS` of the HTTP API")
	f.StringSliceVar(&o.hosts, "api-hosts", nil, "`NAME`s under which clients know the API, with commas, besides its addresses, localhost and what its certificate names: requests for others are refused")
	f.StringVar(&o.tokenFile, "local-token-file", "", "`FILE` with the token of this machine's root, shared by the controllers that name it (default one of its own in /run/sluice, made anew at each start)")
	f.StringVar(&o.auditLog, "audit-log", "", "`FILE` to which a line of JSON is added for every write to the API and every refusal (default the controller's log)")
	f.BoolVar(&o.openMetrics, "metrics-without-token", false, "answer /metrics to whoever reaches it")
	f.StringVar(&o.prometheus, "prometheus", "", "`URL` of a Prometheus that scrapes every controller: the pages show by it what tenants used over time")
}

// parse looks at what was said before anything starts.
func (o *apiFlags) parse() (err error) {
	if o.prometheus == "" {
		return nil
	}
	if o.remembers, err = overtime.At(o.prometheus); err != nil {
		return usagef("--prometheus %w", err)
	}
	return nil
}

// handler is the API and the pages, which a listener answers with. end ends what it began.
func (o *apiFlags) handler(options api.Options, listener net.Listener) (h http.Handler, end func(), err error) {
	local, err := o.localToken(listener, options.Log)
	if err != nil {
		return nil, nil, err
	}
	options.Local, options.OpenMetrics = local, o.openMetrics
	options.Hosts = append(options.Hosts, o.hosts...)
	options.Pages = web.Register(web.Options{Version: options.Version, Registry: options.Registry, Log: options.Log, Prometheus: o.remembers})
	return api.New(options), local.Remove, nil
}

// certifiedNames are the names and addresses that the authority gave the controller: clients may know
// the API by them.
func certifiedNames(s *pki.Source) []string {
	if s == nil {
		return nil
	}
	return pki.NamesOf(s.Certificate())
}

// localToken makes the token of this machine's root, for an API that listens there.
func (o *apiFlags) localToken(listener net.Listener, log *slog.Logger) (*access.LocalToken, error) {
	if o.tokenFile != "" {
		return access.ShareLocalToken(o.tokenFile)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("port of the API: %w", err)
	}
	path := access.LocalTokenFile(port)
	if path == "" {
		log.Warn("this user has no directory for the API's own token: only tokens that etcd holds are good; name a file with --local-token-file")
		return nil, nil
	}
	return access.WriteLocalToken(path)
}

// audit is where lines about writes and refusals go, and about what the leader removes by itself.
func (o *apiFlags) audit(log *slog.Logger) (*slog.Logger, func(), error) {
	if o.auditLog == "" {
		return log, func() {}, nil
	}
	f, err := os.OpenFile(o.auditLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("--audit-log: %w", err)
	}
	return slog.New(slog.NewJSONHandler(f, nil)), func() { f.Close() }, nil
}
