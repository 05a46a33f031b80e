package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
	"github.com/docker/go-plugins-helpers/sdk"

	"sluice/hostagent/api"
	"sluice/hostagent/socket"
)

// DefaultSocket is where Docker finds a driver of the name sluice.
const DefaultSocket = "/run/docker/plugins/sluice.sock"

const (
	maxRequest = 1 << 20 // bytes
	// patience bounds one call. Docker itself waits without end.
	patience = 60 * time.Second
	// retryInterval is the pause after the socket could not be opened.
	retryInterval = 10 * time.Second
)

// Options say whom a driver serves. All but the last two are required.
type Options struct {
	Socket   string      // where Docker finds it
	StateDir string      // which networks Docker has; kept over restarts
	Agent    *api.Client // of the same host
	Log      *slog.Logger
	// Patience is how long a call waits for an agent that is not ready; 0: api.AttachPatience.
	Patience time.Duration
	// Unclaimed is how long a port waits for Docker to move its interface into the container, before it
	// is detached; 0: 10 minutes.
	Unclaimed time.Duration
}

// Driver serves one Docker daemon, or several that share the plugin's socket. Use New.
type Driver struct {
	agent     *api.Client
	log       *slog.Logger
	socket    string
	patience  time.Duration
	unclaimed time.Duration
	networks  networks
	pools     pools
	leases    leases
	ends      ends
}

// New makes a driver; it touches nothing yet.
func New(o Options) *Driver {
	return &Driver{
		agent: o.Agent, log: o.Log, socket: o.Socket, patience: cmp.Or(o.Patience, api.AttachPatience), unclaimed: cmp.Or(o.Unclaimed, defaultUnclaimed),
		networks: networks{dir: filepath.Join(o.StateDir, "docker")},
		leases:   leases{all: map[string]int{}}, ends: ends{all: map[string]api.Attachment{}},
	}
}

// Run serves until ctx ends. A socket that cannot be had is tried again: the agent's other runtimes
// need not suffer from it.
func (d *Driver) Run(ctx context.Context) {
	var sweeping sync.WaitGroup
	defer sweeping.Wait()
	sweeping.Go(func() { d.sweep(ctx) })
	for told := ""; ctx.Err() == nil; {
		err := d.serve(ctx)
		if err != nil && err.Error() != told {
			told = err.Error()
			d.log.Warn("cannot serve Docker, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryInterval):
		}
	}
}

func (d *Driver) serve(ctx context.Context) error {
	if err := os.MkdirAll(d.networks.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of Docker's networks: %w", err)
	}
	l, err := socket.Listen(d.socket)
	if err != nil {
		return err
	}
	return socket.Serve(ctx, l, d.Handler(), patience)
}

// patiently asks the agent, also while it is not ready: Docker's user would try again.
func patiently[A, Q any](ctx context.Context, d *Driver, ask func(context.Context, Q) (A, error), q Q) (a A, err error) {
	err = api.Patiently(ctx, d.patience, func(ctx context.Context) (err error) {
		a, err = ask(ctx, q)
		return err
	})
	return a, err
}

// nothing is an answer, or a question, without content.
type nothing struct{}

// Handler answers what Docker asks. Of the helpers' own handlers each serves a network driver or an
// IPAM driver, and knows no end of a request; this socket is both.
func (d *Driver) Handler() http.Handler {
	mux := http.NewServeMux()
	serve(mux, "Plugin.Activate", func(context.Context, nothing) (any, error) {
		return map[string][]string{"Implements": {"NetworkDriver", "IpamDriver"}}, nil
	})
	serve(mux, "IpamDriver.GetCapabilities", func(context.Context, nothing) (any, error) {
		return ipam.CapabilitiesResponse{RequiresMACAddress: true}, nil // it tells endpoints apart
	})
	serve(mux, "IpamDriver.GetDefaultAddressSpaces", func(context.Context, nothing) (any, error) {
		return ipam.AddressSpacesResponse{LocalDefaultAddressSpace: addressSpace, GlobalDefaultAddressSpace: addressSpace}, nil
	})
	serve(mux, "IpamDriver.RequestPool", d.requestPool)
	serve(mux, "IpamDriver.RequestAddress", d.requestAddress)
	serve(mux, "IpamDriver.ReleaseAddress", d.releaseAddress)
	serve(mux, "NetworkDriver.GetCapabilities", func(context.Context, nothing) (any, error) {
		return network.CapabilitiesResponse{Scope: network.LocalScope, ConnectivityScope: network.GlobalScope}, nil
	})
	serve(mux, "NetworkDriver.CreateNetwork", d.createNetwork)
	serve(mux, "NetworkDriver.DeleteNetwork", d.deleteNetwork)
	serve(mux, "NetworkDriver.CreateEndpoint", d.createEndpoint)
	serve(mux, "NetworkDriver.EndpointOperInfo", d.endpointInfo)
	serve(mux, "NetworkDriver.Join", d.join)
	serve(mux, "NetworkDriver.DeleteEndpoint", d.deleteEndpoint)
	for _, nothingToDo := range []string{
		"IpamDriver.ReleasePool", "NetworkDriver.Leave", "NetworkDriver.DiscoverNew", "NetworkDriver.DiscoverDelete",
		"NetworkDriver.ProgramExternalConnectivity", "NetworkDriver.RevokeExternalConnectivity",
	} {
		serve(mux, nothingToDo, func(context.Context, nothing) (any, error) { return nothing{}, nil })
	}
	for _, swarm := range []string{"AllocateNetwork", "FreeNetwork"} {
		serve(mux, "NetworkDriver."+swarm, func(context.Context, nothing) (any, error) {
			return nil, errors.New("sluice networks are of local scope: make the same network on each Docker daemon")
		})
	}
	return mux
}

// serve answers one method. Docker reads what went wrong from the field Err.
func serve[Q any](mux *http.ServeMux, method string, answer func(context.Context, Q) (any, error)) {
	mux.HandleFunc("POST /"+method, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		var question Q
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&question)
		if err != nil && !errors.Is(err, io.EOF) { // a question without content has no body
			sdk.EncodeResponse(w, network.NewErrorResponse(fmt.Sprintf("%s: the request is not valid JSON: %v", method, err)), true)
			return
		}
		said, err := answer(ctx, question)
		if err != nil {
			sdk.EncodeResponse(w, network.NewErrorResponse(err.Error()), true)
			return
		}
		sdk.EncodeResponse(w, said, false)
	})
}
