package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	agentapi "sluice/hostagent/api"
	"sluice/store"
)

// Request asks for a container on a host, attached to a tenant's network.
type Request struct {
	Host, Tenant string
	Network      string // "": the tenant's default
	Name         string // unique in the lab
	Address      string // "": the network chooses
	Runtime      string // one of Runtimes; "": RuntimeNetNS
}

// Run makes a container and attaches it. A run that fails leaves nothing.
func Run(ctx context.Context, r Request) (Container, error) {
	unlock, err := lock(ctx, unix.LOCK_SH)
	if err != nil {
		return Container{}, err
	}
	defer unlock()
	s, err := loadState()
	if err != nil {
		return Container{}, err
	}
	c := Container{
		Name: r.Name, Tenant: r.Tenant, Network: cmp.Or(r.Network, agentapi.DefaultNetwork), Host: r.Host,
		NetNS: ContainerNS(r.Name), Iface: nic, Runtime: cmp.Or(r.Runtime, RuntimeNetNS),
	}
	_, unknown := starterOf(c.Runtime)
	if err := errors.Join(s.hasHost(c.Host), store.ValidateName(c.Name), unknown); err != nil {
		return Container{}, err
	}
	if err := claim(c); err != nil {
		return Container{}, err
	}
	c, err = create(ctx, c, r.Address)
	if err != nil {
		undo := context.WithoutCancel(ctx)
		return Container{}, errors.Join(fmt.Errorf("container %s on %s: %w", c.Name, c.Host, err), undone(undo, c), erase(undo, c))
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
	runtime, err := starterOf(c.Runtime)
	if err != nil {
		return c, err
	}
	a, err := runtime.start(ctx, c, address)
	if err != nil {
		return c, err
	}
	if err := c.attachedAs(a); err != nil {
		return c, err
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

// Detach detaches a container, if it is attached, as its runtime does: a bare namespace stays,
// others end.
func Detach(ctx context.Context, c Container) error {
	runtime, err := starterOf(cmp.Or(c.Runtime, RuntimeNetNS))
	if err != nil {
		return err
	}
	if err := runtime.remove(ctx, c); err != nil {
		return fmt.Errorf("container %s on %s: detach: %w", c.Name, c.Host, err)
	}
	return nil
}

// undone ends what a runtime left of a container whose start failed. A failed attach leaves no port.
func undone(ctx context.Context, c Container) error {
	if c.Runtime == RuntimeNetNS {
		return nil
	}
	return Detach(ctx, c)
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

// Exec runs a command in a container with this process's standard streams and
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
	runtime, err := starterOf(cmp.Or(c.Runtime, RuntimeNetNS))
	if err != nil {
		return 0, err
	}
	argv = append(runtime.enter(c), argv...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
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
