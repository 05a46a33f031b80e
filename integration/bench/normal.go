package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	goovs "github.com/digitalocean/go-openvswitch/ovs"

	"sluice/datapath/ovsrun"
)

// normalLevels are how many tenants the recipe of a bridge each has while one more is made.
var normalLevels = []int{0, 100, 300, 500}

// normalBatch is how many bridges are made in one transaction of a tenant that is only to be
// present.
const normalBatch = 20

// normalRun makes tenants as the large design of the paper does: on each host a bridge in
// NORMAL mode and in it a GRE port with the tenant's key. It uses the lab's first two hosts
// and their switches.
type normalRun struct {
	*labRun
	pair    []container
	bridges map[int][]float64 // ms of each tenant that its bridges and GRE ports took, by how many were present
}

func measureNormal(ctx context.Context, l *labRun, pair []container) error {
	n := &normalRun{labRun: l, pair: pair, bridges: map[int][]float64{}}
	levels := l.levels(normalLevels)
	got, err := l.climb(ctx, climb{levels, n.reach, n.level})
	if err != nil {
		return fmt.Errorf("NORMAL bridges of tenants: %w", err)
	}
	for i, level := range levels {
		res := got.compare(i, "0 present", nil)
		res.Params = map[string]any{"what": "a NORMAL bridge and a GRE port a tenant and host", "present": level}
		res.Facts = []Fact{{Name: "of it: bridges and GRE ports", Value: quantile(n.bridges[level], 0.5), Unit: "ms"}}
		if err := l.Done(res); err != nil {
			return err
		}
	}
	return nil
}

// level makes a tenant and takes it away.
func (n *normalRun) level(ctx context.Context, tenants int) ([]float64, error) {
	n.Step("NORMAL, %d tenants present: one more", tenants)
	total, bridges, err := n.one(ctx, tenants+1)
	n.bridges[tenants] = append(n.bridges[tenants], bridges)
	return []float64{total}, err
}

// one makes a tenant with a port on each of two hosts until the first ping passes, and returns
// how many milliseconds that took and how many of them were bridges and GRE ports.
func (n *normalRun) one(ctx context.Context, tenant int) (total, bridges float64, err error) {
	bridges, err = timed(func() error { return n.both(ctx, tenant, n.bridge) })
	if err != nil {
		return 0, 0, err
	}
	rest, err := timed(func() error {
		if err := n.both(ctx, tenant, n.plug); err != nil {
			return err
		}
		return pingUntilAnswered(ctx, n.pair[0].netns, normalAddress(1))
	})
	if err != nil {
		return 0, 0, err
	}
	return 1000 * (bridges + rest), 1000 * bridges, n.both(ctx, tenant, n.unmake)
}

// both does the same on both hosts, side by side.
func (n *normalRun) both(ctx context.Context, tenant int, do func(ctx context.Context, host, tenant int) error) error {
	return sideBySide(ctx, measuredHosts, func(ctx context.Context, i int) error { return do(ctx, i, tenant) })
}

func normalAddress(host int) string  { return fmt.Sprint("10.0.0.", host+1) }
func normalBridge(tenant int) string { return fmt.Sprint("n", tenant) }
func normalPort(tenant int) string   { return fmt.Sprint("v", tenant) }

// addUserspaceBridge makes a bridge that learns MACs and floods, as bridges do by default.
func addUserspaceBridge(c *ovsrun.Change, name string) error {
	return errors.Join(c.AddBridge(name), c.Also("set", "bridge", name, "datapath_type=netdev"))
}

// addTunnel gives a bridge a tunnel to one peer under one key.
func addTunnel(c *ovsrun.Change, bridge, name, encap string, peer netip.Addr, key int) error {
	return errors.Join(c.AddPort(bridge, name), c.Set.Interface(name, goovs.InterfaceOptions{
		Type: goovs.InterfaceType(encap), RemoteIP: peer.String(), Key: strconv.Itoa(key)}))
}

// addGRE adds the port towards the other of the two hosts.
func (n *normalRun) addGRE(c *ovsrun.Change, host, tenant int) error {
	return addTunnel(c, normalBridge(tenant), fmt.Sprint("gre", tenant), "gre", n.Hosts[1-host].VTEP, tenant)
}

// bridge is the recipe: one command for the bridge and one for the GRE port.
func (n *normalRun) bridge(ctx context.Context, host, tenant int) error {
	err := n.change(ctx, host, func(c *ovsrun.Change) error { return addUserspaceBridge(c, normalBridge(tenant)) })
	if err != nil {
		return err
	}
	return n.change(ctx, host, func(c *ovsrun.Change) error { return n.addGRE(c, host, tenant) })
}

// plug gives the host's container an interface in the tenant's bridge.
func (n *normalRun) plug(ctx context.Context, host, tenant int) error {
	port, netns := normalPort(tenant), n.pair[host].netns
	in := []string{"ip", "-n", n.Hosts[host].NetNS, "-batch", "-"}
	lines := fmt.Sprintf("link add %s type veth peer name eth0 netns %s\nlink set %s up\n", port, netns, port)
	if _, err := output(ctx, lines, in...); err != nil {
		return err
	}
	lines = fmt.Sprintf("address add %s/24 dev eth0\nlink set eth0 up\n", normalAddress(host))
	if _, err := output(ctx, lines, "ip", "-n", netns, "-batch", "-"); err != nil {
		return err
	}
	return n.change(ctx, host, func(c *ovsrun.Change) error { return c.AddPort(normalBridge(tenant), port) })
}

func (n *normalRun) unmake(ctx context.Context, host, tenant int) error {
	if err := n.change(ctx, host, func(c *ovsrun.Change) error { return c.DeleteBridge(normalBridge(tenant)) }); err != nil {
		return err
	}
	_, err := output(ctx, "", "ip", "-n", n.Hosts[host].NetNS, "link", "delete", normalPort(tenant))
	return err
}

// reach makes the bridges of tenants that are only to be present, or removes all, many in a
// transaction.
func (n *normalRun) reach(ctx context.Context, from, to int) error {
	n.Step("NORMAL: from %d to %d bridges on two hosts", from, to)
	each := func(c *ovsrun.Change, host, tenant int) error {
		return errors.Join(addUserspaceBridge(c, normalBridge(tenant)), n.addGRE(c, host, tenant))
	}
	if to < from {
		from, to = to, from
		each = func(c *ovsrun.Change, _, tenant int) error { return c.DeleteBridge(normalBridge(tenant)) }
	}
	for first := from + 1; first <= to; first += normalBatch {
		err := n.both(ctx, first, func(ctx context.Context, host, first int) error {
			return n.change(ctx, host, func(c *ovsrun.Change) (err error) {
				for tenant := first; tenant < first+normalBatch && tenant <= to; tenant++ {
					err = errors.Join(err, each(c, host, tenant))
				}
				return err
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
