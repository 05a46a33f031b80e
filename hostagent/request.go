package hostagent

import (
	"net/http"
	"net/netip"
	"strings"

	"sluice/hostagent/api"
	"sluice/store"
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

// addresses reads the addresses and the MAC that the request asks for.
func addresses(r api.AttachRequest, spec *store.PortSpec) error {
	asked := r.Addresses
	if r.Address != "" {
		asked = append([]string{r.Address}, asked...)
	}
	for _, text := range asked {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return api.NewProblem(http.StatusUnprocessableEntity, "address %q is not an IP address such as 10.0.0.5", text)
		}
		spec.Addresses = append(spec.Addresses, a)
	}
	if r.MAC != "" {
		mac, err := store.ParseMAC(r.MAC)
		if err != nil {
			return api.NewProblem(http.StatusUnprocessableEntity, "%v", err)
		}
		spec.MAC = mac
	}
	return nil
}
