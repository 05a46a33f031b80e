package bench

import (
	"context"
	"fmt"
	"path/filepath"
)

// Hosts of the lab, by place.
const (
	hostFrom = iota
	hostTo
	hostCentre
)

// normalKeys keeps the bridges' tunnel keys apart from those of Sluice's networks.
const normalKeys = 1_000_000

// normalWire is a tenant's bridges in NORMAL mode, as the paper makes them: one on each host,
// with a tunnel port for each neighbour.
type normalWire struct {
	wiring
	tenant int
	mtu    int // as Sluice gives it to containers
}

// letter tells the two ways to wire apart, in names of 15 characters at most.
func (w normalWire) letter() string {
	if w.wiring == wiredAsStar {
		return "s"
	}
	return "d"
}

func (w normalWire) bridge() string { return fmt.Sprintf("%s%d", w.letter(), w.tenant) }

func (w normalWire) address(end int) string {
	if w.wiring == wiredAsStar {
		return fmt.Sprint("192.168.2.", end+1)
	}
	return fmt.Sprint("192.168.1.", end+1)
}

func (w normalWire) key() int {
	if w.wiring == wiredAsStar {
		return normalKeys + 1000 + w.tenant
	}
	return normalKeys + w.tenant
}

// neighbours are the hosts with a bridge of the tenant, each with those it has a tunnel to.
func (w normalWire) neighbours() map[int][]int {
	if w.wiring == wiredAsStar {
		return map[int][]int{hostFrom: {hostCentre}, hostCentre: {hostFrom, hostTo}, hostTo: {hostCentre}}
	}
	return map[int][]int{hostFrom: {hostTo}, hostTo: {hostFrom}}
}

func (s *senders) wireByBridges(ctx context.Context, w normalWire, p *senderPair) error {
	for host, others := range w.neighbours() {
		args := []string{"--", "add-br", w.bridge(), "--", "set", "bridge", w.bridge(), "datapath_type=netdev"}
		for _, other := range others {
			name := fmt.Sprintf("%st%d-%d", w.letter(), w.tenant, other)
			args = append(args, "--", "add-port", w.bridge(), name, "--", "set", "interface", name, "type="+s.Encap,
				"options:remote_ip="+s.Hosts[other].VTEP.String(), fmt.Sprint("options:key=", w.key()))
		}
		if err := s.vsctl(ctx, host, args...); err != nil {
			return err
		}
	}
	for end, c := range []container{p.from, p.to} {
		if err := s.plug(ctx, w, end, c); err != nil {
			return err
		}
	}
	p.target[w.wiring] = w.address(1)
	return nil
}

// plug gives a container one more interface, with the MTU and the offloads of the one that
// Sluice gave it.
func (s *senders) plug(ctx context.Context, w normalWire, host int, c container) error {
	port, inside := fmt.Sprintf("%sv%d", w.letter(), w.tenant), "normal-"+w.letter()
	lines := fmt.Sprintf("link add %[1]s mtu %[2]d type veth peer name %[3]s mtu %[2]d netns %[4]s\nlink set %[1]s up\n",
		port, w.mtu, inside, c.netns)
	if _, err := output(ctx, lines, "ip", "-n", s.Hosts[host].NetNS, "-batch", "-"); err != nil {
		return err
	}
	if _, err := output(ctx, "", "ip", "netns", "exec", c.netns, "ethtool", "-K", inside, "tx", "off"); err != nil {
		return err
	}
	lines = fmt.Sprintf("address add %[1]s/24 dev %[2]s\nlink set %[2]s up\n", w.address(host), inside)
	if _, err := output(ctx, lines, "ip", "-n", c.netns, "-batch", "-"); err != nil {
		return err
	}
	return s.vsctl(ctx, host, "--", "add-port", w.bridge(), port)
}

// vsctl returns when the switch has done what it was told.
func (s *senders) vsctl(ctx context.Context, host int, args ...string) error {
	at := "--db=unix:" + filepath.Join(s.Hosts[host].RunDir, "db.sock")
	_, err := output(ctx, "", append([]string{"ovs-vsctl", at, "--timeout=60"}, args...)...)
	return err
}
