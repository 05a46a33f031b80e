package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sluice/datapath/ovsrun"
)

// ensureHost makes host n as far as the operating system goes: a namespace with its own Open
// vSwitch, whose bridge br-phy stands between the NIC and the kernel. Tunnels of the
// userspace datapath leave through that bridge.
func ensureHost(ctx context.Context, n int) error {
	host := hostName(n)
	ns := hostNS(host)
	made, err := ensureWired(ctx, ns, host, nicMAC(n))
	if err != nil {
		return err
	}
	if made {
		if err := setSysctls(ns, hostSysctls); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(hostDir(host), 0o755); err != nil {
		return err
	}
	db, err := ensureDatabase(ctx, host)
	if err != nil {
		return err
	}
	sw, err := ensureSwitch(ctx, host)
	if err != nil || (!db && !sw && !made) {
		return err
	}
	return ensurePhysical(ctx, n)
}

func switchOf(host string) ovsrun.Switch { return ovsrun.Switch{Dir: hostDir(host)} }

// ensureDatabase starts a host's ovsdb-server unless it runs.
func ensureDatabase(ctx context.Context, host string) (startedIt bool, err error) {
	conf := filepath.Join(hostDir(host), "conf.db")
	if _, err := os.Stat(conf); errors.Is(err, fs.ErrNotExist) {
		if err := ovsrun.CreateDatabase(ctx, conf); err != nil {
			return false, err
		}
	}
	return ensureDaemon(ctx, "ovsdb", host, "ovsdb-server", conf,
		"--remote=p"+switchOf(host).Endpoint(),
		"--remote=db:Open_vSwitch,Open_vSwitch,manager_options")
}

// ensureSwitch starts a host's ovs-vswitchd unless it runs. --disable-system keeps it from a
// kernel datapath, which namespaces would share.
func ensureSwitch(ctx context.Context, host string) (startedIt bool, err error) {
	if _, err := switchOf(host).VSCtl(ctx, "--no-wait", "init"); err != nil {
		return false, err
	}
	return ensureDaemon(ctx, "vswitchd", host, "ovs-vswitchd", switchOf(host).Endpoint(), "--disable-system")
}

// ensureDaemon starts one of OVS's daemons in a host's namespace. With --detach it returns
// when the daemon is ready, or says why it is not.
func ensureDaemon(ctx context.Context, kind, host, program string, args ...string) (bool, error) {
	name := kind + "-" + host
	if _, alive := lookup(name); alive {
		return false, nil
	}
	if _, err := kill(name); err != nil { // alive, but in a namespace that was replaced
		return false, err
	}
	pidfile := filepath.Join(hostDir(host), program+".pid")
	argv := append([]string{"ip", "netns", "exec", hostNS(host), "env", "OVS_RUNDIR=" + hostDir(host)},
		ovsrun.Prioritized(program, args...)...)
	argv = append(argv, "--detach", "--no-chdir", "--pidfile="+pidfile, "--log-file="+logPath(name), "-vconsole:warn")
	if _, err := run(ctx, argv...); err != nil {
		return false, fmt.Errorf("%w; its log is %s", err, logPath(name))
	}
	pid, err := readPID(pidfile)
	if err != nil {
		return false, fmt.Errorf("%s: %w", program, err)
	}
	return true, record(name, pid)
}

// ensurePhysical gives the bridge br-phy the NIC and the host's address.
func ensurePhysical(ctx context.Context, n int) error {
	host := hostName(n)
	err := switchOf(host).Change(ctx, func(c *ovsrun.Change) error {
		return errors.Join(
			c.AddBridge(phyBridge),
			c.Also("set", "bridge", phyBridge, "datapath_type=netdev", `other_config:hwaddr="`+underlayMAC(hostAddress(n))+`"`),
			c.AddPort(phyBridge, nic))
	})
	if err != nil {
		return err
	}
	return ipBatch(ctx, hostNS(host),
		fmt.Sprintf("address replace %s/%d dev %s", hostAddress(n), Underlay.Bits(), phyBridge),
		fmt.Sprintf("link set %s up", phyBridge),
		fmt.Sprintf("route replace default via %s", RouterAddress))
}
