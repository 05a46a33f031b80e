package bench

import (
	"context"
	"fmt"
	"strings"
)

// dockerSides are Docker's networks: its bridge for the way out, its overlay, where swarm mode starts, inside.
func (s *paperRun) dockerSides(ctx context.Context) (sides []paperSide, err error) {
	d := &dockerRun{labRun: s.labRun, networks: map[string]*dockerNetwork{dockerBridge: {prefix: "10.31", fromHost: true}}}
	if err := d.startDaemons(ctx); err != nil {
		return nil, err
	}
	const subnet = "10.31.0.0/16"
	if _, err := d.docker(ctx, hostFrom, "network", "create", "--driver", "bridge", "--subnet", subnet, networkName(dockerBridge)); err != nil {
		return nil, err
	}
	if err := s.masquerade(ctx, hostFrom, subnet); err != nil {
		return nil, err
	}
	from, _, err := d.connected(ctx, hostFrom, dockerBridge)
	if err != nil {
		return nil, err
	}
	sides = append(sides, paperSide{name: sideBridge, pair: tenantPair{from: from}, outside: true})
	if err := d.makeOverlay(ctx); err != nil {
		s.Log.Warn("Docker's overlay is not compared", "err", strings.Join(strings.Fields(err.Error()), " "))
		return sides, nil
	}
	near, address, err := d.connected(ctx, hostFrom, dockerOverlay)
	if err != nil {
		return nil, err
	}
	far, err := d.namespace(ctx, hostTo, overlayResident)
	// The one that answers is the near one of the pair: what it is called does not change the way.
	return append(sides, paperSide{name: sideOverlay, pair: tenantPair{from: far, to: near}, address: address}), err
}

// connected starts a container on a network and returns it with its address.
func (d *dockerRun) connected(ctx context.Context, host int, network string) (container, string, error) {
	started, err := d.start(ctx, host, network)
	if err != nil {
		return container{}, "", err
	}
	c, err := d.namespace(ctx, host, started.name)
	return c, started.address, err
}

// namespace gives the network namespace of Docker's container a name that goes with the lab.
func (d *dockerRun) namespace(ctx context.Context, host int, name string) (container, error) {
	pid, err := d.docker(ctx, host, "inspect", "--format", "{{.State.Pid}}", name)
	if err != nil {
		return container{}, err
	}
	c := container{name: name, netns: fmt.Sprint("sluice-c-", name)}
	return c, ipBatch(ctx, "netns attach "+c.netns+" "+pid)
}
