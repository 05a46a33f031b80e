package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/controller/client"
	"sluice/store"
)

// attachLevels are how many containers are attached at one time.
var attachLevels = []int{1, 10, 100}

// attachSamples is the least number of attaches in a round.
const attachSamples = 10

// attachTenant has a container on every host from the start: the network is present on all.
const attachTenant = "attach"

func attachCase() Case {
	return Case{
		Name:  "attach",
		About: "attach containers by their hosts' agents until every host of the network has their flows: 1, 10, 100 at one time",
		Ratio: "Each round goes from 1 at a time through all levels and back to 1. A round's ratio is the median attach at a level to " +
			"that of those 1 at a time before and after together; the median of the rounds counts, and nothing bounds it.",
		Needs: labPrograms,
		Run:   measureAttach,
	}
}

func measureAttach(ctx context.Context, r *Run) error {
	return inLab(ctx, r, func(l *labRun) error {
		a := &attachRun{labRun: l, costs: map[int]*attachCost{}}
		if err := a.begin(ctx); err != nil {
			return err
		}
		return a.measure(ctx)
	})
}

// attachRun attaches containers to one network, by turns on each host.
type attachRun struct {
	*labRun
	tenant     client.Tenant
	residents  []container // one a host
	addresses  []string    // theirs
	containers []container
	costs      map[int]*attachCost // by how many at one time
}

// attachCost is what attaching so many at one time cost besides their own times.
type attachCost struct {
	rounds []float64 // ms until the last had its flows
	warned int       // attaches whose agent gave up waiting for a host
}

func (a *attachRun) measure(ctx context.Context) error {
	levels := a.levels(attachLevels)
	got, err := a.climb(ctx, climb{levels: levels, take: a.level})
	if err != nil {
		return fmt.Errorf("containers at one time: %w", err)
	}
	for i, n := range levels {
		res, cost := got.compare(i, "1 at a time", nil), a.costs[n]
		res.Params = map[string]any{"what": "attach", "concurrent": n}
		res.Facts = []Fact{
			{Name: "attaches a second", Value: 1000 * float64(n) / quantile(cost.rounds, 0.5)},
			{Name: "attaches that warned of a host behind", Value: float64(cost.warned)},
		}
		if err := a.Done(res); err != nil {
			return err
		}
	}
	return nil
}

func (a *attachRun) begin(ctx context.Context) error {
	a.Step("making namespaces")
	all, err := newContainers(ctx, len(a.Hosts)+max(attachSamples, a.Size(slices.Max(attachLevels))))
	if err != nil {
		return err
	}
	a.residents, a.containers = all[:len(a.Hosts)], all[len(a.Hosts):]
	if a.tenant, err = a.api.CreateTenant(ctx, client.TenantSpec{Name: attachTenant, Subnets: []string{"10.0.0.0/16"}}); err != nil {
		return err
	}
	for host, c := range a.residents {
		at, err := a.attach(ctx, host, attachTenant, c)
		if err != nil {
			return err
		}
		a.addresses = append(a.addresses, plainAddress(at))
		if err := a.realized(ctx, store.Revision(at.Revision), a.names()); err != nil {
			return err
		}
	}
	return nil
}

// level attaches n containers at one time and detaches them, as often as it takes for a round's
// samples.
func (a *attachRun) level(ctx context.Context, n int) (samples []float64, err error) {
	cost := a.costs[n]
	if cost == nil {
		cost = &attachCost{}
		a.costs[n] = cost
	}
	for part := range max(1, attachSamples/n) {
		a.Step("%d at one time", n)
		took, warned, err := a.round(ctx, a.containers[part*n%len(a.containers):][:n])
		if err != nil {
			return nil, err
		}
		samples, cost.rounds, cost.warned = append(samples, took...), append(cost.rounds, slices.Max(took)), cost.warned+warned
	}
	return samples, nil
}

// round attaches containers at one time, tries each with a ping, detaches all, and fails
// where anything of them is left.
func (a *attachRun) round(ctx context.Context, list []container) (took []float64, warned int, err error) {
	before, err := a.holdings(ctx)
	if err != nil {
		return nil, 0, err
	}
	took, warned, err = a.attachAll(ctx, list)
	if err != nil {
		return nil, 0, err
	}
	during, err := a.holdings(ctx)
	if err != nil {
		return nil, 0, err
	}
	if during.ports != before.ports+len(list) || during.flows <= before.flows {
		return nil, 0, fmt.Errorf("with %d containers more the switches went from %v to %v", len(list), before, during)
	}
	if err := a.pingAll(ctx, list); err != nil {
		return nil, 0, err
	}
	err = sideBySide(ctx, len(list), func(ctx context.Context, i int) error {
		return a.detach(ctx, a.hostOf(i), attachTenant, list[i])
	})
	if err != nil {
		return nil, 0, err
	}
	return took, warned, a.backTo(ctx, before)
}

func (a *attachRun) hostOf(i int) int { return i % len(a.Hosts) }

func (a *attachRun) attachAll(ctx context.Context, list []container) (took []float64, warned int, err error) {
	took = make([]float64, len(list))
	warnings := make([]int, len(list))
	err = sideBySide(ctx, len(list), func(ctx context.Context, i int) error {
		seconds, err := timed(func() error {
			at, err := a.attach(ctx, a.hostOf(i), attachTenant, list[i])
			warnings[i] = min(1, len(at.Warnings))
			return err
		})
		took[i] = seconds * 1000
		return err
	})
	for _, w := range warnings {
		warned += w
	}
	return took, warned, err
}

// pingAll pings from each container one that lives on another host.
func (a *attachRun) pingAll(ctx context.Context, list []container) error {
	for i, c := range list {
		if err := pingUntilAnswered(ctx, c.netns, a.addresses[a.hostOf(i+1)]); err != nil {
			return err
		}
	}
	return nil
}

// holdings are what a tenant has in switches and in etcd, over all hosts.
type holdings struct{ ports, flows, keys int }

func (a *attachRun) holdings(ctx context.Context) (sum holdings, err error) {
	for host := range a.Hosts {
		ports, err1 := a.switchPorts(ctx, host)
		flows, err2 := a.tenantFlows(ctx, host, a.tenant.Number)
		if err := errors.Join(err1, err2); err != nil {
			return sum, err
		}
		sum.ports, sum.flows = sum.ports+ports, sum.flows+flows
	}
	for _, under := range []string{
		string(store.KindPort), "alloc/ports/" + attachTenant, "alloc/addresses/" + attachTenant, "alloc/macs/" + attachTenant,
	} {
		got, err := a.client.Get(ctx, store.Prefix+under+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return sum, err
		}
		sum.keys += int(got.Count)
	}
	return sum, nil
}

// backTo waits until what is held is what was held before.
func (a *attachRun) backTo(ctx context.Context, before holdings) error {
	ctx, cancel := context.WithTimeout(ctx, labPatience)
	defer cancel()
	return until(ctx, func() error {
		after, err := a.holdings(ctx)
		if err == nil && after != before {
			err = fmt.Errorf("after detaching all, ports, flows and keys are %v, and were %v", after, before)
		}
		return err
	})
}
