package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/google/renameio/v2"

	"sluice/hostagent/api"
)

// standsFor is the tenant's network that a network of Docker stands for.
type standsFor struct {
	Tenant  string `json:"tenant"`
	Network string `json:"network"`
}

func (s standsFor) String() string { return s.Tenant + "/" + s.Network }

// createNetwork notes which network of the tenant a network of Docker stands for. It makes none: a
// host may not, and networks belong to the cluster.
func (d *Driver) createNetwork(ctx context.Context, r network.CreateNetworkRequest) (any, error) {
	if internal, _ := r.Options[keyInternal].(bool); internal {
		return nil, errors.New("--internal is not possible: whether a tenant's containers may leave is the tenant's own setting, see sluice tenant create --help")
	}
	generic, _ := r.Options[keyGeneric].(map[string]any)
	said, err := texts("-o", generic, optionTenant, optionNetwork)
	if err != nil {
		return nil, err
	}
	prefixes, err := prefixesOf(r)
	if err != nil {
		return nil, err
	}
	found, _, err := d.find(ctx, "-o", said, prefixes...)
	if err != nil {
		return nil, err
	}
	if err := d.pools.use(found, prefixes); err != nil {
		return nil, err
	}
	return nothing{}, d.networks.keep(r.NetworkID, found)
}

// prefixesOf are the subnets of a request, which must be out of this driver's IPAM.
func prefixesOf(r network.CreateNetworkRequest) (list []string, err error) {
	for _, data := range slices.Concat(r.IPv4Data, r.IPv6Data) {
		if data.AddressSpace != addressSpace {
			return nil, errors.New("add --ipam-driver sluice --ipam-opt tenant=NAME: otherwise each Docker daemon gives out addresses alone")
		}
		list = append(list, data.Pool)
	}
	return list, nil
}

// find is the tenant's network that has all these subnets, and its subnets. flag is how the user says
// options.
func (d *Driver) find(ctx context.Context, flag string, said map[string]string, prefixes ...string) (standsFor, []api.Subnet, error) {
	tenant := said[optionTenant]
	if tenant == "" {
		return standsFor{}, nil, fmt.Errorf("%s tenant=NAME is missing: say whose network it is", flag)
	}
	all, err := patiently(ctx, d, d.agent.Networks, tenant)
	if err != nil {
		return standsFor{}, nil, err
	}
	var found []api.Network
	for _, n := range all {
		if (said[optionNetwork] == "" || said[optionNetwork] == n.Name) && hasAll(n, prefixes) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 0:
		return standsFor{}, nil, notFound(tenant, said[optionNetwork], prefixes, all)
	case 1:
		return standsFor{tenant, found[0].Name}, found[0].Subnets, nil
	default:
		return standsFor{}, nil, fmt.Errorf("networks %s of tenant %s have subnet %s: add %s network=NAME",
			names(found), tenant, strings.Join(prefixes, " and "), flag)
	}
}

func hasAll(n api.Network, prefixes []string) bool {
	for _, prefix := range prefixes {
		if !slices.ContainsFunc(n.Subnets, func(s api.Subnet) bool { return s.Prefix == prefix }) {
			return false
		}
	}
	return true
}

func names(list []api.Network) string {
	var all []string
	for _, n := range list {
		all = append(all, n.Name)
	}
	return strings.Join(all, " and ")
}

// notFound says what networks the tenant has, and how it gets another.
func notFound(tenant, name string, prefixes []string, all []api.Network) error {
	var have []string
	for _, n := range all {
		var subnets []string
		for _, s := range n.Subnets {
			subnets = append(subnets, s.Prefix)
		}
		have = append(have, strings.TrimSpace(n.Name+" "+strings.Join(subnets, " ")))
	}
	what, wanted := "network", "NAME"
	if name != "" {
		what, wanted = "network "+name, name
	}
	return fmt.Errorf("tenant %s has no %s with subnet %s; it has: %s. Docker makes no networks in Sluice: sluice network create %s/%s --subnet %s",
		tenant, what, strings.Join(prefixes, " and "), strings.Join(have, ", "), tenant, wanted, strings.Join(prefixes, " --subnet "))
}

func (d *Driver) deleteNetwork(_ context.Context, r network.DeleteNetworkRequest) (any, error) {
	return nothing{}, d.networks.forget(r.NetworkID)
}

// networks keeps what Docker's networks stand for, one file each. Docker tells it once, and keeps its
// network for years.
type networks struct{ dir string }

func (n networks) path(id string) (string, error) {
	if id == "" || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyz") != "" {
		return "", fmt.Errorf("network id %q is none of Docker's", id)
	}
	return filepath.Join(n.dir, id+".json"), nil
}

func (n networks) keep(id string, s standsFor) error {
	path, err := n.path(id)
	if err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode network %s: %w", s, err)
	}
	if err := renameio.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("keep network %s: %w", s, err)
	}
	return nil
}

func (n networks) get(id string) (s standsFor, err error) {
	path, err := n.path(id)
	if err != nil {
		return s, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("this host's agent does not know Docker's network %.12s: its state directory was lost or is another one; "+
			"remove the network with docker network rm, and create it again", id)
	}
	if err != nil {
		return s, fmt.Errorf("read what Docker's network %.12s stands for: %w", id, err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read %s: %w: remove the network with docker network rm, and create it again", path, err)
	}
	return s, nil
}

func (n networks) forget(id string) error {
	path, err := n.path(id)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget Docker's network %.12s: %w", id, err)
	}
	return nil
}
