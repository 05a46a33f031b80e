package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sluice/controller/client"
	agentapi "sluice/hostagent/api"
	"sluice/store"
)

// tenantLevels are how many tenants are present while one more is created.
var tenantLevels = []int{0, 100, 500, 2000, 10_000}

const (
	// tenantSamples is how many tenants are created at each level in a round.
	tenantSamples = 4
	// tenantSlowdown bounds the time with the most tenants present to that with none, and that
	// with none to what it was before there were any: nothing of those removed may be left.
	tenantSlowdown = 1.3
	// tenantFlowsMost bounds the flows of an IPv4 tenant on a host that it uses: a seventh of the 297 that
	// OVN was measured with.
	tenantFlowsMost = 42
	// tidyTime is more than the leader takes to forget the numbers of all those removed, which
	// is no cost of the tenants that are measured next.
	tidyTime = 3 * time.Second
	// measuredHosts are the lab's first: those on which a measured tenant has a port.
	measuredHosts = 2
)

func tenantCase() Case {
	return Case{
		Name:  "tenant",
		About: "create a tenant with ports on two hosts, with up to 10,000 present on 20 simulated hosts; beside NORMAL bridges",
		Ratio: "Each round climbs from 0 present through all levels and back to 0, and creates 4 tenants at each. A round's ratio is " +
			"the median at a level to that of the 4 with 0 present before the climb and the 4 after it together; the median of the " +
			"rounds counts. The ratio of 0 present is to 0 present a round earlier: what the machine drifts by, or what removed " +
			"tenants leave. NORMAL bridges climb in rounds likewise, by one tenant a level, and have no bound.",
		Needs: labPrograms,
		Run:   measureTenants,
	}
}

func measureTenants(ctx context.Context, r *Run) error {
	return inLab(ctx, r, func(l *labRun) error {
		pair, err := newContainers(ctx, measuredHosts)
		if err != nil {
			return err
		}
		t := &tenantRun{
			labRun: l, pair: pair, costs: map[int]*creation{},
			present: newPresent(presentHosts, r.Size(slices.Max(tenantLevels))),
		}
		if err := t.measure(ctx); err != nil {
			return err
		}
		return measureNormal(ctx, l, pair)
	})
}

// tenantRun creates tenants one after the other, beside ever more that are present.
type tenantRun struct {
	*labRun
	pair    []container
	present *present
	created int
	costs   map[int]*creation // by how many were present
}

// creation is what the tenants cost that were created at one level, in milliseconds.
type creation struct {
	total, tenant, attach, ping []float64

	used, unused int // most flows of the tenant on a host that it uses, and that it does not
	held         int // flows of the simulated hosts meanwhile
}

func (t *tenantRun) measure(ctx context.Context) error {
	defer func() { t.present.stop() }()
	t.Step("starting %d simulated hosts", t.present.hosts)
	if err := t.begin(ctx); err != nil {
		return err
	}
	levels := t.levels(tenantLevels)
	got, err := t.climb(ctx, climb{levels, t.reach, t.level})
	if err != nil {
		return fmt.Errorf("tenants present: %w", err)
	}
	for i, level := range levels {
		var bound *Bound
		if i == 0 || i == len(levels)-1 {
			bound = AtMost(tenantSlowdown)
		}
		if err := t.report(got.compare(i, "0 present", bound), level); err != nil {
			return err
		}
	}
	return nil
}

