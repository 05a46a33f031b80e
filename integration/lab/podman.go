package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	agentapi "sluice/hostagent/api"
)

// podman is Podman on one host of the lab, with a store of images and containers of its own. It
// works by CNI, in the host's network namespace. It is entered by nsenter: `ip netns exec` would
// give it mounts of its own, in which the agent does not see the container's namespace.
type podman struct {
	host, dir string
}

func podmanOf(host string) podman { return podman{host, filepath.Join(hostDir(host), "podman")} }

// imageName is the one image of the lab.
const imageName = "localhost/sluice-lab"

func (p podman) path(name string) string { return filepath.Join(p.dir, name) }

// command is Podman with these arguments.
func (p podman) command(args ...string) []string {
	return append([]string{
		"nsenter", "--net=" + nsPath(hostNS(p.host)), "--", "env", "CONTAINERS_CONF=" + p.path("containers.conf"),
		"podman", "--root", p.path("root"), "--runroot", p.path("run"), "--tmpdir", p.path("tmp"), "--storage-driver", "vfs",
	}, args...)
}

// run runs Podman and returns what it prints.
func (p podman) run(ctx context.Context, args ...string) (string, error) {
	argv := p.command(args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "/"
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("podman %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// setUp configures Podman for the host and imports the image, unless that was done before.
func (p podman) setUp(ctx context.Context) error {
	for _, program := range []string{"podman", "runc", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("podman needs %s: apt-get install podman runc util-linux", program)
		}
	}
	if err := os.MkdirAll(p.path("net"), 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(p.path("lock")) // several may start their first container at once
	if err != nil {
		return err
	}
	defer unlock()
	image := p.path("image.tar")
	if _, err := os.Stat(image); err == nil {
		return nil
	}
	if err := p.configure(); err != nil {
		return err
	}
	if err := writeImage(image); err != nil {
		return err
	}
	if _, err := p.run(ctx, "import", image, imageName); err != nil {
		return errors.Join(err, os.Remove(image))
	}
	return nil
}

// configure writes Podman's configuration.
func (p podman) configure() error {
	plugins, err := pluginDir()
	if err != nil {
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

// pluginDir is where sluice-cni is: beside the lab's own program.
func pluginDir() (string, error) {
	s, err := loadState()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(s.Binary)
	if _, err := os.Stat(filepath.Join(dir, "sluice-cni")); err != nil {
		return "", fmt.Errorf("the CNI plugin: %w: run make build", err)
	}
	return dir, nil
}

// network writes the list of a tenant's network, and returns its name. The capability portMappings
// makes Podman hand over what -p asks for, which the plugin then refuses; else it would be ignored.
func (p podman) network(tenant, network string) (string, error) {
	name := tenant + "-" + network
	list := map[string]any{
		"cniVersion": "1.0.0", "name": name,
		"plugins": []any{map[string]any{
			"type": "sluice-cni", "tenant": tenant, "network": network, "socket": agentSocket(p.host),
			"capabilities": map[string]bool{"ips": true, "mac": true, "portMappings": true},
		}},
	}
	b, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	return name, writeWhole(p.path("net/"+name+".conflist"), b)
}

func startPodman(ctx context.Context, c Container, address string) (a agentapi.Attachment, err error) {
	p := podmanOf(c.Host)
	if err := p.setUp(ctx); err != nil {
		return a, err
	}
	network, err := p.network(c.Tenant, c.Network)
	if err != nil {
		return a, err
	}
	if address != "" {
		network += ":ip=" + address
	}
	id, err := p.run(ctx, "run", "--detach", "--name", c.Name, "--network", network, imageName, "/bin/sleep", "infinity")
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
	return portOf(ctx, c.Host, id)
}

func removePodman(ctx context.Context, c Container) error {
	_, err := podmanOf(c.Host).run(ctx, "rm", "--force", "--ignore", "--time", "0", c.Name)
	return err
}

func enterPodman(c Container) []string {
	return podmanOf(c.Host).command("exec", "--interactive", c.Name)
}

// end removes every container of the host, and with them what they mounted. It does so also while
// the agent is away: then Podman says that it could not detach them, and the lab's end does.
func (p podman) end(ctx context.Context) error {
	if _, err := os.Stat(p.path("root")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := p.run(ctx, "rm", "--all", "--force", "--time", "0")
	if left, listed := p.run(ctx, "ps", "--all", "--quiet"); listed == nil && left == "" {
		return nil
	}
	return err
}
