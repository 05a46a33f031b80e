package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/controller/client"
	agentapi "sluice/hostagent/api"
	"sluice/store"
)

// ovnLevels are how many tenants of each kind are present, with two ports on two hosts each, while one more is made.
var ovnLevels = []int{10, 50, 100, 200}

const (
	// ovnFaster bounds one more tenant, and ovnBulk all from nothing in one go, to what OVN takes, with the most tenants.
	ovnFaster, ovnBulk = 1.0 / 30, 1.0 / 10
	// ovnFlows bounds the flows of a tenant on a host that it uses to OVN's.
	ovnFlows = 1.0 / 7
)

func ovnCase() Case {
	return Case{
		Name:  "ovn",
		About: "beside OVN on the same hosts and switches: one more tenant with 10 to 200 present, 200 from nothing, flows, restarts, a gateway host that dies",
		Ratio: "A tenant is a network with a router and a way out, and ports on two of three hosts. One more: from the first command until both ports are " +
			"realized and a ping passes; the two take turns, five times a level. From nothing: all tenants' objects and ports, until all hosts have them, once, and one by " +
			"one for a tenth. Restarts, in turns, and deaths, of both at the same time, are with 50 present, once with OVN's defaults and once tuned " +
			"(`ovn-ofctrl-wait-before-clear`, BFD each 100 ms). Where Sluice lost no ping the ratio is 0. All ports of both are in the same ovs-vswitchd, which takes longer " +
			"for a port the more it has: the case tenant says whether Sluice's own part grows.",
		Needs: slices.Concat(labPrograms, ovnPrograms),
		Run: func(ctx context.Context, r *Run) error {
			return inLab(ctx, r, func(l *labRun) (err error) {
				o, err := startOVN(ctx, l)
				if err != nil {
					return err
				}
				defer o.stop()
				return (&ovnRun{ovn: o, own: failOverRun{labRun: l}}).measure(ctx)
			})
		},
	}
}

// ovnRun measures Sluice beside OVN.
type ovnRun struct {
	*ovn
	pair    []container // of the tenant that is measured, by host
	crowd   []container // namespaces with an interface of each tenant that is present, by host
	present int
	made    int // tenants that were measured

	rival []container // of the tenant of OVN's that stays, by host
	own   failOverRun // Sluice's
}

func (o *ovnRun) measure(ctx context.Context) error {
	boxes, err := newContainers(ctx, 3*measuredHosts+len(o.Hosts))
	if err != nil {
		return err
	}
	o.pair, o.crowd, o.rival, o.own.boxes = boxes[:2], boxes[2:4], boxes[4:6], boxes[6:]
	var levels []int
	for _, n := range ovnLevels {
		levels = append(levels, o.Size(n))
	}
	levels = slices.Compact(levels)
	if err := o.oneMore(ctx, levels); err != nil {
		return err
	}
	return o.disturbed(ctx)
}

// oneMore measures each level, and what it takes to come to the last from nothing.
func (o *ovnRun) oneMore(ctx context.Context, levels []int) error {
	if err := o.fromNothing(ctx, levels[len(levels)-1]); err != nil {
		return err
	}
	var first []float64
	for i, level := range levels {
		if err := o.reach(ctx, level); err != nil {
			return err
		}
		samples, err := o.TakeTurns(ctx, Side{"Sluice", o.ownOne}, Side{"OVN", o.ovnOne})
		if err != nil {
			return fmt.Errorf("%d tenants present: %w", level, err)
		}
		if i == 0 {
			first = samples[0]
		}
		res := Compare("ms", samples[0], Other{Name: "OVN", Samples: samples[1]})
		res.Params = map[string]any{"what": "one more tenant", "present": level}
		if i == len(levels)-1 {
			res.Bound = AtMost(ovnFaster)
			res.Facts = []Fact{{Name: "to Sluice with the fewest present", Value: quantile(samples[0], 0.5) / quantile(first, 0.5)}}
		}
		if err := o.Done(res); err != nil {
			return err
		}
	}
	return o.countFlows(ctx, levels)
}

// crowdName is a tenant of Sluice's that is only to be present.
func crowdName(n int) string { return fmt.Sprintf("crowd-%d", n) }

// reach brings about that so many tenants of each kind are present.
func (o *ovnRun) reach(ctx context.Context, level int) error {
	if level == o.present {
		return nil
	}
	o.Step("from %d to %d tenants of each kind", o.present, level)
	if level > o.present {
		more := counted(o.present+1, level)
		err := errors.Join(o.addOwn(ctx, more), o.addOVN(ctx, more))
		o.present = level
		return err
	}
	fewer := counted(level+1, o.present)
	o.present = level
	return errors.Join(o.removeOwn(ctx, fewer), o.removeOVN(ctx, fewer))
}

