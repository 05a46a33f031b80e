package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"sluice/datapath/ovsrun"
)

// TrunkInterface is a host's interface on the trunk, where the lab has one.
const TrunkInterface = trunkNIC

// trunkSwitch is the switch of the trunk, which runs in UnderlayNS, by the name that stands in its processes' names. It is one of
// Open vSwitch, which learns in each VLAN apart, as switches do: kernels need not be able to.
const trunkSwitch = "net"

// EnsureTrunk gives hosts a second wire, into a switch that carries VLANs.
func EnsureTrunk(ctx context.Context, hosts ...string) error {
	if err := os.MkdirAll(hostDir(trunkSwitch), 0o755); err != nil {
		return err
	}
	if _, err := ensureDatabase(ctx, trunkSwitch); err != nil {
		return fmt.Errorf("the trunk's switch: %w", err)
	}
	if _, err := ensureSwitch(ctx, trunkSwitch); err != nil {
		return fmt.Errorf("the trunk's switch: %w", err)
	}
	err := switchOf(trunkSwitch).Change(ctx, func(c *ovsrun.Change) error {
		return errors.Join(c.AddBridge(trunkBridge), c.Also("set", "bridge", trunkBridge, "datapath_type=netdev"))
	})
	for _, host := range hosts {
		if err == nil {
			err = ensureTrunkOf(ctx, host)
		}
	}
	return err
}

func trunkWire(host string) string { return "t-" + host }

func ensureTrunkOf(ctx context.Context, host string) error {
	wire, ns := trunkWire(host), hostNS(host)
	if _, err := run(ctx, "ip", "-n", ns, "link", "show", trunkNIC); err != nil {
		_ = ipBatch(ctx, UnderlayNS, "link delete "+wire) // left by a host that was made anew
		err := ipBatch(ctx, UnderlayNS,
			fmt.Sprintf("link add %s type veth peer name %s netns %s", wire, trunkNIC, ns),
			fmt.Sprintf("link set %s up", wire))
		if err != nil {
			return fmt.Errorf("connect %s to the trunk: %w", host, err)
		}
	}
	return switchOf(trunkSwitch).Change(ctx, func(c *ovsrun.Change) error { return c.AddPort(trunkBridge, wire) })
}

// RemoveTrunk takes the trunk's switch away, with all wires.
func RemoveTrunk(ctx context.Context, hosts ...string) error {
	var errs []error
	for _, name := range []string{"vswitchd-" + trunkSwitch, "ovsdb-" + trunkSwitch} {
		_, err := kill(name)
		errs = append(errs, err, os.Remove(procPath(name)))
	}
	for _, host := range hosts {
		errs = append(errs, ipBatch(ctx, UnderlayNS, "link delete "+trunkWire(host)))
	}
	return errors.Join(append(errs, os.RemoveAll(hostDir(trunkSwitch)))...)
}
