package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/controller/client"
	"sluice/datapath/ovsrun"
	"sluice/integration/lab"
)

const (
	// packetsSeconds is how long each side sends for a sample.
	packetsSeconds = 3
	// packetsFlows is how many flows of UDP there are where many are sent: half of what the
	// datapath's cache of exact matches holds.
	packetsFlows = 4096
	// packetsOfNormal and connectionsOfNormal are what must be left of NORMAL's. A connection of
	// ours is translated twice, so that tenants may use the same subnets.
	packetsOfNormal     = 0.95
	connectionsOfNormal = 0.8
)

// packetsEncaps are the tunnels that are compared. A quick look takes the first alone.
var packetsEncaps = []string{"vxlan", "geneve", "gre"}

func packetsCase() Case {
	return Case{
		Name:  "packets",
		About: "TCP throughput, the smallest packets of UDP, and short TCP connections through NAT, beside NORMAL bridges with the same tunnel",
		Ratio: "The sides take turns, each with the same two containers on two hosts, once a round; the ratio is the median of the rounds' ratios. Frames are of " +
			"64 bytes with their checksum, sent as fast as a processor can, and counted where they arrive. A connection is made, brings one byte, and ends; it " +
			"leaves by the second host, whose kernel translates it: the bridge's own port is the router of NORMAL. Nothing is shaped: what is measured is the processors. " +
			"A machine on which another program takes a quarter of them is waited for, and then nothing is kept.",
		Needs: append([]string{"iperf3"}, labPrograms...),
		Run:   measurePackets,
	}
}

