package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"sluice/hostagent/api"
)

// limit bounds one command; runtimes give up after some minutes.
const limit = 90 * time.Second

// errNotAvailable says that no container can be attached now (CNI 1.1, STATUS).
const errNotAvailable = 50

// call parses a command's input and asks the agent.
func call(args *skel.CmdArgs, ask func(context.Context, *api.Client, *config) error) error {
	c, err := parseConfig(args.StdinData)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	agent := api.Dial(c.Socket)
	defer agent.Close()
	return cniError(ask(ctx, agent, c))
}

// cniError gives an agent's problem the code that runtimes act upon (CNI, section 5).
func cniError(err error) error {
	var known *types.Error
	var problem *api.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case !errors.As(err, &problem):
		return types.NewError(types.ErrTryAgainLater, err.Error(), "")
	case problem.Status == http.StatusUnprocessableEntity, problem.Status == http.StatusNotFound:
		return types.NewError(types.ErrInvalidNetworkConfig, problem.Detail, "")
	case problem.Status == http.StatusServiceUnavailable, problem.Status == http.StatusGatewayTimeout, problem.Status == http.StatusTooManyRequests:
		return types.NewError(types.ErrTryAgainLater, problem.Detail, "")
	default:
		return types.NewError(types.ErrInternal, problem.Detail, "")
	}
}

func add(args *skel.CmdArgs) error {
	if err := misspelt(args.StdinData); err != nil {
		return err
	}
	return call(args, func(ctx context.Context, agent *api.Client, c *config) error {
		before, err := previous(c)
		if err != nil {
			return err
		}
		request, err := attachRequest(c, args)
		if err != nil {
			return err
		}
		if request.Publish, err = published(c); err != nil {
			return err
		}
		if request.Limits, err = c.RuntimeConfig.Bandwidth.limits(); err != nil {
			return err
		}
		attached, err := attach(ctx, agent, c, request)
		if err != nil {
			return err
		}
		result, err := resultOf(attached, c, before)
		if err != nil {
			return err
		}
		return types.PrintResult(result, c.CNIVersion)
	})
}

// attach waits for an agent that is away or not ready.
func attach(ctx context.Context, agent *api.Client, c *config, r api.AttachRequest) (a api.Attachment, err error) {
	patience, err := c.patience(api.AttachPatience)
	if err != nil {
		return a, err
	}
	err = api.Patiently(ctx, patience, func(ctx context.Context) (err error) {
		a, err = agent.Attach(ctx, r)
		return err
	})
	return a, err
}

// del succeeds also for what is gone: runtimes repeat it.
func del(args *skel.CmdArgs) error {
	return call(args, func(ctx context.Context, agent *api.Client, c *config) error {
		r, err := attachRequest(c, args)
		if err != nil {
			return err
		}
		patience, err := c.patience(api.DetachPatience)
		if err != nil {
			return err
		}
		goes := api.DetachRequest{Tenant: r.Tenant, Network: r.Network, Name: r.Name, ContainerID: r.ContainerID, Interface: madeInterface(c)}
		return api.Patiently(ctx, patience, func(ctx context.Context) error {
			err := agent.Detach(ctx, goes)
			if api.IsNotFound(err) {
				return nil
			}
			return err
		})
	})
}

// madeInterface is the host's end that ADD answered, by which a container's port is told from one of a later ADD under the
// same id, as after a restart of podman's; empty: the runtime does not say.
func madeInterface(c *config) string {
	before, err := previous(c)
	if err != nil {
		return "" // DEL must go on without
	}
	for _, i := range before.Interfaces {
		if i.Sandbox == "" && api.IsHostEnd(i.Name) {
			return i.Name
		}
	}
	return ""
}

// check compares the port with what ADD answered.
func check(args *skel.CmdArgs) error {
	return call(args, func(ctx context.Context, agent *api.Client, c *config) error {
		r, err := attachRequest(c, args)
		if err != nil {
			return err
		}
		before, err := previous(c)
		switch {
		case err != nil:
			return err
		case len(before.Interfaces) == 0:
			return types.NewError(types.ErrInvalidNetworkConfig, "CHECK needs the prevResult that ADD answered", "")
		}
		port := api.DetachRequest{Tenant: r.Tenant, Network: r.Network, Name: r.Name}
		there, err := agent.Get(ctx, port)
		if err != nil {
			return err
		}
		if err := agrees(there, before, args.IfName); err != nil {
			return err
		}
		return agent.Check(ctx, api.CheckRequest{DetachRequest: port, NetNS: args.Netns, IfName: args.IfName})
	})
}

