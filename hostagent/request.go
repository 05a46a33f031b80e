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
	if r.HandOver && (r.NetNS != "" || r.IfName != "") {
		return api.NewProblem(http.StatusUnprocessableEntity,
			"port %q: an end that is handed over has neither namespace nor name: the runtime gives it both", r.Name)
	}
	if r.IfName == "" && !r.HandOver {
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
		a, err := parseAddress(text)
		if err != nil {
			return err
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

func parseAddress(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, api.NewProblem(http.StatusUnprocessableEntity, "address %q is not an IP address such as 10.0.0.5", text)
	}
	return a, nil
}

// limitsOf are the limits that the request asks for.
func limitsOf(r api.AttachRequest) store.PortLimits {
	if r.Limits == nil {
		return store.PortLimits{}
	}
	return store.PortLimits(*r.Limits)
}

// mtuFor is the MTU of a port that asks for one, in a network that allows so much; in bytes.
func mtuFor(asked, most int) (int, error) {
	switch {
	case asked == 0:
		return most, nil
	case asked < store.MinMTU || asked > most:
		return 0, api.NewProblem(http.StatusUnprocessableEntity, "MTU %d: the network takes from %d to %d, and frames that are larger would be lost: ask for none to get %d",
			asked, store.MinMTU, most, most)
	}
	return asked, nil
}

// routes reads the routes that the request asks for; nil: it asks for none of its own.
func routes(r api.AttachRequest) ([]route, error) {
	if r.Routes == nil {
		return nil, nil
	}
	all := []route{}
	for _, asked := range r.Routes {
		to, err := netip.ParsePrefix(asked.Destination)
		if err != nil {
			return nil, api.NewProblem(http.StatusUnprocessableEntity, "route to %q: write the destination as 10.8.0.0/16", asked.Destination)
		}
		one := route{to: to.Masked()}
		if asked.Gateway != "" {
			if one.via, err = parseAddress(asked.Gateway); err != nil {
				return nil, err
			}
			if one.via.Is4() != to.Addr().Is4() {
				return nil, api.NewProblem(http.StatusUnprocessableEntity, "route to %s: gateway %s is of the other family", to, one.via)
			}
		}
		all = append(all, one)
	}
	return all, nil
}
