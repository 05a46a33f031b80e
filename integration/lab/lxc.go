package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	agentapi "sluice/hostagent/api"
)

// lxc is LXC on one host of the lab, with a folder of containers of its own.
type lxc struct {
	host, dir string
}

func lxcOf(host string) lxc { return lxc{host, runtimeDir(host, RuntimeLXC)} }

// command is a program of LXC about a container, with more arguments.
func (l lxc) command(program, container string, args ...string) []string {
	return append(onHost(l.host, program, "--lxcpath", l.containers(), "--name", container), args...)
}

func (l lxc) run(ctx context.Context, program, container string, args ...string) (string, error) {
	return runTool(ctx, program+" "+container, l.command(program, container, args...))
}

func (l lxc) containers() string { return filepath.Join(l.dir, "containers") }

func (l lxc) log(container string) string {
	return filepath.Join(l.containers(), container, container+".log")
}

// why is what stopped a start, by the container's log: the sentence of our hook, else LXC's first error.
func (l lxc) why(container string) string {
	text, err := os.ReadFile(l.log(container))
	if err != nil {
		return err.Error()
	}
	first := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "sluice ") {
			return line
		}
		if strings.Contains(line, " ERROR ") && first == "" {
			first = line
		}
	}
	return first
}

// config is a container's configuration before LXC adds to it. The lab's own program is the hook.
func (l lxc) config(c Container, binary, address string) string {
	hook := binary + " lxc-hook --socket " + agentSocket(l.host)
	start := hook + " --tenant " + c.Tenant + " --network " + c.Network
	if address != "" {
		start += " --ip " + address
	}
	return fmt.Sprintf("lxc.net.0.type = empty\nlxc.hook.start-host = %s\nlxc.hook.post-stop = %s\n", start, hook)
}

// withoutDHCP keeps the template's init from a DHCP client, which removes addresses.
func (l lxc) withoutDHCP(container string) error {
	file := filepath.Join(l.containers(), container, "rootfs/etc/init.d/rcS")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, bytes.ReplaceAll(text, []byte("/bin/udhcpc\n"), nil), 0o744)
}

func startLXC(ctx context.Context, c Container, address string) (a agentapi.Attachment, err error) {
	if err := needPrograms("lxc busybox-static util-linux", "lxc-create", "lxc-start", "busybox", "nsenter"); err != nil {
		return a, err
	}
	l := lxcOf(c.Host)
	s, err := loadState()
	if err != nil {
		return a, err
	}
	if err := os.MkdirAll(l.containers(), 0o755); err != nil {
		return a, err
	}
	conf := filepath.Join(l.dir, c.Name+".conf")
	if err := os.WriteFile(conf, []byte(l.config(c, s.Binary, address)), 0o644); err != nil {
		return a, err
	}
	defer os.Remove(conf)
	if _, err := l.run(ctx, "lxc-create", c.Name, "--template", "busybox", "--config", conf); err != nil {
		return a, err
	}
	if err := l.withoutDHCP(c.Name); err != nil {
		return a, err
	}
	if _, err := l.run(ctx, "lxc-start", c.Name, "--logfile", l.log(c.Name), "--logpriority", "INFO"); err != nil {
		return a, fmt.Errorf("lxc-start %s: %s", c.Name, cmp.Or(l.why(c.Name), err.Error()))
	}
	pid, err := l.run(ctx, "lxc-info", c.Name, "--pid", "--no-humanize")
	if err != nil {
		return a, err
	}
	if err := nameNS(ctx, c.NetNS, pid); err != nil {
		return a, err
	}
	return portOf(ctx, c.Host, ofContainer(c.Name))
}

func removeLXC(ctx context.Context, c Container) error {
	l := lxcOf(c.Host)
	if _, err := os.Stat(filepath.Join(l.containers(), c.Name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := l.run(ctx, "lxc-destroy", c.Name, "--force")
	return err
}

func enterLXC(c Container) []string {
	return lxcOf(c.Host).command("lxc-attach", c.Name, "--clear-env", "--set-var", "PATH=/bin", "--")
}

// endLXC removes all containers of a host.
func endLXC(ctx context.Context, host string) error {
	l := lxcOf(host)
	made, err := filepath.Glob(filepath.Join(l.containers(), "*", "config"))
	errs := []error{err}
	for _, config := range made {
		_, err := l.run(ctx, "lxc-destroy", filepath.Base(filepath.Dir(config)), "--force")
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
