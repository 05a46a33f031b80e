package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"sluice/controller/client"
	"sluice/integration/lab"
	"sluice/store"
)

const (
	// wireRate is what a host's wire carries in each direction, and wireBurst and wireWait how much and how long
	// its bucket holds.
	wireRate, wireBurst, wireWait = "100mbit", "64kb", "50ms"
	// paperSeconds is how long each transfer takes.
	paperSeconds = 10
	// paperPings are the round trips of one sample.
	paperPings = 200
	// outsidePort is that of the first iperf3 outside.
	outsidePort = 5301
	// dockerScale is from which scale Docker's networks are compared: the daemons take long to start.
	dockerScale = 0.2
)

// Names of sides that several comparisons have.
const (
	sideOurs    = "Sluice"
	sideBare    = "the hosts themselves"
	sideMacvlan = "macvlan"
	sideBridge  = "Docker's bridge"
	sideOverlay = "Docker's overlay"
)

// paperPrograms are what the paper's cases run.
var paperPrograms = append([]string{"iperf3", "tc"}, labPrograms...)

func paperOneCase() Case {
	return Case{
		Name: "paper-1",
		About: "TCP and round trip of one pair of containers on two hosts, inside and outside: Sluice beside the hosts themselves, macvlan, Docker's networks and the " +
			"paper's small design",
		Ratio: "The sides take turns in one lab, once a round; the ratio is the median of the rounds' ratios. Each host's wire carries 100 Mbit/s in each direction; a " +
			"sample during which less than 10 % of the processors' time was idle is thrown away. Outside, TCP comes down to the container. The gateway of Sluice and of the small design is the second " +
			"host; macvlan and Docker's bridge leave by their own. Docker's daemons have no rules of their own in this lab: the one that masquerades is added. No bound: the paper has the small design at 0.965 of native inside, and within 0.5 % outside.",
		Needs: append([]string{"dockerd", "docker", "nsenter", "unshare"}, paperPrograms...),
		Run: func(ctx context.Context, r *Run) error {
			return inPaper(ctx, r, 2, func(s *paperRun) error { return s.one(ctx) })
		},
	}
}

// paperRun is a lab whose hosts have shaped wires.
type paperRun struct{ senders }

// paperSide is one way to connect two containers of two hosts.
type paperSide struct {
	name    string
	pair    tenantPair
	address string // of the far one; empty: it is not connected inside
	outside bool   // the near one has a way out
}

// inPaper raises a lab with shaped wires for a case.
func inPaper(ctx context.Context, r *Run, hosts int, do func(*paperRun) error) error {
	return inLabOf(ctx, r, lab.Options{Hosts: hosts}, func(l *labRun) error {
		s := &paperRun{senders{labRun: l}}
		defer s.stop()
		if err := s.shape(ctx); err != nil {
			return err
		}
		return do(s)
	})
}

// shape bounds each host's wire at both ends, so that it does in each direction.
func (s *paperRun) shape(ctx context.Context) error {
	for _, h := range s.Hosts {
		for _, at := range [][2]string{{h.NetNS, "eth0"}, {lab.UnderlayNS, h.Name}} {
			if _, err := output(ctx, "", "tc", "-n", at[0], "qdisc", "replace", "dev", at[1], "root",
				"tbf", "rate", wireRate, "burst", wireBurst, "latency", wireWait); err != nil {
				return err
			}
		}
	}
	return nil
}

// paperMeasure is one figure that sides are compared by.
type paperMeasure struct {
	what, unit string
	outside    bool
	take       func(ctx context.Context, side paperSide) (float64, error)
}

func (s *paperRun) one(ctx context.Context) error {
	sides, err := s.sides(ctx)
	if err != nil {
		return err
	}
	if s.Scale >= dockerScale {
		docker, err := s.dockerSides(ctx)
		if err != nil {
			return fmt.Errorf("docker's networks: %w", err)
		}
		sides = append(sides, docker...)
	}
	for _, side := range sides {
		if side.address == "" {
			continue
		}
		if err := s.serve(side.pair); err != nil {
			return err
		}
	}
	if err := s.serveIn(lab.InternetNS, "-p", strconv.Itoa(outsidePort)); err != nil {
		return err
	}
	return s.compareAll(ctx, sides, s.measures())
}

func (s *paperRun) measures() []paperMeasure {
	seconds, pings := s.Size(paperSeconds), s.Size(paperPings)
	outside := lab.InternetAddress.String()
	return []paperMeasure{
		{"TCP, inside", "Mbit/s", false, func(ctx context.Context, side paperSide) (float64, error) {
			rate, err := transfer(ctx, side.pair.from.netns, side.address, seconds)
			return rate / 1e6, err
		}},
		{"TCP from outside", "Mbit/s", true, func(ctx context.Context, side paperSide) (float64, error) {
			rate, err := transfer(ctx, side.pair.from.netns, outside, seconds, "-R", "-p", strconv.Itoa(outsidePort))
			return rate / 1e6, err
		}},
		{"round trip, inside", "ms", false, func(ctx context.Context, side paperSide) (float64, error) {
			return roundTrip(ctx, side.pair.from.netns, side.address, pings)
		}},
		{"round trip, outside", "ms", true, func(ctx context.Context, side paperSide) (float64, error) {
			return roundTrip(ctx, side.pair.from.netns, outside, pings)
		}},
	}
}

