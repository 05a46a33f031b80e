package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sluice/datapath/ovsrun"
	"sluice/integration/lab"
)

const (
	ovnBridge  = "ovn-int" // OVN's flows of a host
	ovnOutside = "ovn-ext" // a host's bridge towards its kernel, by which OVN's routers leave
	ovnPort    = 16642     // of the southbound database
	ovnSubnets = "172.31.0.0/16"
	// ovnUplink and ovnUplinkMAC are of each host's kernel, in the network of the routers' outer sides.
	ovnUplink    = "172.31.255.254"
	ovnUplinkMAC = "02:03:00:00:00:01"
	ovnSchemas   = "/usr/share/ovn"
	ovnExternal  = "ext" // the logical switch of the routers' outer sides
)

// ovnPrograms are what OVN's cases run besides the lab.
var ovnPrograms = []string{"ovn-northd", "ovn-controller", "ovn-nbctl", "ovn-appctl"}

// ovn is OVN on the lab's hosts and their switches, beside Sluice: Geneve tunnels, its databases and ovn-northd beside the
// controller.
type ovn struct {
	*labRun
	dir     string
	central []*ovsrun.Child
	agents  []*ovsrun.Child // ovn-controller, by host
}

// startOVN starts it without tenants; stop removes what of it does not go with the lab.
func startOVN(ctx context.Context, l *labRun) (o *ovn, err error) {
	o = &ovn{labRun: l, agents: make([]*ovsrun.Child, len(l.Hosts))}
	if o.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return nil, err
	}
	err = o.startCentral(ctx)
	for host := range l.Hosts {
		err = errors.Join(err, o.prepare(ctx, host), o.startAgent(ctx, host))
	}
	if err == nil {
		_, err = o.nb(ctx, "ls-add", ovnExternal, "--", "lsp-add", ovnExternal, "wire", "--", "lsp-set-type", "wire", "localnet", "--",
			"lsp-set-addresses", "wire", "unknown", "--", "lsp-set-options", "wire", "network_name=outside")
	}
	if err == nil {
		err = o.sync(ctx)
	}
	if err != nil {
		o.stop()
		return nil, fmt.Errorf("start OVN: %w", err)
	}
	return o, nil
}

func (o *ovn) path(name string) string { return filepath.Join(o.dir, name) }

// stop ends all processes; bridges and ports go with the lab.
func (o *ovn) stop() {
	for _, child := range append(o.agents, o.central...) {
		child.End()
	}
	os.RemoveAll(o.dir)
}

func (o *ovn) startCentral(ctx context.Context) error {
	for _, name := range []string{"nb", "sb"} {
		if _, err := output(ctx, "", "ovsdb-tool", "create", o.path(name+".db"), filepath.Join(ovnSchemas, "ovn-"+name+".ovsschema")); err != nil {
			return err
		}
		argv := []string{"ovsdb-server", "--remote=punix:" + o.path(name+".sock"), "--unixctl=" + o.path(name+".ctl"),
			"--log-file=" + o.path(name+".log"), "-vconsole:off", o.path(name + ".db")}
		if name == "sb" {
			argv = append(argv, fmt.Sprintf("--remote=ptcp:%d:%s", ovnPort, lab.ControlAddress))
		}
		if err := o.addCentral(ctx, o.path(name+".sock"), argv); err != nil {
			return err
		}
	}
	return o.addCentral(ctx, o.path("northd.ctl"), []string{"ovn-northd", "--ovnnb-db=unix:" + o.path("nb.sock"), "--ovnsb-db=unix:" + o.path("sb.sock"),
		"--unixctl=" + o.path("northd.ctl"), "--log-file=" + o.path("northd.log"), "-vconsole:off"})
}

// addCentral starts a daemon beside the controller and waits for a socket of it.
func (o *ovn) addCentral(ctx context.Context, socket string, argv []string) error {
	child, err := o.spawn(lab.ControlNS, nil, argv)
	if err != nil {
		return err
	}
	o.central = append(o.central, child)
	return listens(ctx, child, socket)
}

// spawn starts a daemon in a namespace.
func (o *ovn) spawn(netns string, env, argv []string) (*ovsrun.Child, error) {
	argv = append([]string{"nsenter", "--net=/run/netns/" + netns, "--"}, argv...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(append(os.Environ(), "OVN_RUNDIR="+o.dir), env...)
	return ovsrun.Spawn(cmd)
}

// listens waits for a daemon's socket.
func listens(ctx context.Context, child *ovsrun.Child, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, labPatience)
	defer cancel()
	return until(ctx, func() error {
		select {
		case <-child.Exited():
			cancel()
			return errors.Join(fmt.Errorf("the daemon of %s ended", socket), child.Err())
		default:
		}
		_, err := os.Stat(socket)
		return err
	})
}

