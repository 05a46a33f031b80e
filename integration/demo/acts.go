package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/integration/lab"
)

// populate makes the tenants and a container of each on every host.
func (s *show) populate(ctx context.Context) error {
	s.chapter("Two tenants with the same subnet, " + subnet + ": alice in tunnels, bob in VLANs")
	for _, c := range []cast{alice, bob} {
		err := s.typed(ctx, "tenant", "create", c.name, "--subnet", subnet, "--segmentation", c.segmentation, "--gateway", c.gateway)
		if err != nil {
			return err
		}
	}
	for _, c := range []cast{alice, bob} {
		for i, host := range hosts {
			if err := s.typed(ctx, "lab", "run", host, c.name, c.container(i), "--ip", c.ip(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameTenant tries neighbours on every two hosts.
func (s *show) sameTenant(ctx context.Context) error {
	s.chapter("Containers of one tenant talk, across hosts")
	for _, c := range []cast{alice, bob} {
		for from := range hosts {
			to := (from + 1) % len(hosts)
			claim := fmt.Sprintf("%s (%s) on %s reaches %s on %s", c.name, c.segmentation, hosts[from], c.ip(to), hosts[to])
			s.check(claim+", ping", func() (string, error) { return "", s.ping(ctx, c.container(from), c.ip(to)) })
			s.check(claim+", TCP", func() (string, error) {
				return transfer(ctx, c.container(from), c.container(to), c.ip(to))
			})
		}
	}
	return nil
}

// otherTenant tries every container against every one of the other tenant.
func (s *show) otherTenant(ctx context.Context) error {
	s.chapter("Containers of different tenants do not, in any direction")
	for _, pair := range [][2]cast{{alice, bob}, {bob, alice}} {
		from, to := pair[0], pair[1]
		for i := range hosts {
			claim := fmt.Sprintf("%s on %s reaches none of %s's %s to %s", from.name, hosts[i], to.name, to.ip(0), to.ip(len(hosts)-1))
			s.check(claim, func() (string, error) { return "", s.reachesNone(ctx, from.container(i), to) })
		}
	}
	return nil
}

func (s *show) reachesNone(ctx context.Context, from string, to cast) error {
	var g errgroup.Group
	for i := range hosts {
		g.Go(func() error {
			if s.ping(ctx, from, to.ip(i)) == nil {
				return fmt.Errorf("%s on %s answers", to.ip(i), hosts[i])
			}
			if c, err := lab.DialIn(ctx, lab.ContainerNS(from), "tcp", to.ip(i)+":80"); err == nil {
				c.Close()
				return fmt.Errorf("%s on %s accepts TCP", to.ip(i), hosts[i])
			}
			return nil
		})
	}
	return errors.Join(g.Wait(), ctx.Err())
}

// egress asks the internet whom it sees.
func (s *show) egress(ctx context.Context) error {
	s.chapter("Each tenant reaches the internet through its own gateway host")
	for _, c := range []cast{alice, bob} {
		for i, host := range hosts {
			claim := fmt.Sprintf("%s on %s is seen at %s as %s's address %s", c.name, host, lab.InternetAddress, c.gateway, c.seen)
			s.check(claim, func() (string, error) {
				seen, err := askInternet(ctx, c.container(i))
				if err == nil && seen != c.seen {
					err = fmt.Errorf("it is seen as %s", seen)
				}
				return "", err
			})
		}
	}
	return nil
}

// table shows one host's flows for one tenant, read from its switch.
func (s *show) table(ctx context.Context) error {
	s.chapter("Every flow names the object that it serves: alice on h1, read from the switch")
	args := []string{"flows", "--host", "h1", "--tenant", alice.name}
	s.say("  $ sluice %s\n", strings.Join(args, " "))
	text, err := s.sluice(ctx, args...)
	if err != nil {
		return err
	}
	s.say("%s", text)
	s.check("every flow of h1 names its owner", func() (string, error) { return s.owners(ctx) })
	s.check("the switches hold what the state says, no flow more or less", func() (string, error) {
		_, err := s.sluice(ctx, "flows", "--diff")
		return "sluice flows --diff", err
	})
	return nil
}

func (s *show) owners(ctx context.Context) (string, error) {
	text, err := s.sluice(ctx, "flows", "--host", "h1", "-o", "json")
	if err != nil {
		return "", err
	}
	var flows []struct{ Owner, Text string }
	if err := json.Unmarshal([]byte(text), &flows); err != nil {
		return "", err
	}
	for _, f := range flows {
		if f.Owner == "" || strings.HasPrefix(f.Owner, "unknown") {
			return "", fmt.Errorf("nobody owns %s", f.Text)
		}
	}
	if len(flows) == 0 {
		return "", errors.New("there is none")
	}
	return fmt.Sprintf("%d flows", len(flows)), nil
}

// counters compares what was sent with what /metrics says.
func (s *show) counters(ctx context.Context) error {
	s.chapter("Counters per tenant match the traffic: 100 pings from h1 to h2, and back")
	const pings = 100
	for _, c := range []cast{alice, bob} {
		s.check(fmt.Sprintf("%s: at least %d packets more, out and in, and not many more", c.name, 2*pings), func() (string, error) {
			return s.counted(ctx, c, pings)
		})
	}
	return nil
}

// counted allows for a few frames besides: neighbours ask for each other by ARP.
func (s *show) counted(ctx context.Context, c cast, pings int) (string, error) {
	const slack = 20
	before, err := s.restingCounters(ctx, c.name)
	if err != nil {
		return "", err
	}
	_, err = s.sluice(ctx, "lab", "exec", c.container(0), "--", "ping", "-q", "-i0.01", fmt.Sprintf("-c%d", pings), c.ip(1))
	if err != nil {
		return "", err
	}
	after, err := s.restingCounters(ctx, c.name)
	if err != nil {
		return "", err
	}
	out, in := after.out-before.out, after.in-before.in
	detail := fmt.Sprintf("/metrics: out %d, in %d", out, in)
	for _, n := range []int{out, in} {
		if n < 2*pings || n > 2*pings+slack {
			return "", errors.New(detail)
		}
	}
	return detail, nil
}

// restingCounters reads counters until they no longer change: a switch reports them late.
func (s *show) restingCounters(ctx context.Context, tenant string) (packets, error) {
	const polls = 5 // equal readings: a controller reads its switches every 2 s, and writes what it read every 2 s
	var last packets
	for same := 0; same < polls; same++ {
		now, err := readCounters(ctx, tenant)
		if err != nil {
			return last, err
		}
		if now != last {
			last, same = now, 0
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(counterInterval):
		}
	}
	return last, nil
}

// deletion removes bob and looks for traces.
func (s *show) deletion(ctx context.Context) error {
	s.chapter("Deleting bob leaves no flow, port or key of his")
	number, err := s.tenantNumber(ctx, bob.name)
	if err != nil {
		return err
	}
	for i := range hosts {
		if err := s.typed(ctx, "lab", "rm", bob.container(i)); err != nil {
			return err
		}
	}
	if err := s.typed(ctx, "tenant", "delete", bob.name); err != nil {
		return err
	}
	s.check("no flow on any host has his number in its cookie", func() (string, error) {
		return "", settles(ctx, func() error { return noFlows(ctx, number) })
	})
	s.check("no interface of his is in any switch", func() (string, error) {
		return "", settles(ctx, func() error { return onlyPorts(ctx, 1) })
	})
	s.check("no key in etcd names him", func() (string, error) {
		return "", settles(ctx, func() error { return noKeys(ctx, bob.name) })
	})
	s.check("alice still talks", func() (string, error) { return "", s.ping(ctx, alice.container(0), alice.ip(2)) })
	return nil
}
