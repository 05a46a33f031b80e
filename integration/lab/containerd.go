package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	agentapi "sluice/hostagent/api"
)

// containerd is containerd on one host of the lab, with a daemon of its own, and ctr as its client.
type containerd struct {
	host, dir string
}

func containerdOf(host string) containerd {
	return containerd{host, runtimeDir(host, RuntimeContainerd)}
}

func (d containerd) path(name string) string { return filepath.Join(d.dir, name) }

func (d containerd) process() string { return "containerd-" + d.host }

// command is ctr with these arguments.
func (d containerd) command(args ...string) []string {
	return append(onHost(d.host, "ctr", "--address", d.path("containerd.sock")), args...)
}

func (d containerd) run(ctx context.Context, args ...string) (string, error) {
	return runTool(ctx, "ctr "+strings.Join(args[:min(2, len(args))], " "), d.command(args...))
}

// setUp starts the host's daemon and imports the image. What the daemon and its containers mount is
// theirs alone, and goes with them.
func (d containerd) setUp(ctx context.Context) error {
	if err := needPrograms("containerd runc util-linux", "containerd", "ctr", "runc", "nsenter", "unshare"); err != nil {
		return err
	}
	return prepareRuntime(d.dir, func() error {
		conf := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = %q\n",
			d.path("root"), d.path("state"), d.path("containerd.sock"))
		if err := os.WriteFile(d.path("config.toml"), []byte(conf), 0o644); err != nil {
			return err
		}
		if err := ensureProcess(ctx, d.process(), d.answers, "unshare", "--mount", "--",
			"containerd", "--config", d.path("config.toml"), "--log-level", "warn"); err != nil {
			return err
		}
		image := d.path("image.tar")
		if err := WriteArchive(image); err != nil {
			return err
		}
		_, err := d.run(ctx, "images", "import", image)
		return errors.Join(err, os.Remove(image))
	})
}

func (d containerd) answers(ctx context.Context) error {
	_, err := d.run(ctx, "version")
	return err
}

// withCNI runs ctr where CNI's folders are the lab's: ctr knows no other ones. $1 has plugins, $2 lists.
const withCNI = `mount -t tmpfs tmpfs /opt && mkdir -p /opt/cni/bin && mount --bind "$1" /opt/cni/bin &&
mkdir -p /etc/cni/net.d && mount --bind "$2" /etc/cni/net.d && shift 2 && exec "$@"`

// cniDir writes a folder with the one list that a container is for.
func (d containerd) cniDir(c Container, address string) (string, error) {
	more := map[string]any{}
	if address != "" {
		more["args"] = map[string]any{"cni": map[string]any{"ips": []string{address}}}
	}
	list, err := c.cniList(more)
	if err != nil {
		return "", err
	}
	dir := d.path("net-" + c.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, writeWhole(filepath.Join(dir, "10-"+c.network()+".conflist"), list)
}

func startContainerd(ctx context.Context, c Container, address string) (a agentapi.Attachment, err error) {
	d := containerdOf(c.Host)
	if err := d.setUp(ctx); err != nil {
		return a, err
	}
	plugins, err := pluginDir()
	if err != nil {
		return a, err
	}
	lists, err := d.cniDir(c, address)
	if err != nil {
		return a, err
	}
	argv := append([]string{"unshare", "--mount", "--", "sh", "-c", withCNI, "sh", plugins, lists},
		d.command("run", "--rm", "--cni", "--null-io", ImageName+":latest", c.Name, "/bin/sleep", "infinity")...)
	if err := d.background(ctx, c, argv); err != nil {
		return a, err
	}
	pid, err := d.pid(ctx, c.Name)
	if err != nil {
		return a, err
	}
	if err := nameNS(ctx, c.NetNS, pid); err != nil {
		return a, err
	}
	return portOf(ctx, c.Host, ofContainer(containerdID(c)))
}

// containerdID is how ctr names a container to CNI: with containerd's own namespace.
func containerdID(c Container) string { return "default-" + c.Name }

// background starts ctr, which stays as long as its container, and returns once that runs.
func (d containerd) background(ctx context.Context, c Container, argv []string) error {
	log, err := os.Create(d.path(c.Name + ".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("ctr run: %w", err)
	}
	return watch("ctr run "+c.Name, log.Name(), cmd).waitReady(ctx, startLimit, func(ctx context.Context) error {
		_, err := d.pid(ctx, c.Name)
		return err
	})
}

// pid is the number of a container's first process, once it runs.
func (d containerd) pid(ctx context.Context, name string) (string, error) {
	list, err := d.run(ctx, "task", "list")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name && f[2] == "RUNNING" {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("container %s does not run", name)
}

// removeContainerd ends a container; its ctr, which waits for that, detaches and removes it.
func removeContainerd(ctx context.Context, c Container) error {
	return containerdOf(c.Host).remove(ctx, c.Name)
}

func (d containerd) remove(ctx context.Context, name string) error {
	left, err := d.run(ctx, "container", "list", "--quiet")
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(left), name) {
		return nil
	}
	_, killed := d.run(ctx, "task", "kill", "--signal", "SIGKILL", name)
	for range 100 {
		if left, err = d.run(ctx, "container", "list", "--quiet"); err != nil || !slices.Contains(strings.Fields(left), name) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.Join(fmt.Errorf("container %s does not go", name), killed)
}

func enterContainerd(c Container) []string {
	return containerdOf(c.Host).command("task", "exec", "--exec-id", rand.Text(), c.Name)
}

// endContainerd ends all containers of a host; the daemon is one of the lab's processes.
func endContainerd(ctx context.Context, host string) error {
	d := containerdOf(host)
	if _, alive := lookup(d.process()); !alive {
		return nil
	}
	names, err := d.run(ctx, "container", "list", "--quiet")
	errs := []error{err}
	for _, name := range strings.Fields(names) {
		errs = append(errs, d.remove(ctx, name))
	}
	return errors.Join(errs...)
}
