package bench

import (
	"context"
	"errors"
	"fmt"

	"sluice/datapath/ovsrun"
)

// normalKeys keeps the bridges' tunnel keys apart from those of Sluice's networks.
const normalKeys = 1_000_000

// normalWire is how the paper connects a tenant: a bridge in NORMAL mode on each host, with a
// tunnel port for each neighbour.
type normalWire struct {
	name string
	// mark tells the ways apart in interfaces' names of 15 characters at most, in subnets and
	// in tunnel keys.
	mark  byte
	peers map[int][]int // by host: those to which its bridge has a tunnel
}

var (
	fullMesh = normalWire{"NORMAL bridges, a tunnel from host to host", 'd', map[int][]int{hostFrom: {hostTo}, hostTo: {hostFrom}}}
	star     = normalWire{"NORMAL bridges, a star of tunnels", 's',
		map[int][]int{hostFrom: {hostCentre}, hostCentre: {hostFrom, hostTo}, hostTo: {hostCentre}}}
)

func (w normalWire) bridge(p tenantPair) string { return fmt.Sprintf("%c%d", w.mark, p.number) }
func (w normalWire) port(p tenantPair) string   { return fmt.Sprintf("%cv%d", w.mark, p.number) }
func (w normalWire) key(p tenantPair) int       { return normalKeys + 1000*int(w.mark) + p.number }

func (w normalWire) address(host int) string { return fmt.Sprintf("192.168.%d.%d", w.mark, host+1) }

// byBridges makes the bridges and tunnels of pairs; only their interfaces come and go.
func (s *senders) byBridges(ctx context.Context, w normalWire, pairs ...tenantPair) (wiring, error) {
	for _, p := range pairs {
		s.Step("tenant %d of %d: %s", p.number+1, len(pairs), w.name)
		if err := s.bridges(ctx, w, p); err != nil {
			return wiring{}, err
		}
	}
	return wiring{
		name: w.name,
		plug: func(ctx context.Context, p tenantPair) (string, error) {
			for host, c := range p.ends() {
				if err := s.plugNormal(ctx, w, p, host, c); err != nil {
					return "", err
				}
			}
			return w.address(hostTo), nil
		},
		unplug: func(ctx context.Context, p tenantPair) error {
			var errs []error
			for host := range p.ends() {
				errs = append(errs, s.unplugNormal(ctx, w, p, host))
			}
			return errors.Join(errs...)
		},
	}, nil
}

func (s *senders) bridges(ctx context.Context, w normalWire, p tenantPair) error {
	for host, peers := range w.peers {
		bridge := w.bridge(p)
		err := s.change(ctx, host, func(c *ovsrun.Change) error {
			err := addUserspaceBridge(c, bridge)
			for _, peer := range peers {
				name := fmt.Sprintf("%ct%d-%d", w.mark, p.number, peer)
				err = errors.Join(err, addTunnel(c, bridge, name, s.Encap, s.Hosts[peer].VTEP, w.key(p)))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// plugNormal connects a container with a bridge.
func (s *senders) plugNormal(ctx context.Context, w normalWire, p tenantPair, host int, c container) error {
	if err := s.addLink(ctx, host, w.port(p), c, fmt.Sprintf("normal-%c", w.mark), w.address(host)); err != nil {
		return err
	}
	return s.change(ctx, host, func(c *ovsrun.Change) error { return c.AddPort(w.bridge(p), w.port(p)) })
}

// addLink gives a container an interface with the MTU and the offloads of those that Sluice
// gives; port is its other end, on the host.
func (s *senders) addLink(ctx context.Context, host int, port string, c container, inside, address string) error {
	lines := fmt.Sprintf("link add %[1]s mtu %[2]d type veth peer name %[3]s mtu %[2]d netns %[4]s\nlink set %[1]s up\n",
		port, s.mtu, inside, c.netns)
	if _, err := output(ctx, lines, "ip", "-n", s.Hosts[host].NetNS, "-batch", "-"); err != nil {
		return err
	}
	if _, err := output(ctx, "", "ip", "netns", "exec", c.netns, "ethtool", "-K", inside, "tx", "off"); err != nil {
		return err
	}
	lines = fmt.Sprintf("address add %s/24 dev %[2]s\nlink set %[2]s up\n", address, inside)
	_, err := output(ctx, lines, "ip", "-n", c.netns, "-batch", "-")
	return err
}

func (s *senders) unplugNormal(ctx context.Context, w normalWire, p tenantPair, host int) error {
	if err := s.change(ctx, host, func(c *ovsrun.Change) error { return c.DeletePort(w.bridge(p), w.port(p)) }); err != nil {
		return err
	}
	_, err := output(ctx, "", "ip", "-n", s.Hosts[host].NetNS, "link", "delete", w.port(p))
	return err
}
