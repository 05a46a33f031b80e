package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// docker is a Docker daemon of one host of the lab, in the host's network namespace. A daemon looks for
// its drivers in /run/docker/plugins alone: so it has mounts of its own, in which that is the host's
// folder. A process that sleeps keeps these mounts, and what Docker mounts in them, while the daemon
// is started anew.
type docker struct {
	host, dir string
}

// dockerd begins the name of the daemon's process, dockerMounts that of the one that keeps its mounts.
const (
	dockerd      = "dockerd"
	dockerMounts = "dockermounts"
)

func dockerOf(host string) docker { return docker{host, runtimeDir(host, RuntimeDocker)} }

func (d docker) path(name string) string { return filepath.Join(d.dir, name) }
func (d docker) plugins() string         { return d.path("plugins") }
func (d docker) socket() string          { return "unix://" + d.path("docker.sock") }
func (d docker) process() string         { return dockerd + "-" + d.host }

// cgroup is where the host's containers are, so that they can be ended without their daemon.
func (d docker) cgroup() string { return "/sluice-docker-" + d.host }

// run runs Docker's command and returns what it prints.
func (d docker) run(ctx context.Context, args ...string) (string, error) {
	out, err := run(ctx, d.command(args...)...)
	return strings.TrimSpace(out), err
}

func (d docker) command(args ...string) []string {
	return append([]string{"docker", "--host", d.socket()}, args...)
}

// DockerSocket is where Docker's command finds the daemon of a host.
func DockerSocket(host string) string { return dockerOf(host).socket() }

// StartDocker starts the daemon of a host, with the lab's image, unless it runs.
func StartDocker(ctx context.Context, host string) error {
	s, unlock, err := workIn(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.hasHost(host); err != nil {
		return err
	}
	return dockerOf(host).setUp(ctx)
}

// setUp starts the daemon and imports the image, unless that was done before.
func (d docker) setUp(ctx context.Context) error {
	if err := needPrograms("docker.io util-linux", "dockerd", "docker", "nsenter", "unshare"); err != nil {
		return err
	}
	if err := os.MkdirAll(d.plugins(), 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(d.path("lock")) // several may start their first container at once
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.ensure(ctx); err != nil {
		return err
	}
	image := d.path("image.tar")
	if _, err := os.Stat(image); err == nil {
		return nil
	}
	if err := writeImage(image); err != nil {
		return err
	}
	if _, err := d.run(ctx, "import", image, ImageName); err != nil {
		return errors.Join(err, os.Remove(image))
	}
	return nil
}

// ensure starts the daemon unless it runs.
func (d docker) ensure(ctx context.Context) error {
	mounts, err := d.ensureMounts(ctx)
	if err != nil {
		return err
	}
	if err := d.configure(); err != nil {
		return err
	}
	if _, alive := lookup(d.process()); !alive {
		for _, file := range []string{"docker.pid", "exec/containerd/containerd.pid"} {
			if err := forgetProcess(d.path(file)); err != nil {
				return err
			}
		}
	}
	ready := func(ctx context.Context) error {
		_, err := d.run(ctx, "version", "--format", "{{.Server.Version}}")
		return err
	}
	return ensureProcess(ctx, d.process(), ready, "nsenter", "--mount=/proc/"+strconv.Itoa(mounts)+"/ns/mnt", "--",
		"dockerd", "--config-file", d.path("daemon.json"), "--host", d.socket(), "--pidfile", d.path("docker.pid"),
		"--data-root", d.path("data"), "--exec-root", d.path("exec"), "--storage-driver", "vfs",
		"--bridge", "none", "--iptables=false", "--ip-masq=false", "--exec-opt", "native.cgroupdriver=cgroupfs",
		"--cgroup-parent", d.cgroup(), "--default-ulimit", "nofile=1024:1024", "--log-level", "warn")
}

// configure writes the daemon's settings; those that somebody wrote before stay.
func (d docker) configure() error {
	file := d.path("daemon.json")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	return os.WriteFile(file, []byte("{\"live-restore\": true}\n"), 0o644)
}

// forgetProcess removes the file of a process that was killed, once it has ended: a daemon that finds the
// number takes also a dead process, which nobody has reaped, for one that runs.
func forgetProcess(file string) error {
	pid, err := readPID(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if start, err := startTime(pid); err == nil {
		if err := waitGone(pid, start); err != nil {
			return err
		}
	}
	return os.Remove(file)
}

// ensureMounts starts the process that keeps the daemon's mounts, and returns its number.
func (d docker) ensureMounts(ctx context.Context) (pid int, err error) {
	name := dockerMounts + "-" + d.host
	const made = "mounted"
	mount := `mkdir -p /run/docker/plugins /etc/docker && mount --bind "$1" /run/docker/plugins && mount -t tmpfs tmpfs /etc/docker &&
		touch /etc/docker/` + made + ` && exec sleep infinity`
	ready := func(context.Context) error {
		rec, alive := lookup(name)
		if !alive {
			return errors.New("it has not begun")
		}
		_, err := os.Stat(fmt.Sprintf("/proc/%d/root/etc/docker/%s", rec.PID, made))
		return err
	}
	if err := ensureProcess(ctx, name, ready, "unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", d.plugins()); err != nil {
		return 0, err
	}
	rec, _ := lookup(name)
	return rec.PID, nil
}

// endDocker ends the daemon of a host and its containers. What is left of these goes with the host's
// namespaces and files.
func endDocker(_ context.Context, host string) error {
	d := dockerOf(host)
	_, err := kill(d.process())
	return errors.Join(err, endCgroup(d.cgroup()))
}

// endCgroup ends all processes of a control group, and removes it in each hierarchy.
func endCgroup(name string) error {
	roots, err := filepath.Glob("/sys/fs/cgroup/*" + name)
	roots = append(roots, "/sys/fs/cgroup"+name)
	for _, root := range roots {
		err = errors.Join(err, filepath.WalkDir(root, killGroup))
	}
	for _, root := range roots {
		err = errors.Join(err, removeGroup(root))
	}
	return err
}

// killGroup ends the processes of one group, and those that they start meanwhile.
func killGroup(path string, entry fs.DirEntry, err error) error {
	if errors.Is(err, fs.ErrNotExist) || err == nil && !entry.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	for range 20 {
		text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil || len(text) == 0 {
			return nil
		}
		for _, word := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				continue
			}
			start, err := startTime(pid)
			if err == nil && unix.Kill(pid, unix.SIGKILL) == nil {
				err = waitGone(pid, start)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("control group %s: %w", path, err)
			}
		}
	}
	return nil
}

// removeGroup removes a control group with those below it; no error if there is none.
func removeGroup(path string) error {
	below, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range below {
		if entry.IsDir() {
			err = errors.Join(err, removeGroup(filepath.Join(path, entry.Name())))
		}
	}
	if gone := unix.Rmdir(path); gone != nil && !errors.Is(gone, unix.ENOENT) {
		err = errors.Join(err, fmt.Errorf("remove control group %s: %w", path, gone))
	}
	return err
}
