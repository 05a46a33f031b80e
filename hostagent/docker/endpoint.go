package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/docker/go-plugins-helpers/network"

	"sluice/hostagent/api"
)

// runtimeName is what our ports say of who asked for them.
const runtimeName = "docker"

// Labels of our ports: Docker's ids.
const (
	labelEndpoint = "docker-endpoint"
	labelNetwork  = "docker-network"
)

// interfacePrefix begins the names of a container's interfaces, which Docker numbers.
const interfacePrefix = "eth"

// createEndpoint attaches a port, whose other end waits in the host's namespace for Docker.
func (d *Driver) createEndpoint(ctx context.Context, r network.CreateEndpointRequest) (any, error) {
	publish, err := publishOf(r.Options)
	if err != nil {
		return nil, err
	}
	said, err := texts("--driver-opt", r.Options, optionName, optionSticky)
	if err != nil {
		return nil, err
	}
	if _, asked := said[optionSticky]; asked {
		return nil, errors.New("--driver-opt sticky is not possible: Docker asks for an address before it says whose it will be; choose one with --ip and --mac-address")
	}
	s, err := d.networks.get(r.NetworkID)
	if err != nil {
		return nil, err
	}
	if r.Interface == nil || r.Interface.Address == "" {
		return nil, errors.New("an interface without address cannot be: the network needs --ipam-driver sluice")
	}
	request := d.request(r, s, said[optionName])
	request.Publish = publish
	attached, err := patiently(ctx, d, d.agent.Attach, request)
	if err != nil {
		return nil, err
	}
	d.ends.keep(r.EndpointID, attached)
	for _, warning := range attached.Warnings {
		d.log.Warn("attached a container of Docker", "tenant", s.Tenant, "network", s.Network, "port", attached.Name, "warning", warning)
	}
	return network.CreateEndpointResponse{Interface: lacking(r.Interface, attached)}, nil
}

func (d *Driver) request(r network.CreateEndpointRequest, s standsFor, name string) api.AttachRequest {
	if name == "" {
		name = fmt.Sprintf("docker-%.12s", r.EndpointID)
	}
	a := api.AttachRequest{
		Tenant: s.Tenant, Network: s.Network, Name: name, HandOver: true, Runtime: runtimeName,
		MAC: r.Interface.MacAddress, Reserved: reservationName(r.Interface.MacAddress),
		Labels: map[string]string{labelEndpoint: r.EndpointID, labelNetwork: r.NetworkID},
	}
	for _, text := range []string{r.Interface.Address, r.Interface.AddressIPv6} {
		if address, _, _ := strings.Cut(text, "/"); address != "" {
			a.Addresses = append(a.Addresses, address)
		}
	}
	return a
}

// lacking is what Docker does not know yet of an interface: it refuses to be told the rest again. A
// port has an IPv6 address where its network has a subnet for it, also if Docker's network has none.
func lacking(asked *network.EndpointInterface, a api.Attachment) *network.EndpointInterface {
	tell := &network.EndpointInterface{}
	if asked.MacAddress == "" {
		tell.MacAddress = a.MAC
	}
	if asked.AddressIPv6 == "" {
		tell.AddressIPv6 = ofFamily(a.Addresses, netip.Addr.Is6)
	}
	return tell
}

// ofFamily is the first address of a family, with or without prefix length; empty where there is none.
func ofFamily(addresses []string, family func(netip.Addr) bool) string {
	at := slices.IndexFunc(addresses, func(text string) bool {
		bare, _, _ := strings.Cut(text, "/")
		a, err := netip.ParseAddr(bare)
		return err == nil && family(a)
	})
	if at < 0 {
		return ""
	}
	return addresses[at]
}

// join tells Docker which interface to move into the container. A gateway keeps Docker from giving the
// container a second interface, in docker_gwbridge.
func (d *Driver) join(ctx context.Context, r network.JoinRequest) (any, error) {
	a, err := d.end(ctx, r.EndpointID)
	if err != nil {
		return nil, err
	}
	return network.JoinResponse{
		InterfaceName:         network.InterfaceName{SrcName: api.HandedEnd(a.Interface), DstPrefix: interfacePrefix},
		Gateway:               ofFamily(a.Gateways, netip.Addr.Is4),
		GatewayIPv6:           ofFamily(a.Gateways, netip.Addr.Is6),
		DisableGatewayService: true,
	}, nil
}

func (d *Driver) endpointInfo(ctx context.Context, r network.InfoRequest) (any, error) {
	a, err := d.end(ctx, r.EndpointID)
	if err != nil {
		return nil, err
	}
	return network.InfoResponse{Value: map[string]string{
		"tenant": a.Tenant, "network": a.Network, "port": a.Name, "interface": a.Interface,
	}}, nil
}

// deleteEndpoint detaches the port. One that is gone is no error: Docker would keep its endpoint.
func (d *Driver) deleteEndpoint(ctx context.Context, r network.DeleteEndpointRequest) (any, error) {
	a, err := d.end(ctx, r.EndpointID)
	if err == nil {
		err = d.agent.Detach(ctx, a.Detachment()) // another endpoint may have its --driver-opt name by now
	}
	if err != nil && !api.IsNotFound(err) {
		return nil, err
	}
	d.ends.forget(r.EndpointID)
	return nothing{}, nil
}

// end is the port of an endpoint: from memory, or after a restart from the agent.
func (d *Driver) end(ctx context.Context, endpoint string) (api.Attachment, error) {
	if a, known := d.ends.get(endpoint); known {
		return a, nil
	}
	ports, err := d.agent.List(ctx)
	if err != nil {
		return api.Attachment{}, err
	}
	for _, p := range ports {
		if p.Runtime == runtimeName && p.Labels[labelEndpoint] == endpoint {
			d.ends.keep(endpoint, p)
			return p, nil
		}
	}
	return api.Attachment{}, api.NewProblem(http.StatusNotFound, "endpoint %.12s has no port: disconnect the container and connect it again", endpoint)
}

// ends are the ports of endpoints that this process made or was asked about, by Docker's id.
type ends struct {
	mu  sync.Mutex
	all map[string]api.Attachment
}

func (e *ends) get(endpoint string) (api.Attachment, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, known := e.all[endpoint]
	return a, known
}

func (e *ends) keep(endpoint string, a api.Attachment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all[endpoint] = a
}

func (e *ends) forget(endpoint string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.all, endpoint)
}
