package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Case is one thing that is measured.
type Case struct {
	Name  string
	About string // one line: what is compared with what
	Ratio string // sentences: how its ratios are made, for those who judge them
	// Needs are the programs that it runs, as root. scripts/deps installs each.
	Needs []string
	// Run measures and reports through r. It returns an error when it could not measure: a
	// missed bound is no error, but a Result that does not hold.
	Run func(ctx context.Context, r *Run) error
}

// measure runs the case where the machine has what it needs.
func (c Case) measure(ctx context.Context, r *Run) error {
	if err := need(c.Needs); err != nil {
		return err
	}
	return c.Run(ctx, r)
}

// need names what a case lacks on this machine.
func need(programs []string) error {
	if len(programs) > 0 && os.Geteuid() != 0 {
		return errors.New("it needs root")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("it needs %s, which this machine lacks: run `make deps`, or %s", name, installs(name))
		}
	}
	return nil
}

// packages are Debian's, of the programs that are not in one of their own name.
var packages = map[string]string{
	"ip": "iproute2", "tc": "iproute2", "ping": "iputils-ping", "nft": "nftables", "nsenter": "util-linux", "unshare": "util-linux", "docker": "docker.io", "dockerd": "docker.io",
	"ovs-vswitchd": "openvswitch-switch", "ovs-vsctl": "openvswitch-switch", "ovsdb-server": "openvswitch-common",
	"mpicc.mpich": "libmpich-dev", "mpiexec.mpich": "mpich",
	"ovn-northd": "ovn-central", "ovn-nbctl": "ovn-common", "ovn-appctl": "ovn-common", "ovn-controller": "ovn-host",
	"ovsdb-tool": "openvswitch-common", "ovs-ofctl": "openvswitch-common", "ovs-appctl": "openvswitch-common",
}

// installs is the command that installs a program.
func installs(program string) string {
	name, ok := packages[program]
	if !ok {
		name = program
	}
	return "`sudo apt-get install " + name + "`"
}

// Cases are all that there is to run, in the order in which they run.
func Cases() []Case {
	return []Case{
		programCase(), resyncCase(), tenantCase(), sleepCase(), attachCase(), attachDockerCase(), fleetCase(), bandwidthCase(), packetsCase(), paperOneCase(), paperTwoCase(), paperThreeCase(), paperFourCase(), paperFiveCase(), ovnCase(), floodCase(), verifyCase(), failOverCase(), probesCase(), ratesCase(), tenantsCase(),
	}
}

// Choose picks cases by name; no name stands for all.
func Choose(all []Case, names []string) ([]Case, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Case
	for _, name := range names {
		c, ok := find(all, name)
		if !ok {
			return nil, fmt.Errorf("no benchmark %q: there are %s", name, strings.Join(Names(all), ", "))
		}
		chosen = append(chosen, c)
	}
	return chosen, nil
}

func find(all []Case, name string) (Case, bool) {
	for _, c := range all {
		if c.Name == name {
			return c, true
		}
	}
	return Case{}, false
}

// Names are the cases' names.
func Names(all []Case) []string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	return names
}
