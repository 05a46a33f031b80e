package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	agentapi "sluice/hostagent/api"
)

// Runtimes that start containers in a lab.
const (
	RuntimeNetNS  = "netns" // a bare network namespace, without a process
	RuntimePodman = "podman"
)

// starter is how containers of one runtime come and go.
type starter struct {
	// start makes the container and attaches it, at an address of its choice where that is "". The
	// container's namespace has then the name that c says.
	start func(ctx context.Context, c Container, address string) (agentapi.Attachment, error)
	// remove detaches it and ends it, as far as it was made.
	remove func(ctx context.Context, c Container) error
	// enter is the command that runs another one in it.
	enter func(c Container) []string
}

func starters() map[string]starter {
	return map[string]starter{
		RuntimeNetNS:  {start: startNetNS, remove: removeNetNS, enter: enterNetNS},
		RuntimePodman: {start: startPodman, remove: removePodman, enter: enterPodman},
	}
}

// Runtimes are the names that Request.Runtime may have, sorted.
func Runtimes() []string { return slices.Sorted(maps.Keys(starters())) }

func starterOf(runtime string) (starter, error) {
	if s, ok := starters()[runtime]; ok {
		return s, nil
	}
	return starter{}, fmt.Errorf("runtime %q: it is %s", runtime, strings.Join(Runtimes(), " or "))
}

// attachedAs takes over what an agent answered about the container's port.
func (c *Container) attachedAs(a agentapi.Attachment) error {
	c.MAC, c.Warnings = a.MAC, a.Warnings
	for _, text := range a.Addresses {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("the agent's answer: address %w", err)
		}
		c.IPs = append(c.IPs, p.Addr())
	}
	return nil
}

func startNetNS(ctx context.Context, c Container, address string) (agentapi.Attachment, error) {
	if nsExists(c.NetNS) {
		if err := removeNS(ctx, c.NetNS); err != nil {
			return agentapi.Attachment{}, err
		}
	}
	if err := addNS(ctx, c.NetNS); err != nil {
		return agentapi.Attachment{}, err
	}
	agent := agentapi.Dial(agentSocket(c.Host))
	defer agent.Close()
	return agent.Attach(ctx, agentapi.AttachRequest{
		Tenant: c.Tenant, Network: c.Network, Name: c.Name,
		NetNS: nsPath(c.NetNS), IfName: c.Iface,
		Address: address, ContainerID: c.Name, Runtime: "lab",
	})
}

func removeNetNS(ctx context.Context, c Container) error {
	agent := agentapi.Dial(agentSocket(c.Host))
	defer agent.Close()
	err := agent.Detach(ctx, agentapi.DetachRequest{Tenant: c.Tenant, Network: c.Network, Name: c.Name})
	if agentapi.IsNotFound(err) {
		return nil
	}
	return err
}

func enterNetNS(c Container) []string { return []string{"ip", "netns", "exec", c.NetNS} }

// portOf is the port of a container that a runtime attached by itself.
func portOf(ctx context.Context, host, containerID string) (agentapi.Attachment, error) {
	agent := agentapi.Dial(agentSocket(host))
	defer agent.Close()
	ports, err := agent.List(ctx)
	if err != nil {
		return agentapi.Attachment{}, err
	}
	at := slices.IndexFunc(ports, func(p agentapi.Attachment) bool { return p.ContainerID == containerID })
	if at < 0 {
		return agentapi.Attachment{}, errors.New("its runtime says that it runs, and the agent knows no port of it")
	}
	return ports[at], nil
}