// compareAll takes each figure of the sides that have it, ours first. One that cannot be measured keeps no other from it.
func (s *paperRun) compareAll(ctx context.Context, sides []paperSide, measures []paperMeasure) error {
	var errs []error
	for _, m := range measures {
		var names []string
		var turns []Side
		for _, side := range sides {
			if m.outside && !side.outside || !m.outside && side.address == "" {
				continue
			}
			names = append(names, side.name)
			turns = append(turns, Side{m.what + ", " + side.name, func(ctx context.Context) (float64, error) {
				return s.spared(ctx, func() (float64, error) { return m.take(ctx, side) })
			}})
		}
		samples, err := s.TakeTurns(ctx, turns...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.what, err))
			continue
		}
		others := make([]Other, 0, len(samples)-1)
		for i := 1; i < len(samples); i++ {
			others = append(others, Other{names[i], nil, samples[i]})
		}
		res := Compare(m.unit, samples[0], others...)
		res.Params = map[string]any{"what": m.what, "wire": wireRate}
		errs = append(errs, s.Done(res))
	}
	return errors.Join(errs...)
}

// sides connects pairs of the first two hosts: ours, the hosts themselves, macvlan, the small design.
func (s *paperRun) sides(ctx context.Context) ([]paperSide, error) {
	s.Step("connecting containers")
	all, err := newContainers(ctx, 6)
	if err != nil {
		return nil, err
	}
	pair := func(n int) tenantPair { return tenantPair{from: all[2*n], to: all[2*n+1]} }
	ours, err := s.oursSide(ctx, pair(0), s.Hosts[hostTo].Name)
	if err != nil {
		return nil, err
	}
	bare := paperSide{sideBare, tenantPair{from: container{netns: s.Hosts[hostFrom].NetNS}, to: container{netns: s.Hosts[hostTo].NetNS}},
		s.Hosts[hostTo].VTEP.String(), true}
	macvlan, err := s.macvlanSide(ctx, pair(1))
	if err != nil {
		return nil, err
	}
	design, small := smallDesign(hostTo), placed{pair(2), [2]int{hostFrom, hostTo}}
	if err := s.lay(ctx, design, small); err != nil {
		return nil, fmt.Errorf("%s: %w", design.name, err)
	}
	return []paperSide{ours, bare, macvlan, {design.name, small.tenantPair, design.address(0, 1), true}}, nil
}

// oursSide connects a pair of the first two hosts by Sluice, with a gateway host.
func (s *paperRun) oursSide(ctx context.Context, p tenantPair, gateway string) (paperSide, error) {
	if _, err := s.api.CreateTenant(ctx, client.TenantSpec{Name: p.tenant(), Gateway: gateway}); err != nil {
		return paperSide{}, err
	}
	address, err := s.attachBoth(ctx, placed{p, [2]int{hostFrom, hostTo}})
	return paperSide{sideOurs, p, address, true}, err
}

// attachBoth connects a pair by Sluice and returns the far end's address once it answers.
func (s *paperRun) attachBoth(ctx context.Context, p placed) (address string, err error) {
	for place, c := range p.ends() {
		at, err := s.attach(ctx, p.hosts[place], p.tenant(), c)
		if err == nil {
			err = s.realized(ctx, store.Revision(at.Revision), s.names())
		}
		if err != nil {
			return "", err
		}
		address, s.mtu = plainAddress(at), at.MTU
	}
	return address, pingUntilAnswered(ctx, p.from.netns, address)
}

// macvlanSide puts a pair on the hosts' own wire, each end with an address of the underlay.
func (s *paperRun) macvlanSide(ctx context.Context, p tenantPair) (paperSide, error) {
	address := func(place int) netip.Addr {
		a := lab.Underlay.Addr().As4()
		a[3] = byte(201 + place)
		return netip.AddrFrom4(a)
	}
	for place, c := range p.ends() {
		lines := fmt.Sprintf("link add link eth0 name paper-mv type macvlan mode bridge\nlink set paper-mv netns %s\n", c.netns)
		if _, err := output(ctx, lines, "ip", "-n", s.Hosts[place].NetNS, "-batch", "-"); err != nil {
			return paperSide{}, err
		}
		lines = fmt.Sprintf("address add %s/%d dev paper-mv\nlink set paper-mv up\nroute add default via %s\n", address(place), lab.Underlay.Bits(), lab.RouterAddress)
		if _, err := output(ctx, lines, "ip", "-n", c.netns, "-batch", "-"); err != nil {
			return paperSide{}, err
		}
	}
	return paperSide{sideMacvlan, p, address(1).String(), true}, pingUntilAnswered(ctx, p.from.netns, address(1).String())
}