// counted are the numbers from one to another.
func counted(from, to int) (list []int) {
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return list
}

// atOnce is how many containers a host starts side by side where many tenants are made.
const atOnce = 8

// manyAtOnce does something for each tenant, some side by side.
func manyAtOnce[T any](ctx context.Context, tenants []T, do func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, n := range tenants {
		g.Go(func() error { return do(ctx, n) })
	}
	return g.Wait()
}

// addOwn makes tenants of Sluice with a port on two hosts each, until all hosts have them.
func (o *ovnRun) addOwn(ctx context.Context, tenants []int) error {
	err := manyAtOnce(ctx, tenants, func(ctx context.Context, n int) error {
		_, err := o.api.CreateTenant(ctx, client.TenantSpec{Name: crowdName(n)})
		return err
	})
	if err != nil {
		return err
	}
	revisions := make([][]store.Revision, measuredHosts)
	err = sideBySide(ctx, measuredHosts, func(ctx context.Context, host int) error {
		revisions[host] = make([]store.Revision, len(tenants))
		return manyAtOnce(ctx, counted(0, len(tenants)-1), func(ctx context.Context, i int) error {
			n := tenants[i]
			wanted := agentapi.AttachRequest{Tenant: crowdName(n), IfName: fmt.Sprintf("own%d", n), Routes: []agentapi.Route{}} // one namespace has many
			a, err := o.attachAs(ctx, host, wanted, o.crowd[host])
			revisions[host][i] = store.Revision(a.Revision)
			return err
		})
	})
	if err != nil {
		return err
	}
	return o.realized(ctx, slices.Max(slices.Concat(revisions...)), o.names())
}

func (o *ovnRun) removeOwn(ctx context.Context, tenants []int) error {
	for _, n := range tenants {
		for host, c := range o.crowd {
			if err := o.detach(ctx, host, crowdName(n), c); err != nil {
				return err
			}
		}
		if _, err := o.api.DeleteTenant(ctx, crowdName(n)); err != nil {
			return err
		}
	}
	return sleep(ctx, tidyTime)
}

// addOVN does the same for OVN, with its objects in as few transactions as a command line has room for.
func (o *ovnRun) addOVN(ctx context.Context, tenants []int) error {
	all := ovnTenants(tenants)
	if err := o.make(ctx, all, ovnTenant.objects); err != nil {
		return err
	}
	err := sideBySide(ctx, measuredHosts, func(ctx context.Context, host int) error {
		return manyAtOnce(ctx, all, func(ctx context.Context, n ovnTenant) error {
			return o.plug(ctx, host, n, o.crowd[host], fmt.Sprintf("ovn%d", n))
		})
	})
	if err != nil {
		return err
	}
	return o.synced(ctx)
}

// synced waits until all ports of tenants are up and all hosts have their flows.
func (o *ovnRun) synced(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, labPatience)
	defer cancel()
	err := until(ctx, func() error {
		down, err := o.nb(ctx, "--bare", "--columns=name", "find", "logical_switch_port", `type=""`, "up!=true")
		if err == nil && strings.TrimSpace(down) != "" {
			err = fmt.Errorf("ports are not up: %s", strings.Join(strings.Fields(down), " "))
		}
		return err
	})
	if err != nil {
		return err
	}
	return o.sync(ctx)
}

func (o *ovnRun) removeOVN(ctx context.Context, tenants []int) error {
	all := ovnTenants(tenants)
	for host := range measuredHosts {
		for some := range slices.Chunk(all, ovnBatch) {
			if err := o.unplug(ctx, host, some...); err != nil {
				return err
			}
		}
	}
	if err := o.make(ctx, all, ovnTenant.absence); err != nil {
		return err
	}
	return o.sync(ctx)
}

// ownOne makes a tenant of Sluice until its first ping passes, in milliseconds, and removes it.
func (o *ovnRun) ownOne(ctx context.Context) (float64, error) {
	o.made++
	name := fmt.Sprint("measured-", o.made)
	var ports [measuredHosts]string
	took, err := timed(func() error {
		if _, err := o.api.CreateTenant(ctx, client.TenantSpec{Name: name}); err != nil {
			return err
		}
		var last [measuredHosts]store.Revision
		err := sideBySide(ctx, measuredHosts, func(ctx context.Context, host int) error {
			a, err := o.attach(ctx, host, name, o.pair[host])
			ports[host], last[host] = plainAddress(a), store.Revision(a.Revision)
			return err
		})
		if err != nil {
			return err
		}
		if err := o.realized(ctx, slices.Max(last[:]), o.names()); err != nil {
			return err
		}
		return pingUntilAnswered(ctx, o.pair[0].netns, ports[1])
	})
	if err != nil {
		return 0, err
	}
	for host, c := range o.pair {
		if err := o.detach(ctx, host, name, c); err != nil {
			return 0, err
		}
	}
	_, err = o.api.DeleteTenant(ctx, name)
	return 1000 * took, err
}

