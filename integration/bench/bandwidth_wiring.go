package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// Hosts of the lab, by place.
const (
	hostFrom = iota
	hostTo
	hostCentre
)

// tenantPair are two containers of a tenant: one on the lab's first host, one on its second.
type tenantPair struct {
	number   int // from 0
	from, to container
}

func (p tenantPair) tenant() string { return fmt.Sprint("bench-", p.number+1) }

// ends are the pair's containers, each at the place of its host.
func (p tenantPair) ends() []container { return []container{hostFrom: p.from, hostTo: p.to} }

// wiring is one way to connect pairs.
type wiring struct {
	name string
	// plug gives both ends an interface and returns the address of the far one.
	plug   func(ctx context.Context, p tenantPair) (address string, err error)
	unplug func(ctx context.Context, p tenantPair) error
}

// by measures a pair while it is connected in this way alone.
//
// Open vSwitch's main thread asks a datapath's ports one after the other, in an order that
// follows their numbers, which are given away lowest first: the place of a port alone made
// round trips up to a fifth longer or a tenth shorter. Ways that take turns all get the same
// number; see samePlace.
func (w wiring) by(p tenantPair, measure measurement) Side {
	return Side{w.name, func(ctx context.Context) (v float64, err error) {
		address, err := w.plug(ctx, p)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, w.unplug(ctx, p)) }()
		if err := pingUntilAnswered(ctx, p.from.netns, address); err != nil {
			return 0, err
		}
		return measure(ctx, p, address)
	}}
}

// plugAll connects pairs for good, and returns each one's address once it answers.
func (w wiring) plugAll(ctx context.Context, pairs []tenantPair) ([]string, error) {
	addresses := make([]string, len(pairs))
	for i, p := range pairs {
		var err error
		if addresses[i], err = w.plug(ctx, p); err != nil {
			return nil, err
		}
		if err := pingUntilAnswered(ctx, p.from.netns, addresses[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return addresses, nil
}

// byFlows is Sluice's way.
func (s *senders) byFlows() wiring {
	return wiring{
		name: "Sluice's flows",
		plug: func(ctx context.Context, p tenantPair) (address string, err error) {
			for host, c := range p.ends() {
				a, err := s.attach(ctx, host, p.tenant(), c)
				if err != nil {
					return "", err
				}
				address, s.mtu = plainAddress(a), a.MTU
			}
			return address, nil
		},
		unplug: func(ctx context.Context, p tenantPair) error {
			for host, c := range p.ends() {
				if err := s.detach(ctx, host, p.tenant(), c); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// samePlace fails unless each way gives a pair's ports the same numbers in the datapaths.
func (s *senders) samePlace(ctx context.Context, p tenantPair, ways ...wiring) error {
	places := make([]string, len(ways))
	for i, w := range ways {
		_, err := w.by(p, func(ctx context.Context, _ tenantPair, _ string) (_ float64, err error) {
			places[i], err = s.datapathPorts(ctx)
			return 0, err
		}).Measure(ctx)
		if err != nil {
			return err
		}
		if places[i] != places[0] {
			return fmt.Errorf("the datapaths number their ports %s by %s, but %s by %s: they would not be asked in the same order",
				places[i], w.name, places[0], ways[0].name)
		}
	}
	return nil
}

var datapathPort = regexp.MustCompile(`(?m)^  port \d+`)

// datapathPorts are the numbers that are taken in the datapaths of the pairs' hosts.
func (s *senders) datapathPorts(ctx context.Context) (string, error) {
	var all [][]string
	for _, h := range s.Hosts[:hostCentre] {
		text, err := h.Switch().AppCtl(ctx, "dpctl/show")
		if err != nil {
			return "", err
		}
		all = append(all, datapathPort.FindAllString(text, -1))
	}
	return fmt.Sprint(all), nil
}