// prepare tells a host's switch where OVN's databases are, and gives OVN's routers a way to the host's kernel.
func (o *ovn) prepare(ctx context.Context, host int) error {
	h := o.Hosts[host]
	ids := map[string]string{
		"system-id": h.Name, "ovn-remote": fmt.Sprintf("tcp:%s:%d", lab.ControlAddress, ovnPort), "ovn-encap-type": "geneve", "ovn-encap-ip": h.VTEP.String(),
		"ovn-bridge": ovnBridge, "ovn-bridge-datapath-type": "netdev", "ovn-bridge-mappings": "outside:" + ovnOutside,
	}
	say := []string{"set", "open_vswitch", "."}
	for key, value := range ids {
		say = append(say, fmt.Sprintf("external_ids:%s=%q", key, value))
	}
	if _, err := h.Switch().VSCtl(ctx, say...); err != nil {
		return err
	}
	err := o.change(ctx, host, func(c *ovsrun.Change) error {
		return errors.Join(addUserspaceBridge(c, ovnBridge), c.Also("set", "bridge", ovnBridge, "fail_mode=secure"), addUserspaceBridge(c, ovnOutside),
			c.Also("set", "bridge", ovnOutside, "other-config:hwaddr="+ovnUplinkMAC)) // routers remember it over a fail-over
	})
	if err != nil {
		return err
	}
	s := &senders{labRun: o.labRun, mtu: 1400}
	if err := s.routeAt(ctx, host, ovnOutside, ovnUplink); err != nil {
		return err
	}
	if _, err := output(ctx, "", "ip", "-n", h.NetNS, "route", "replace", ovnSubnets, "dev", ovnOutside); err != nil {
		return err
	}
	return s.masquerade(ctx, host, ovnSubnets)
}

// startAgent starts a host's ovn-controller.
func (o *ovn) startAgent(ctx context.Context, host int) (err error) {
	h := o.Hosts[host]
	if err := os.MkdirAll(o.path(h.Name), 0o700); err != nil {
		return err
	}
	o.agents[host], err = o.spawn(h.NetNS, []string{"OVS_RUNDIR=" + h.RunDir, "OVN_RUNDIR=" + o.path(h.Name)},
		[]string{"ovn-controller", h.Switch().Endpoint(), "--log-file=" + o.path(h.Name+".log"), "-vconsole:off"})
	if err != nil {
		return err
	}
	return listens(ctx, o.agents[host], o.control(host))
}

// control is the socket of a host's ovn-controller.
func (o *ovn) control(host int) string {
	return filepath.Join(o.path(o.Hosts[host].Name), fmt.Sprintf("ovn-controller.%d.ctl", o.agents[host].PID()))
}

// restartAgent ends a host's ovn-controller as an upgrade does, which leaves all flows, and starts it again.
func (o *ovn) restartAgent(ctx context.Context, host int) error {
	if _, err := output(ctx, "", "ovn-appctl", "-t", o.control(host), "exit", "--restart"); err != nil {
		return err
	}
	<-o.agents[host].Exited()
	return o.startAgent(ctx, host)
}

// nb changes the northbound database.
func (o *ovn) nb(ctx context.Context, args ...string) (string, error) {
	return output(ctx, "", append([]string{"ovn-nbctl", "--db=unix:" + o.path("nb.sock")}, args...)...)
}

// sync waits until all hosts have what the northbound database says.
func (o *ovn) sync(ctx context.Context) error {
	_, err := o.nb(ctx, "--wait=hv", fmt.Sprintf("--timeout=%d", int(labPatience.Seconds())), "sync")
	return err
}

// processor is the time that OVN's daemons have computed.
func (o *ovn) processor() (sum time.Duration, err error) {
	for _, child := range append(o.agents, o.central...) {
		used, err := processorOf("OVN", fmt.Sprint(child.PID()))
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// ownProcessor is the time that Sluice's controller, with the etcd in it, and its agents have computed.
func (l *labRun) ownProcessor(ctx context.Context) (sum time.Duration, err error) {
	st, err := lab.Load(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range st.Processes {
		if kind, _, _ := strings.Cut(p.Name, "-"); kind != "controller" && kind != "agent" {
			continue
		}
		used, err := processorOf(p.Name, fmt.Sprint(p.PID))
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}