func measurePackets(ctx context.Context, r *Run) error {
	var errs []error
	for _, encap := range packetsEncaps[:r.Size(len(packetsEncaps))] {
		err := inLabOf(ctx, r, lab.Options{Hosts: labHosts, Encap: encap}, func(l *labRun) error {
			p := &packetsRun{senders: senders{labRun: l}, passed: map[string]*megaflows{}}
			defer p.stop()
			return p.measure(ctx)
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", encap, err))
		}
	}
	return errors.Join(errs...)
}

// packetsRun is one pair, connected in turns by Sluice's flows and by NORMAL bridges.
type packetsRun struct {
	senders
	passed map[string]*megaflows // by side: what the datapaths made of the last measurement
}

func (s *packetsRun) measure(ctx context.Context) error {
	ours, theirs, err := s.begin(ctx)
	if err != nil {
		return err
	}
	outside, end, err := answerConnections()
	if err != nil {
		return err
	}
	defer end()
	leave := s.connections(outside)
	for _, c := range []struct {
		what, unit string
		measure    measurement
		least      float64
	}{
		{"TCP throughput", "Gbit/s", s.throughput, packetsOfNormal},
		{"64-byte frames, one flow of UDP", "packets/s", s.smallest(1), packetsOfNormal},
		{fmt.Sprintf("64-byte frames, %d flows of UDP", packetsFlows), "packets/s", s.smallest(packetsFlows), packetsOfNormal},
		{"TCP connections through NAT", "connections/s", leave, connectionsOfNormal},
	} {
		samples, err := s.TakeTurns(ctx, s.watched(ours, c.measure), s.watched(theirs, c.measure))
		if err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		res := Compare(c.unit, samples[0], Other{theirs.name, AtLeast(c.least), samples[1]})
		res.Params = map[string]any{"what": c.what, "encap": s.Encap}
		res.Facts = slices.Concat(s.passed[ours.name].facts("ours"), s.passed[theirs.name].facts("NORMAL"))
		if err := s.Done(res); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the pair, and both ways to connect it, each with a way out by the second host.
func (s *packetsRun) begin(ctx context.Context) (ours, theirs wiring, err error) {
	ends, err := newContainers(ctx, 2)
	if err != nil {
		return ours, theirs, err
	}
	p := tenantPair{from: ends[0], to: ends[1]}
	s.pairs = []tenantPair{p}
	if _, err := s.api.CreateTenant(ctx, client.TenantSpec{Name: p.tenant(), Gateway: s.Hosts[hostTo].Name}); err != nil {
		return ours, theirs, err
	}
	if err := s.serve(p); err != nil {
		return ours, theirs, err
	}
	ours = s.byFlows()
	if _, err := ours.by(p, s.roundTrip).Measure(ctx); err != nil { // tells the MTU, and resolves the peers
		return ours, theirs, err
	}
	if theirs, err = s.byBridges(ctx, fullMesh, p); err != nil {
		return ours, theirs, err
	}
	if err := s.routeNormal(ctx, fullMesh, p, hostTo); err != nil {
		return ours, theirs, err
	}
	theirs = s.withRouter(theirs, fullMesh)
	return ours, theirs, s.samePlace(ctx, p, ours, theirs)
}

// routerOf is the address of a NORMAL bridge's own port.
func (w normalWire) routerOf() string { return fmt.Sprintf("192.168.%d.254", w.mark) }

// routeNormal makes a host the router of a pair's NORMAL bridges, as the paper does: the bridge's
// own port has the router's address, and the kernel masquerades.
func (s *senders) routeNormal(ctx context.Context, w normalWire, p tenantPair, host int) error {
	if err := s.routeAt(ctx, host, w.bridge(p), w.routerOf()); err != nil {
		return err
	}
	return s.masquerade(ctx, host, fmt.Sprintf("192.168.%d.0/24", w.mark))
}

// routeAt gives an interface of a host's switch the address of a router, and has the kernel forward what comes by it.
func (s *senders) routeAt(ctx context.Context, host int, link, address string) error {
	err := s.change(ctx, host, func(c *ovsrun.Change) error {
		return c.Also("set", "interface", link, fmt.Sprint("mtu_request=", s.mtu))
	})
	if err != nil {
		return err
	}
	ns := s.Hosts[host].NetNS
	lines := fmt.Sprintf("address add %s/24 dev %s\nlink set %[2]s up\n", address, link)
	if _, err := output(ctx, lines, "ip", "-n", ns, "-batch", "-"); err != nil {
		return err
	}
	_, err = output(ctx, "1", "ip", "netns", "exec", ns, "tee", "/proc/sys/net/ipv4/conf/"+link+"/forwarding")
	return err
}

// masquerade has a host's kernel translate what leaves from a prefix. To say it again changes nothing.
func (s *senders) masquerade(ctx context.Context, host int, prefix string) error {
	table := "ip bench-" + strings.NewReplacer(".", "-", "/", "-").Replace(prefix)
	rules := fmt.Sprintf("table %[1]s\nflush table %[1]s\n"+
		"table %[1]s { chain out { type nat hook postrouting priority srcnat; ip saddr %[2]s oifname \"br-phy\" masquerade; }; }\n", table, prefix)
	_, err := output(ctx, rules, "ip", "netns", "exec", s.Hosts[host].NetNS, "nft", "-f", "-")
	return err
}

// withRouter gives the near ends of pairs that are connected in a NORMAL way their router.
func (s *senders) withRouter(way wiring, w normalWire) wiring {
	plug := way.plug
	way.plug = func(ctx context.Context, p tenantPair) (string, error) {
		address, err := plug(ctx, p)
		if err == nil {
			_, err = output(ctx, "", "ip", "-n", p.from.netns, "route", "add", "default", "via", w.routerOf())
		}
		return address, err
	}
	return way
}

// watched measures a side on a quiet machine, and looks at what the datapaths make of it.
func (s *packetsRun) watched(w wiring, measure measurement) Side {
	return w.by(s.pairs[0], func(ctx context.Context, p tenantPair, address string) (v float64, err error) {
		if err := s.quiet(ctx); err != nil {
			return 0, err
		}
		if err := s.forget(ctx); err != nil {
			return 0, err
		}
		if v, err = measure(ctx, p, address); err == nil {
			s.passed[w.name], err = s.look(ctx)
		}
		return v, err
	})
}
