package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	agentapi "sluice/hostagent/api"
)

// Runtimes that start containers in a lab.
const (
	RuntimeNetNS      = "netns" // a bare network namespace, without a process
	RuntimeDocker     = "docker"
	RuntimePodman     = "podman"
	RuntimeLXC        = "lxc"
	RuntimeContainerd = "containerd"
)

// starter is how containers of one runtime come and go.
type starter struct {
	// start makes the container and attaches it, at an address of its choice where that is "". The
	// container's namespace has then the name that c says.
	start func(ctx context.Context, c Container, address string) (agentapi.Attachment, error)
	// remove detaches it and ends it, as far as it was made.
	remove func(ctx context.Context, c Container) error
	// enter is the command that runs another one in it.
	enter func(c Container) []string
	// end removes all that runs on a host, and what was mounted for it; nil: nothing does.
	end func(ctx context.Context, host string) error
}

func starters() map[string]starter {
	return map[string]starter{
		RuntimeNetNS:      {start: startNetNS, remove: removeNetNS, enter: enterNetNS},
		RuntimeDocker:     {start: startDocker, remove: removeDocker, enter: enterDocker, end: endDocker},
		RuntimePodman:     {start: startPodman, remove: removePodman, enter: enterPodman, end: endPodman},
		RuntimeLXC:        {start: startLXC, remove: removeLXC, enter: enterLXC, end: endLXC},
		RuntimeContainerd: {start: startContainerd, remove: removeContainerd, enter: enterContainerd, end: endContainerd},
	}
}

// Runtimes are the names that Request.Runtime may have, sorted.
func Runtimes() []string { return slices.Sorted(maps.Keys(starters())) }

func starterOf(runtime string) (starter, error) {
	if s, ok := starters()[runtime]; ok {
		return s, nil
	}
	return starter{}, fmt.Errorf("runtime %q: it is %s", runtime, strings.Join(Runtimes(), " or "))
}

// runtimeDir is where a runtime keeps what it has on a host.
func runtimeDir(host, runtime string) string { return filepath.Join(hostDir(host), runtime) }

// endRuntimes ends what the runtimes of all hosts run.
func endRuntimes(ctx context.Context) error {
	var errs []error
	for name, runtime := range starters() {
		used, err := filepath.Glob(runtimeDir("*", name))
		errs = append(errs, err)
		for _, dir := range used {
			if runtime.end != nil {
				errs = append(errs, runtime.end(ctx, filepath.Base(filepath.Dir(dir))))
			}
		}
	}
	return errors.Join(errs...)
}

// prepareRuntime makes a runtime ready on a host once, however many containers come at a time.
func prepareRuntime(dir string, prepare func() error) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	ready := filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return nil
	}
	if err := prepare(); err != nil {
		return err
	}
	return os.WriteFile(ready, nil, 0o644)
}

// needPrograms refuses a runtime that the machine lacks programs of.
func needPrograms(packages string, programs ...string) error {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is missing: apt-get install %s", program, packages)
		}
	}
	return nil
}

// onHost is a command that runs in a host's network namespace. `ip netns exec` would give it mounts of
// its own, in which the agent does not see what a runtime mounts, and control groups are hidden.
func onHost(host string, argv ...string) []string {
	return append([]string{"nsenter", "--net=" + nsPath(hostNS(host)), "--"}, argv...)
}

// runTool runs a program of a runtime and returns what it prints. The error names it as what, with what it
// said.
func runTool(ctx context.Context, what string, argv []string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "/"
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", what, err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// network names a tenant's network in a runtime's list.
func (c Container) network() string { return c.Tenant + "-" + c.Network }

// cniList is a list of CNI with our plugin alone. The capability portMappings makes a runtime hand over
// what -p asks for; else it would be ignored.
func (c Container) cniList(more map[string]any) ([]byte, error) {
	plugin := map[string]any{
		"type": "sluice-cni", "tenant": c.Tenant, "network": c.Network, "socket": agentSocket(c.Host),
		"capabilities": map[string]bool{"ips": true, "mac": true, "portMappings": true},
	}
	maps.Copy(plugin, more)
	return json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": c.network(), "plugins": []any{plugin}})
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

// attachedAs takes over what an agent answered about the container's port.
func (c *Container) attachedAs(a agentapi.Attachment) error {
	c.MAC, c.Warnings = a.MAC, a.Warnings
	for _, text := range a.Addresses {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("the agent's answer: address %w", err)
		}
		c.IPs = append(c.IPs, p.Addr())
	}
	return nil
}

func startNetNS(ctx context.Context, c Container, address string) (agentapi.Attachment, error) {
	if nsExists(c.NetNS) {
		if err := removeNS(ctx, c.NetNS); err != nil {
			return agentapi.Attachment{}, err
		}
	}
	if err := addNS(ctx, c.NetNS); err != nil {
		return agentapi.Attachment{}, err
	}
	agent := agentapi.Dial(agentSocket(c.Host))
	defer agent.Close()
	a, err := agent.Attach(ctx, agentapi.AttachRequest{
		Tenant: c.Tenant, Network: c.Network, Name: c.Name,
		NetNS: nsPath(c.NetNS), IfName: c.Iface,
		Address: address, ContainerID: c.Name, Runtime: "lab",
	})
	if err != nil || a.DNS == nil {
		return a, err
	}
	return a, writeResolvConf(c.NetNS, a.DNS)
}

// writeResolvConf says who resolves names in a namespace.
func writeResolvConf(ns string, d *agentapi.DNS) error {
	var b strings.Builder
	for _, at := range d.Nameservers {
		fmt.Fprintln(&b, "nameserver", at)
	}
	fmt.Fprintln(&b, "search", strings.Join(d.Search, " "))
	if err := os.MkdirAll(filesOf(ns), 0o755); err != nil {
		return fmt.Errorf("resolv.conf of namespace %s: %w", ns, err)
	}
	if err := os.WriteFile(filepath.Join(filesOf(ns), "resolv.conf"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("resolv.conf of namespace %s: %w", ns, err)
	}
	return nil
}

func removeNetNS(ctx context.Context, c Container) error {
	agent := agentapi.Dial(agentSocket(c.Host))
	defer agent.Close()
	err := agent.Detach(ctx, agentapi.DetachRequest{Tenant: c.Tenant, Network: c.Network, Name: c.Name})
	if agentapi.IsNotFound(err) {
		return nil
	}
	return err
}

func enterNetNS(c Container) []string { return []string{"ip", "netns", "exec", c.NetNS} }

// ofContainer chooses the port of a container by the id that its runtime gave it.
func ofContainer(id string) func(agentapi.Attachment) bool {
	return func(p agentapi.Attachment) bool { return p.ContainerID == id }
}

// portOf is the port of a container that a runtime attached by itself.
func portOf(ctx context.Context, host string, is func(agentapi.Attachment) bool) (agentapi.Attachment, error) {
	agent := agentapi.Dial(agentSocket(host))
	defer agent.Close()
	ports, err := agent.List(ctx)
	if err != nil {
		return agentapi.Attachment{}, err
	}
	at := slices.IndexFunc(ports, is)
	if at < 0 {
		return agentapi.Attachment{}, errors.New("its runtime says that it runs, and the agent knows no port of it")
	}
	return ports[at], nil
}
