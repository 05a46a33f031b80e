package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	agentapi "sluice/hostagent/api"
)

// network makes Docker's network for a tenant's, unless it is there, and returns its name. One start at a time looks and makes
// it: of two that create one name at once Docker refuses neither, and the name is ambiguous from then on.
func (d docker) network(ctx context.Context, tenant, network string) (string, error) {
	unlock, err := lockFile(d.path("networks.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	name := tenant + "-" + network
	if _, err := d.run(ctx, "network", "inspect", name); err == nil {
		return name, nil
	}
	subnets, err := d.subnets(ctx, tenant, network)
	if err != nil {
		return "", err
	}
	args := []string{"network", "create", "--driver", "sluice", "--ipam-driver", "sluice",
		"--opt", "tenant=" + tenant, "--opt", "network=" + network, "--ipam-opt", "tenant=" + tenant, "--ipam-opt", "network=" + network}
	_, err = d.run(ctx, append(append(args, subnets...), name)...)
	if err != nil && strings.Contains(err.Error(), "already exists") { // somebody else was first
		err = nil
	}
	return name, err
}

// subnets are the flags that name the subnets of a tenant's network. Docker has one of each family.
func (d docker) subnets(ctx context.Context, tenant, network string) (flags []string, err error) {
	agent := agentapi.Dial(agentSocket(d.host))
	defer agent.Close()
	all, err := agent.Networks(ctx, tenant)
	if err != nil {
		return nil, err
	}
	var have4, have6 bool
	for _, n := range all {
		if n.Name != network {
			continue
		}
		for _, s := range n.Subnets {
			prefix, err := netip.ParsePrefix(s.Prefix)
			switch {
			case err != nil:
				return nil, fmt.Errorf("subnet of network %s/%s: %w", tenant, network, err)
			case prefix.Addr().Is4() && !have4:
				flags, have4 = append(flags, "--subnet", s.Prefix), true
			case prefix.Addr().Is6() && !have6:
				flags, have6 = append(flags, "--ipv6", "--subnet", s.Prefix), true
			}
		}
	}
	if !have4 {
		return nil, fmt.Errorf("network %s/%s has no IPv4 subnet, or does not exist: Docker needs one", tenant, network)
	}
	return flags, nil
}

func startDocker(ctx context.Context, c Container, address string) (a agentapi.Attachment, err error) {
	d := dockerOf(c.Host)
	if err := d.setUp(ctx); err != nil {
		return a, err
	}
	network, err := d.network(ctx, c.Tenant, c.Network)
	if err != nil {
		return a, err
	}
	args := []string{"run", "--detach", "--name", c.Name, "--hostname", c.Name, "--network", "name=" + network + ",driver-opt=name=" + c.Name}
	if address != "" {
		args = append(args, "--ip", address)
	}
	if _, err := d.run(ctx, append(args, ImageName, "/bin/sleep", "infinity")...); err != nil {
		return a, err
	}
	said, err := d.run(ctx, "inspect", "--format", "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.EndpointID}}{{end}}", c.Name)
	if err != nil {
		return a, err
	}
	pid, endpoint, _ := strings.Cut(said, " ")
	if err := nameNS(ctx, c.NetNS, pid); err != nil {
		return a, err
	}
	return portOf(ctx, c.Host, func(p agentapi.Attachment) bool { return p.Labels["docker-endpoint"] == endpoint })
}

func removeDocker(ctx context.Context, c Container) error {
	d := dockerOf(c.Host)
	if _, err := os.Stat(d.path("data")); errors.Is(err, fs.ErrNotExist) {
		return nil // it never ran
	}
	if err := d.ensure(ctx); err != nil {
		return err
	}
	_, err := d.run(ctx, "rm", "--force", c.Name)
	if err != nil && strings.Contains(err.Error(), "No such container") {
		return nil
	}
	return err
}

func enterDocker(c Container) []string {
	return dockerOf(c.Host).command("exec", "--interactive", c.Name)
}