// reach brings about that so many tenants are present: more of them, or none.
func (t *tenantRun) reach(ctx context.Context, from, to int) (err error) {
	var rev store.Revision
	if to > from {
		t.Step("writing %d tenants", to-from)
		rev, err = t.present.grow(ctx, t.client, from, to)
	} else {
		t.Step("removing %d tenants", from)
		rev, err = t.present.clear(ctx, t.client, from)
	}
	if err != nil {
		return err
	}
	t.Step("waiting until %d tenants are realized", to)
	if err := t.realized(ctx, rev, t.everyHost()); err != nil || to > from {
		return err
	}
	select {
	case <-time.After(tidyTime):
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (t *tenantRun) begin(ctx context.Context) error {
	if _, err := t.api.SetFailOver(ctx, client.FailOver{}); err != nil { // a backup has flows where the tenant has no container
		return err
	}
	rev, err := write(ctx, t.client, t.present.hostObjects())
	if err != nil {
		return err
	}
	if err := t.present.connect(ctx); err != nil {
		return err
	}
	if err := t.realized(ctx, rev, t.everyHost()); err != nil {
		return err
	}
	_, err = t.one(ctx) // what is done once, such as resolving the peer, is no tenant's cost
	return err
}

func (t *tenantRun) everyHost() []string { return append(t.names(), t.present.hostNames()...) }

// level creates tenants and removes them again, and returns what each took.
func (t *tenantRun) level(ctx context.Context, tenants int) ([]float64, error) {
	held := t.present.flows()
	c := t.costs[tenants]
	if c == nil {
		c = &creation{held: held}
		t.costs[tenants] = c
	}
	for n := range tenantSamples {
		t.Step("%d tenants present: tenant %d of %d", tenants, n+1, tenantSamples)
		one, err := t.one(ctx)
		if err != nil {
			return nil, err
		}
		c.add(one)
	}
	if now := t.present.flows(); now != c.held || held != c.held {
		return nil, fmt.Errorf("simulated hosts hold %d flows, %d before the measured tenants, and %d in the first round: these have none there",
			now, held, c.held)
	}
	return c.total[len(c.total)-tenantSamples:], nil
}

func (c *creation) add(one *creation) {
	c.total = append(c.total, one.total...)
	c.tenant = append(c.tenant, one.tenant...)
	c.attach = append(c.attach, one.attach...)
	c.ping = append(c.ping, one.ping...)
	c.used, c.unused = max(c.used, one.used), max(c.unused, one.unused)
}

func (t *tenantRun) report(res Result, tenants int) error {
	c := t.costs[tenants]
	res.Params = map[string]any{"what": "create a tenant", "present": tenants}
	res.Facts = []Fact{
		{Name: "of it: the tenant", Value: quantile(c.tenant, 0.5), Unit: "ms"},
		{Name: "of it: two ports, side by side, realized", Value: quantile(c.attach, 0.5), Unit: "ms"},
		{Name: "of it: the first ping", Value: quantile(c.ping, 0.5), Unit: "ms"},
		{Name: "most flows of the tenant on a host that it uses", Value: float64(c.used), Bound: AtMost(tenantFlowsMost)},
		{Name: "flows of the tenant on a host that it does not use", Value: float64(c.unused), Bound: Exactly(0)},
		{Name: "flows held by the simulated hosts", Value: float64(c.held)},
	}
	return t.Done(res)
}

// one creates a tenant with two ports until the first ping passes, counts its flows, and
// removes it.
func (t *tenantRun) one(ctx context.Context) (*creation, error) {
	t.created++
	name := fmt.Sprint("measured-", t.created)
	c := &creation{}
	tenant, err := t.create(ctx, name, c)
	if err != nil {
		return nil, fmt.Errorf("tenant %s: %w", name, err)
	}
	if err := t.count(ctx, tenant, c); err != nil {
		return nil, fmt.Errorf("tenant %s: %w", name, err)
	}
	if err := t.remove(ctx, name); err != nil {
		return nil, fmt.Errorf("tenant %s: %w", name, err)
	}
	return c, nil
}

func (t *tenantRun) create(ctx context.Context, name string, c *creation) (tenant client.Tenant, err error) {
	var ports [measuredHosts]agentapi.Attachment
	steps := []struct {
		took *[]float64
		do   func() error
	}{
		{&c.tenant, func() error {
			tenant, err = t.api.CreateTenant(ctx, client.TenantSpec{Name: name})
			return err
		}},
		{&c.attach, func() error { return t.attachPair(ctx, name, &ports) }},
		{&c.ping, func() error { return pingUntilAnswered(ctx, t.pair[0].netns, plainAddress(ports[1])) }},
	}
	total := 0.0
	for _, s := range steps {
		seconds, err := timed(s.do)
		if err != nil {
			return tenant, err
		}
		*s.took = append(*s.took, seconds*1000)
		total += seconds * 1000
	}
	c.total = append(c.total, total)
	return tenant, nil
}

// attachPair returns when both hosts hold both ports.
func (t *tenantRun) attachPair(ctx context.Context, tenant string, ports *[measuredHosts]agentapi.Attachment) error {
	err := sideBySide(ctx, measuredHosts, func(ctx context.Context, i int) (err error) {
		ports[i], err = t.attach(ctx, i, tenant, t.pair[i])
		return err
	})
	if err != nil {
		return err
	}
	last := max(ports[0].Revision, ports[1].Revision)
	return t.realized(ctx, store.Revision(last), t.names()[:measuredHosts])
}

// count counts the tenant's flows once its gateway is placed.
func (t *tenantRun) count(ctx context.Context, tenant client.Tenant, c *creation) error {
	gateway, rev, err := t.gatewayOf(ctx, tenant.Name)
	if err != nil {
		return err
	}
	if err := t.realized(ctx, rev, t.names()); err != nil {
		return err
	}
	for i, host := range t.names() {
		count, err := t.tenantFlows(ctx, i, tenant.Number)
		switch {
		case err != nil:
			return err
		case i < measuredHosts && count == 0:
			return fmt.Errorf("host %s holds no flow of it, although its ports are realized", host)
		case i < measuredHosts || host == gateway:
			c.used = max(c.used, count)
		default:
			c.unused = max(c.unused, count)
		}
	}
	return nil
}

// gatewayOf waits until the leader has placed a tenant's gateway.
func (t *tenantRun) gatewayOf(ctx context.Context, tenant string) (host string, rev store.Revision, err error) {
	ctx, cancel := context.WithTimeout(ctx, labPatience)
	defer cancel()
	err = until(ctx, func() error {
		o, modified, err := t.store.Get(ctx, store.GatewayKey(tenant))
		if g, ok := o.(*store.Gateway); ok {
			host, rev = g.Active, modified
			return nil
		}
		return errors.Join(errors.New("it has no gateway"), err)
	})
	return host, rev, err
}

func (t *tenantRun) remove(ctx context.Context, tenant string) error {
	for i, c := range t.pair {
		if err := t.detach(ctx, i, tenant, c); err != nil {
			return err
		}
	}
	deleted, err := t.api.DeleteTenant(ctx, tenant)
	if err != nil {
		return err
	}
	return t.realized(ctx, deleted.Revision, t.everyHost())
}
