package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"

	"sluice/datapath/ovsrun"
)

// tools are the programs that the lab and the agents run, by Debian package.
var tools = map[string][]string{
	"openvswitch-switch": {"ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-appctl"},
	"iproute2":           {"ip"},
	"nftables":           {"nft"},
	"ethtool":            {"ethtool"},
}

// checkMachine says what this machine lacks, all at once.
func checkMachine() error {
	if os.Geteuid() != 0 {
		return errors.New("the lab makes network namespaces and switches: run it as root")
	}
	var packages, missing []string
	for pkg, names := range tools {
		n := len(missing)
		for _, name := range names {
			if _, err := exec.LookPath(name); err != nil {
				missing = append(missing, name)
			}
		}
		if len(missing) > n {
			packages = append(packages, pkg)
		}
	}
	if len(packages) > 0 {
		sort.Strings(packages)
		sort.Strings(missing)
		return fmt.Errorf("missing %s: apt-get install %s", strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return fmt.Errorf("the userspace datapath of Open vSwitch needs /dev/net/tun: %w; try `modprobe tun`", err)
	}
	if _, err := os.Stat(ovsrun.Schema); err != nil {
		return fmt.Errorf("the database schema of Open vSwitch: %w; apt-get install openvswitch-common", err)
	}
	return nil
}
