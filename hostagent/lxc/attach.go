package lxc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"sluice/hostagent/api"
)

// runtimeName is what our ports say of who asked for them.
const runtimeName = "lxc"

// Labels of our ports.
const (
	labelConfig = "lxc-config" // the container's configuration, which tells containers of one name apart
	labelStart  = "lxc-start"  // one start of a container: the machine's boot, and the number of init
)

// Interface says which network one interface of a container is in, and what it is like there.
type Interface struct {
	Tenant, Network string
	Name            string   // the port's; empty: the container's
	IfName          string   // in the container; empty: eth0
	Addresses       []string // empty: those of the last start, else the network chooses
	MAC             string   // empty: that of the last start, else derived
	Sticky          bool     // addresses and MAC are kept while the container is stopped
}

// Start attaches a container whose init waits to run. What an earlier start of the container left is
// removed: LXC runs no container twice. Its addresses and MAC are kept, unless others are asked for.
func Start(ctx context.Context, agent *api.Client, c Call, i Interface, patience time.Duration) (api.Attachment, error) {
	r, err := c.request(i)
	if err != nil {
		return api.Attachment{}, err
	}
	var a, former api.Attachment
	err = api.Patiently(ctx, patience, func(ctx context.Context) error {
		if err := removeFormer(ctx, agent, c, r, &former); err != nil {
			return err
		}
		a, err = attachAs(ctx, agent.Attach, r, former)
		return err
	})
	return a, err
}

// request is what a call asks of the agent.
func (c Call) request(i Interface) (api.AttachRequest, error) {
	switch {
	case i.Tenant == "":
		return api.AttachRequest{}, errors.New("no tenant: write it as --tenant NAME behind the hook's path")
	case c.PID == 0:
		return api.AttachRequest{}, errors.New("LXC did not tell LXC_PID, the number of the container's init: this needs LXC 4 or newer")
	}
	start, err := c.start()
	return api.AttachRequest{
		Tenant: i.Tenant, Network: cmp.Or(i.Network, api.DefaultNetwork), Name: cmp.Or(i.Name, c.portName()),
		NetNS: c.namespace(), IfName: i.IfName, Addresses: i.Addresses, MAC: i.MAC,
		ContainerID: c.Container, Runtime: runtimeName, Sticky: i.Sticky,
		Labels: map[string]string{labelConfig: c.Config, labelStart: start},
	}, err
}

// portName is the container's name where that is a DNS label. lxc-copy --ephemeral makes others.
func (c Call) portName() string {
	if api.IsLabel(c.Container) {
		return c.Container
	}
	return api.PortName(c.Container, c.Config)
}

// start names this start of the container. A number of a process is used again after a reboot.
func (c Call) start() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the machine's boot: %w", err)
	}
	return fmt.Sprintf("%s/%d", strings.TrimSpace(string(boot)), c.PID), nil
}

// removeFormer detaches what earlier starts of the container left on this host, and notes the port that
// had the name of the one that is to come, if there was one. A port that came from another host is the one that is to come.
func removeFormer(ctx context.Context, agent *api.Client, c Call, r api.AttachRequest, former *api.Attachment) error {
	ports, err := agent.List(ctx)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if !c.owns(p) || p.Arrives || p.Labels[labelStart] == r.Labels[labelStart] {
			continue
		}
		if p.Tenant == r.Tenant && p.Network == r.Network && p.Name == r.Name {
			*former = p
		}
		if err := detach(ctx, agent, p); err != nil {
			return fmt.Errorf("remove what the last start left: %w", err)
		}
	}
	return nil
}

// owns reports whether a port is of this container, of whichever start.
func (c Call) owns(p api.Attachment) bool {
	return p.Runtime == runtimeName && p.ContainerID == c.Container && p.Labels[labelConfig] == c.Config
}

// attachAs attaches with the former port's addresses and MAC where nothing else is asked for, and without
// them where they cannot be had any more.
func attachAs(ctx context.Context, attach func(context.Context, api.AttachRequest) (api.Attachment, error), r api.AttachRequest, former api.Attachment) (api.Attachment, error) {
	as := r
	if len(r.Addresses) == 0 {
		for _, text := range former.Addresses {
			address, _, _ := strings.Cut(text, "/")
			as.Addresses = append(as.Addresses, address)
		}
	}
	as.MAC = cmp.Or(r.MAC, former.MAC)
	a, err := attach(ctx, as)
	var p *api.Problem
	if former.Name != "" && errors.As(err, &p) && (p.Status == http.StatusConflict || p.Status == http.StatusUnprocessableEntity) {
		return attach(ctx, r)
	}
	return a, err
}

// Stop detaches what this start of the container has. A container that stops to start again keeps its
// ports until then: the next start takes their addresses over.
func Stop(ctx context.Context, agent *api.Client, c Call, patience time.Duration) error {
	if c.Reboot || c.PID == 0 {
		return nil
	}
	start, err := c.start()
	if err != nil {
		return err
	}
	return api.Patiently(ctx, patience, func(ctx context.Context) error {
		ports, err := agent.List(ctx)
		if err != nil {
			return err
		}
		var errs []error
		for _, p := range ports {
			if c.owns(p) && p.Labels[labelStart] == start {
				errs = append(errs, detach(ctx, agent, p))
			}
		}
		return errors.Join(errs...)
	})
}

// detach removes a port as it was read; no error if it is gone.
func detach(ctx context.Context, agent *api.Client, p api.Attachment) error {
	err := agent.Detach(ctx, p.Detachment())
	if api.IsNotFound(err) {
		return nil
	}
	return err
}
