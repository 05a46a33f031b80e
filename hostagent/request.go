package hostagent

import (
	"net/http"
	"net/netip"
	"strings"

	"sluice/hostagent/api"
	"sluice/store"
	"sluice/store/etcd"
)

// defaults fills in what the request leaves open and checks its names.
func defaults(r *api.AttachRequest) error {
	if r.Network == "" {
		r.Network = api.DefaultNetwork
	}
	if r.IfName == "" {
		r.IfName = "eth0"
	}
	for _, n := range []struct{ what, name string }{
		{"tenant", r.Tenant}, {"network", r.Network}, {"port", r.Name},
	} {
		if err := store.ValidateName(n.name); err != nil {
			return api.NewProblem(http.StatusUnprocessableEntity, "%s %q: %v", n.what, n.name, err)
		}
	}
	if len(r.IfName) > 15 || strings.ContainsAny(r.IfName, "/ \t\n:") || r.IfName == "." || r.IfName == ".." {
		return api.NewProblem(http.StatusUnprocessableEntity,
			"interface name %q: use at most 15 characters without spaces, slashes or colons", r.IfName)
	}
	return nil
}

// addresses reads the address and MAC that the request asks for.
func addresses(r api.AttachRequest, spec *etcd.PortSpec) error {
	var err error
	if r.Address != "" {
		if spec.Address, err = netip.ParseAddr(r.Address); err != nil {
			return api.NewProblem(http.StatusUnprocessableEntity, "address %q is not an IP address such as 10.0.0.5", r.Address)
		}
	}
	if r.MAC != "" {
		if spec.MAC, err = store.ParseMAC(r.MAC); err != nil {
			return api.NewProblem(http.StatusUnprocessableEntity, "%v", err)
		}
	}
	return nil
}

// attachmentOf is a port as the API shows it.
func (a *Agent) attachmentOf(key store.Key, created store.Revision, p *store.Port, n *store.Network) api.Attachment {
	r := api.Attachment{
		Tenant: key.Tenant, Network: key.Network, Name: key.Name, Host: key.Host,
		MAC: p.MAC.String(), Interface: p.Interface, ContainerID: p.ContainerID, Runtime: p.Runtime,
		Labels: p.Labels, Revision: int64(created),
	}
	for _, prefix := range p.Addresses {
		r.Addresses = append(r.Addresses, prefix.String())
	}
	if n == nil {
		return r
	}
	r.MTU = a.underlay.networkMTU(n)
	for _, g := range gatewaysFor(n, p.Addresses) {
		r.Gateways = append(r.Gateways, g.String())
	}
	return r
}

// gatewaysFor are the routers of the subnets that hold the addresses, one a family.
func gatewaysFor(n *store.Network, addresses []netip.Prefix) []netip.Addr {
	var gateways []netip.Addr
	var have4, have6 bool
	for _, address := range addresses {
		for _, s := range n.Subnets {
			seen := &have4
			if s.Gateway.Is6() {
				seen = &have6
			}
			if s.Gateway.IsValid() && s.Prefix.Contains(address.Addr()) && !*seen {
				gateways, *seen = append(gateways, s.Gateway), true
			}
		}
	}
	return gateways
}
