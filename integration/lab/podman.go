package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	agentapi "sluice/hostagent/api"
)

// podman is Podman on one host of the lab, with a store of images and containers of its own. It
// works by CNI, in the host's network namespace.
type podman struct {
	host, dir string
}

func podmanOf(host string) podman { return podman{host, runtimeDir(host, RuntimePodman)} }

func (p podman) path(name string) string { return filepath.Join(p.dir, name) }

// command is Podman with these arguments.
func (p podman) command(args ...string) []string {
	return append(onHost(p.host, "env", "CONTAINERS_CONF="+p.path("containers.conf"),
		"podman", "--root", p.path("root"), "--runroot", p.path("run"), "--tmpdir", p.path("tmp"), "--storage-driver", "vfs"), args...)
}

// Podman is the command of a host's Podman, with these arguments.
func Podman(host string, args ...string) []string { return podmanOf(host).command(args...) }

// run runs Podman and returns what it prints.
func (p podman) run(ctx context.Context, args ...string) (string, error) {
	return runTool(ctx, "podman "+args[0], p.command(args...))
}

// setUp configures Podman for the host and imports the image.
func (p podman) setUp(ctx context.Context) error {
	if err := needPrograms("podman runc util-linux", "podman", "runc", "nsenter"); err != nil {
		return err
	}
	return prepareRuntime(p.dir, func() error {
		if err := p.configure(); err != nil {
			return err
		}
		image := p.path("image.tar")
		if err := writeImage(image); err != nil {
			return err
		}
		_, err := p.run(ctx, "import", image, ImageName)
		return errors.Join(err, os.Remove(image))
	})
}

// configure writes Podman's configuration.
func (p podman) configure() error {
	plugins, err := pluginDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.path("net"), 0o755); err != nil {
		return err
	}
	// crun refuses a machine whose control groups are of both versions; runc takes it.
	conf := fmt.Sprintf(`[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_backend = "cni"
network_config_dir = %q
cni_plugin_dirs = [%q]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
`, p.path("net"), plugins)
	return os.WriteFile(p.path("containers.conf"), []byte(conf), 0o644)
}

func startPodman(ctx context.Context, c Container, address string) (a agentapi.Attachment, err error) {
	p := podmanOf(c.Host)
	if err := p.setUp(ctx); err != nil {
		return a, err
	}
	list, err := c.cniList(nil)
	if err != nil {
		return a, err
	}
	network := c.network()
	if err := writeWhole(p.path("net/"+network+".conflist"), list); err != nil {
		return a, err
	}
	if address != "" {
		network += ":ip=" + address
	}
	id, err := p.run(ctx, "run", "--detach", "--name", c.Name, "--network", network, ImageName, "/bin/sleep", "infinity")
	if err != nil {
		return a, err
	}
	pid, err := p.run(ctx, "inspect", "--format", "{{.State.Pid}}", c.Name)
	if err != nil {
		return a, err
	}
	if err := nameNS(ctx, c.NetNS, pid); err != nil {
		return a, err
	}
	return portOf(ctx, c.Host, ofContainer(id))
}

func removePodman(ctx context.Context, c Container) error {
	_, err := podmanOf(c.Host).run(ctx, "rm", "--force", "--ignore", "--time", "0", c.Name)
	return err
}

func enterPodman(c Container) []string {
	return podmanOf(c.Host).command("exec", "--interactive", c.Name)
}

// endPodman removes every container of the host, and with them what they mounted. It does so also while
// the agent is away: then Podman says that it could not detach them, and the lab's end does.
func endPodman(ctx context.Context, host string) error {
	p := podmanOf(host)
	if _, err := os.Stat(p.path("root")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := p.run(ctx, "rm", "--all", "--force", "--time", "0")
	if left, listed := p.run(ctx, "ps", "--all", "--quiet"); listed == nil && left == "" {
		return nil
	}
	return err
}