// previous is what the plugins before this one answered; for CHECK, what ADD did. Without any it
// is empty.
func previous(c *config) (*current.Result, error) {
	if err := version.ParsePrevResult(&c.PluginConf); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "read prevResult", err.Error())
	}
	if c.PrevResult == nil {
		return &current.Result{CNIVersion: current.ImplementedSpecVersion}, nil
	}
	r, err := current.NewResultFromResult(c.PrevResult)
	if err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "read prevResult", err.Error())
	}
	return r, nil
}

// agrees compares a port with what ADD answered about the container's interface. Other plugins may
// have answered about interfaces of theirs.
func agrees(port api.Attachment, before *current.Result, ifName string) error {
	name := port.Tenant + "/" + port.Network + "/" + port.Name
	at := slices.IndexFunc(before.Interfaces, func(i *current.Interface) bool { return i.Sandbox != "" && i.Name == ifName })
	switch {
	case at < 0:
		return fmt.Errorf("port %s: prevResult has no interface %s in the container", name, ifName)
	case before.Interfaces[at].Mac != port.MAC:
		return fmt.Errorf("port %s has MAC %s, not %s", name, port.MAC, before.Interfaces[at].Mac)
	}
	for _, ip := range before.IPs {
		if ip.Interface != nil && *ip.Interface == at && !slices.Contains(port.Addresses, ip.Address.String()) {
			return fmt.Errorf("port %s has addresses %v, not %s", name, port.Addresses, ip.Address.String())
		}
	}
	return nil
}

// collect detaches this configuration's ports that the runtime does not know (CNI 1.1, GC).
func collect(args *skel.CmdArgs) error {
	return call(args, func(ctx context.Context, agent *api.Client, c *config) error {
		ports, err := agent.List(ctx)
		if err != nil {
			return err
		}
		var errs []error
		for _, p := range ports {
			if !stale(p, c) {
				continue
			}
			err := agent.Detach(ctx, p.Detachment())
			if err != nil && !api.IsNotFound(err) {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}

// stale reports whether a port was made for this configuration and its attachment is gone.
func stale(p api.Attachment, c *config) bool {
	if p.Runtime != runtimeName || p.Labels[labelNetwork] != c.Name || p.Arrives { // its container is about to be attached
		return false
	}
	valid := types.GCAttachment{ContainerID: p.ContainerID, IfName: p.Labels[labelIfName]}
	return !slices.Contains(c.ValidAttachments, valid)
}

func status(args *skel.CmdArgs) error {
	return call(args, func(ctx context.Context, agent *api.Client, _ *config) error {
		s, err := agent.Status(ctx)
		switch {
		case err != nil:
			return types.NewError(errNotAvailable, err.Error(), "")
		case !s.Registered:
			return types.NewError(errNotAvailable, fmt.Sprintf("host %s is not registered", s.Host), fmt.Sprint(s.Problems))
		default:
			return nil
		}
	})
}

// resultOf adds an attachment, in CNI's words, to what the plugins before this one answered
// (CNI, section 2, "prevResult").
func resultOf(a api.Attachment, c *config, before *current.Result) (*current.Result, error) {
	r := *before
	containerEnd := len(r.Interfaces) + 1
	r.Interfaces = slices.Concat(r.Interfaces, []*current.Interface{
		{Name: a.Interface},
		{Name: a.IfName, Mac: a.MAC, Mtu: a.MTU, Sandbox: a.NetNS},
	})
	switch {
	case !r.DNS.IsEmpty(): // another plugin's
	case !c.DNS.IsEmpty():
		r.DNS = c.DNS
	case a.DNS != nil:
		r.DNS = types.DNS{Nameservers: a.DNS.Nameservers, Search: a.DNS.Search}
	}
	for _, text := range a.Addresses {
		ip, subnet, err := net.ParseCIDR(text)
		if err != nil {
			return nil, fmt.Errorf("address %q in the agent's answer: %w", text, err)
		}
		subnet.IP = ip
		r.IPs = append(r.IPs, &current.IPConfig{Interface: current.Int(containerEnd), Address: *subnet, Gateway: gatewayOf(a, ip)})
	}
	if a.Routes != nil {
		r.Routes = append(r.Routes, c.Routes...)
		return &r, nil
	}
	for _, text := range a.Gateways {
		gw := net.ParseIP(text)
		r.Routes = append(r.Routes, &types.Route{Dst: everything(gw), GW: gw})
	}
	return &r, nil
}

// gatewayOf is the gateway of an address's family, or nil.
func gatewayOf(a api.Attachment, ip net.IP) net.IP {
	for _, text := range a.Gateways {
		if gw := net.ParseIP(text); (gw.To4() == nil) == (ip.To4() == nil) {
			return gw
		}
	}
	return nil
}

// everything is the default route's destination in an address's family.
func everything(ip net.IP) net.IPNet {
	if ip.To4() != nil {
		return net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	}
	return net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
}