// ovnOne does the same with OVN.
func (o *ovnRun) ovnOne(ctx context.Context) (float64, error) {
	n := ovnTenant(o.present + 1)
	took, err := timed(func() error {
		if _, err := o.nb(ctx, n.objects()...); err != nil {
			return err
		}
		err := sideBySide(ctx, measuredHosts, func(ctx context.Context, host int) error {
			if err := o.plug(ctx, host, n, o.pair[host], "eth0"); err != nil {
				return err
			}
			return o.address(ctx, host, o.pair[host], "eth0")
		})
		if err != nil {
			return err
		}
		if err := o.synced(ctx); err != nil {
			return err
		}
		return pingUntilAnswered(ctx, o.pair[0].netns, ovnAddress(1))
	})
	if err != nil {
		return 0, err
	}
	for host := range o.pair {
		if err := o.unplug(ctx, host, n); err != nil {
			return 0, err
		}
	}
	if _, err := o.nb(ctx, n.absence()...); err != nil {
		return 0, err
	}
	return 1000 * took, o.sync(ctx)
}

// fromNothing measures how long so many tenants take in one go, and a tenth of them one by one.
func (o *ovnRun) fromNothing(ctx context.Context, most int) error {
	few := max(1, most/10)
	for _, way := range []struct {
		what    string
		tenants int
		step    int
		bound   *Bound
	}{{"tenants from nothing, in one go", most, most, AtMost(ovnBulk)}, {"tenants from nothing, one by one", few, 1, nil}} {
		o.Step("%d %s", way.tenants, way.what)
		own, ownUsed, err := o.inSteps(way.tenants, way.step, o.ownUsed(ctx), func(some []int) error { return o.addOwn(ctx, some) })
		if err != nil {
			return err
		}
		theirs, theirUsed, err := o.inSteps(way.tenants, way.step, o.processor, func(some []int) error { return o.addOVN(ctx, some) })
		if err != nil {
			return err
		}
		res := Compare("s", []float64{own}, Other{Name: "OVN", Bound: way.bound, Samples: []float64{theirs}})
		res.Params = map[string]any{"what": way.what, "tenants": way.tenants}
		res.Facts = []Fact{{Name: "processor time of Sluice's daemons", Value: ownUsed, Unit: "s"}, {Name: "of OVN's", Value: theirUsed, Unit: "s"}}
		if err := o.Done(res); err != nil {
			return err
		}
		o.present = way.tenants
		if err := o.reach(ctx, 0); err != nil {
			return err
		}
	}
	return nil
}

func (o *ovnRun) ownUsed(ctx context.Context) func() (time.Duration, error) {
	return func() (time.Duration, error) { return o.ownProcessor(ctx) }
}

// inSteps adds tenants step by step, and returns the seconds that it took and that daemons computed.
func (o *ovnRun) inSteps(tenants, step int, used func() (time.Duration, error), add func([]int) error) (took, computed float64, err error) {
	before, err := used()
	if err != nil {
		return 0, 0, err
	}
	took, err = timed(func() error {
		for some := range slices.Chunk(counted(1, tenants), step) {
			if err := add(some); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	after, err := used()
	return took, (after - before).Seconds(), err
}

// countFlows compares the flows that one tenant has on the first host, which it uses.
func (o *ovnRun) countFlows(ctx context.Context, levels []int) error {
	t, err := o.api.Tenant(ctx, crowdName(1))
	if err != nil {
		return err
	}
	own, err := o.tenantFlows(ctx, 0, t.Number)
	if err != nil {
		return err
	}
	most, err := o.flows(ctx, 0)
	if err != nil {
		return err
	}
	high := o.present
	if err := o.reach(ctx, levels[0]); err != nil {
		return err
	}
	least, err := o.flows(ctx, 0)
	if err != nil {
		return err
	}
	theirs := float64(most-least) / float64(max(1, high-levels[0]))
	res := Compare("", []float64{float64(own)}, Other{Name: "OVN", Bound: AtMost(ovnFlows), Samples: []float64{theirs}})
	res.Params = map[string]any{"what": "flows of a tenant on a host that it uses", "present": high}
	if err := o.Done(res); err != nil {
		return err
	}
	return o.reach(ctx, high)
}
