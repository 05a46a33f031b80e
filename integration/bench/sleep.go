package bench

import (
	"context"
	"fmt"
	"time"

	"sluice/controller/client"
	"sluice/flows"
	"sluice/store"
)

// sleepLevels are how many tenants sleep while another one gets its first container.
var sleepLevels = []int{0, 10_000}

const (
	// sleepSamples is how many tenants get their first container at each level in a round.
	sleepSamples = 4
	// sleepSlowdown bounds the time that takes beside all that sleep to the time beside none.
	sleepSlowdown = 1.3
)

func sleepCase() Case {
	return Case{
		Name:  "sleep",
		About: "10,000 tenants that have a network and a gateway, and no container: what the switches hold of them, and the first container of one more",
		Ratio: "Each round writes all of them, with one of three hosts as the gateway's, and removes them. A round's ratio is the median of 4 first " +
			"containers, from the attach until all hosts hold what the tenant needs, beside all that sleep, to that of the 4 before and the 4 after.",
		Needs: labPrograms,
		Run: func(ctx context.Context, r *Run) error {
			return inLab(ctx, r, func(l *labRun) error {
				s := &sleepRun{labRun: l, held: map[int]int{}, base: map[int]int{}}
				return s.measure(ctx)
			})
		},
	}
}

// sleepRun wakes tenants up, one after the other, beside ever more that sleep.
type sleepRun struct {
	*labRun
	box        container
	woken      int         // tenants that were made to be woken
	held, base map[int]int // flows of tenants, and others, of all switches, by how many sleep
}

func (s *sleepRun) measure(ctx context.Context) error {
	boxes, err := newContainers(ctx, 1)
	if err != nil {
		return err
	}
	s.box = boxes[0]
	if _, err := s.wake(ctx); err != nil { // what is done once is no tenant's cost
		return err
	}
	levels := s.levels(sleepLevels)
	got, err := s.climb(ctx, climb{levels, s.reach, s.level})
	if err != nil {
		return fmt.Errorf("tenants asleep: %w", err)
	}
	for i, n := range levels {
		var bound *Bound
		if n > 0 {
			bound = AtMost(sleepSlowdown)
		}
		res := got.compare(i, "0 asleep", bound)
		res.Params = map[string]any{"what": "the first container of a tenant", "asleep": n}
		res.Facts = []Fact{
			{Name: "flows of those asleep, in all switches", Value: float64(s.held[n]), Bound: Exactly(0)},
			{Name: "other flows, of three hosts", Value: float64(s.base[n]), Bound: Exactly(float64(s.base[levels[0]]))},
		}
		if err := s.Done(res); err != nil {
			return err
		}
	}
	return nil
}

// reach brings about that so many tenants sleep: more of them, or none. Each has one of the hosts as its gateway's.
func (s *sleepRun) reach(ctx context.Context, from, to int) error {
	s.Step("from %d to %d tenants", from, to)
	var all []store.Event
	for n := min(from, to); n < max(from, to); n++ {
		for _, e := range tenantObjects(n, s.Hosts[n%len(s.Hosts)].Name) {
			if to < from {
				e.Object = nil
			}
			all = append(all, e)
		}
	}
	rev, err := write(ctx, s.client, all)
	if err != nil {
		return err
	}
	if err := s.realized(ctx, rev, s.names()); err != nil || to > from {
		return err
	}
	select {
	case <-time.After(tidyTime):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// level counts what the switches hold, and wakes tenants.
func (s *sleepRun) level(ctx context.Context, tenants int) (took []float64, err error) {
	if err := s.count(ctx, tenants); err != nil {
		return nil, err
	}
	for n := range sleepSamples {
		s.Step("%d asleep: tenant %d of %d wakes up", tenants, n+1, sleepSamples)
		one, err := s.wake(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	return took, nil
}

// count notes the most flows of the tenants that sleep, and of all else.
func (s *sleepRun) count(ctx context.Context, tenants int) error {
	held, base := 0, 0
	for i := range s.Hosts {
		cookies, err := s.cookies(ctx, i)
		if err != nil {
			return err
		}
		for _, cookie := range cookies {
			if flows.Slice(cookie).Tenant() > 0 {
				held++
			} else {
				base++
			}
		}
	}
	s.held[tenants], s.base[tenants] = max(s.held[tenants], held), max(s.base[tenants], base)
	return nil
}

// wake gives a tenant that slept its first container, which takes so many milliseconds, and removes both.
func (s *sleepRun) wake(ctx context.Context) (ms float64, err error) {
	s.woken++
	name := fmt.Sprint("woken-", s.woken)
	if _, err := s.api.CreateTenant(ctx, client.TenantSpec{Name: name, Gateway: s.names()[len(s.Hosts)-1]}); err != nil {
		return 0, err
	}
	seconds, err := timed(func() error {
		at, err := s.attach(ctx, 0, name, s.box)
		if err != nil {
			return err
		}
		return s.realized(ctx, store.Revision(at.Revision), s.names())
	})
	if err != nil {
		return 0, fmt.Errorf("tenant %s: %w", name, err)
	}
	if err := s.detach(ctx, 0, name, s.box); err != nil {
		return 0, err
	}
	deleted, err := s.api.DeleteTenant(ctx, name)
	if err != nil {
		return 0, err
	}
	return seconds * 1000, s.realized(ctx, deleted.Revision, s.names())
}
