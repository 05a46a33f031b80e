package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	agentapi "sluice/hostagent/api"
	"sluice/store"
)

// Run makes a container on a host and attaches it to a tenant's network; address "" leaves
// the choice to the network. Names are unique in the lab. A run that fails leaves nothing.
func Run(ctx context.Context, host, tenant, network, name, address string) (Container, error) {
	unlock, err := lock(ctx, unix.LOCK_SH)
	if err != nil {
		return Container{}, err
	}
	defer unlock()
	s, err := loadState()
	if err != nil {
		return Container{}, err
	}
	if err := errors.Join(s.hasHost(host), store.ValidateName(name)); err != nil {
		return Container{}, err
	}
	if network == "" {
		network = agentapi.DefaultNetwork
	}
	c := Container{Name: name, Tenant: tenant, Network: network, Host: host, NetNS: ContainerNS(name), Iface: nic}
	if err := claim(c); err != nil {
		return Container{}, err
	}
	c, err = create(ctx, c, address)
	if err != nil {
		undo := context.WithoutCancel(ctx)
		return Container{}, errors.Join(fmt.Errorf("container %s on %s: %w", name, host, err), erase(undo, c))
	}
	return c, nil
}

// claim takes a container's name: its file is there from before it is made until it is gone.
func claim(c Container) error {
	f, err := os.OpenFile(containerPath(c.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the lab already has a container %q: `sluice lab rm %s` removes it", c.Name, c.Name)
	}
	if err != nil {
		return err
	}
	f.Close()
	return writeJSON(containerPath(c.Name), c)
}

func create(ctx context.Context, c Container, address string) (Container, error) {
	if nsExists(c.NetNS) {
		if err := removeNS(ctx, c.NetNS); err != nil {
			return c, err
		}
	}
	if err := addNS(ctx, c.NetNS); err != nil {
		return c, err
	}
	agent := agentapi.Dial(agentSocket(c.Host))
	defer agent.Close()
	a, err := agent.Attach(ctx, agentapi.AttachRequest{
		Tenant: c.Tenant, Network: c.Network, Name: c.Name,
		NetNS: nsPath(c.NetNS), IfName: c.Iface,
		Address: address, ContainerID: c.Name, Runtime: "lab",
	})
	if err != nil {
		return c, err
	}
	c.MAC, c.Warnings = a.MAC, a.Warnings
	for _, text := range a.Addresses {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return c, fmt.Errorf("the agent's answer: address %w", err)
		}
		c.IPs = append(c.IPs, p.Addr())
	}
	return c, writeJSON(containerPath(c.Name), c)
}

// Remove detaches a container and deletes its namespace, with the processes in it.
func Remove(ctx context.Context, name string) error {
	unlock, err := lock(ctx, unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := loadContainer(name)
	if err != nil {
		return err
	}
	if err := Detach(ctx, c); err != nil {
		return err
	}
	return erase(ctx, c)
}

// Detach detaches a container, if it is attached, and leaves its namespace.
func Detach(ctx context.Context, c Container) error {
	agent := agentapi.Dial(agentSocket(c.Host))
	defer agent.Close()
	err := agent.Detach(ctx, agentapi.DetachRequest{Tenant: c.Tenant, Network: c.Network, Name: c.Name})
	if err != nil && !agentapi.IsNotFound(err) {
		return fmt.Errorf("container %s on %s: detach: %w", c.Name, c.Host, err)
	}
	return nil
}

// erase removes a container as far as the lab made it.
func erase(ctx context.Context, c Container) error {
	if nsExists(c.NetNS) {
		if err := removeNS(ctx, c.NetNS); err != nil {
			return err
		}
	}
	return os.Remove(containerPath(c.Name))
}

// Exec runs a command in a container's namespace with this process's standard streams and
// returns its exit status. When ctx ends the command is interrupted, as from a keyboard.
func Exec(ctx context.Context, name string, argv []string) (int, error) {
	if len(argv) == 0 {
		return 0, errors.New("say what to run: sluice lab exec NAME -- COMMAND")
	}
	if _, err := loadState(); err != nil {
		return 0, err
	}
	c, err := loadContainer(name)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", c.NetNS}, argv...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return exit.ExitCode(), nil
	}
	return 0, err
}
