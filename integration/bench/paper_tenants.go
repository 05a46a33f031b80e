package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"sluice/controller/client"
	"sluice/integration/lab"
)

// paperHosts are those of the paper's comparison of many tenants.
const paperHosts = 4

// MostPaperTenants is how many tenants the designs have addresses for.
const MostPaperTenants = 250

// paperLevels are how many tenants transfer at one time.
var paperLevels = []int{1, 5, 10, 20}

func paperTwoCase() Case {
	return Case{
		Name: "paper-2",
		About: "what each container gets when 1, 5, 10 and 20 tenants transfer at one time on four hosts, inside and from outside: Sluice beside the paper's small and " +
			"large design",
		Ratio: "A tenant has two containers on two hosts. All tenants transfer at one time, from outside to the first container, or from the first to the second, and the figure is " +
			"the mean of what each gets. The sides take turns, once a round; the ratio is the median of the rounds' ratios. Each host's wire carries 100 Mbit/s in each direction; a sample during " +
			"which less than 10 % of the processors' time was idle is thrown away, and a level where that happens three times is not kept. Sluice and the large design have the same gateway host for each tenant, spread evenly; the small one has one " +
			"for all. --tenants measures other numbers of tenants, such as 50 and 100. No bound: in the paper the large design has about 3 times the small one's outside at 10 tenants and more, and twice inside at 20.",
		Needs: paperPrograms,
		Run: func(ctx context.Context, r *Run) error {
			return inPaper(ctx, r, paperHosts, func(s *paperRun) error { return newCrowd(s).measure(ctx) })
		},
	}
}

// crowd is many tenants, each connected three times.
type crowd struct {
	*paperRun
	designs []recipe
	ours    []crossing
	theirs  [][]crossing // by design
}

// crossing is a tenant's pair, connected, and the address of its far end.
type crossing struct {
	placed
	address string
}

func newCrowd(s *paperRun) *crowd {
	designs := []recipe{smallDesign(0), largeDesign(gatewayOf)}
	return &crowd{paperRun: s, designs: designs, theirs: make([][]crossing, len(designs))}
}

// hostsOf are those of a tenant's containers: the next one begins on the next host.
func hostsOf(tenant int) [2]int {
	return [2]int{tenant % paperHosts, (tenant + 1) % paperHosts}
}

// gatewayOf is a tenant's gateway host: over 16 tenants each host is that of as many, and of as many that have no
// container on it as of those that have.
func gatewayOf(tenant int) int { return (tenant + tenant/paperHosts) % paperHosts }

func (c *crowd) measure(ctx context.Context) error {
	levels := c.PaperTenants
	if len(levels) == 0 {
		levels = c.levels(paperLevels)
	}
	most := levels[len(levels)-1]
	ends, err := newContainers(ctx, 2*(1+len(c.designs))*most)
	if err != nil {
		return err
	}
	var errs []error
	for _, level := range levels {
		for tenant := len(c.ours); tenant < level; tenant++ {
			c.Step("tenant %d of %d", tenant+1, level)
			if err := c.add(ctx, tenant, ends[2*(1+len(c.designs))*tenant:]); err != nil {
				return fmt.Errorf("tenant %d: %w", tenant+1, err)
			}
		}
		errs = append(errs, c.level(ctx, level))
	}
	return errors.Join(errs...)
}

// add connects one more tenant in each way.
func (c *crowd) add(ctx context.Context, tenant int, ends []container) error {
	pair := func(n int) placed {
		return placed{tenantPair{tenant, ends[2*n], ends[2*n+1]}, hostsOf(tenant)}
	}
	ours := crossing{placed: pair(0)}
	_, err := c.api.CreateTenant(ctx, client.TenantSpec{Name: ours.tenant(), Gateway: c.Hosts[gatewayOf(tenant)].Name})
	if err != nil {
		return err
	}
	if ours.address, err = c.attachBoth(ctx, ours.placed); err != nil {
		return err
	}
	c.ours = append(c.ours, ours)
	all := []crossing{ours}
	for i, design := range c.designs {
		p := crossing{pair(i + 1), design.address(tenant, 1)}
		if err := c.lay(ctx, design, p.placed); err != nil {
			return fmt.Errorf("%s: %w", design.name, err)
		}
		c.theirs[i] = append(c.theirs[i], p)
		all = append(all, p)
	}
	for _, p := range all {
		if err := c.serve(p.tenantPair); err != nil {
			return err
		}
		if err := pingUntilAnswered(ctx, p.from.netns, lab.InternetAddress.String()); err != nil {
			return fmt.Errorf("the way out of container %s: %w", p.from.name, err)
		}
	}
	return c.serveIn(lab.InternetNS, "-p", strconv.Itoa(outsidePort+tenant))
}

// level compares all ways with those tenants that there are. What cannot be measured keeps no other figure from it.
func (c *crowd) level(ctx context.Context, tenants int) error {
	var errs []error
	for _, what := range []string{"TCP from outside", "TCP, inside"} {
		turns := []Side{c.side(what, sideOurs, c.ours)}
		for i, design := range c.designs {
			turns = append(turns, c.side(what, design.name, c.theirs[i]))
		}
		samples, err := c.TakeTurns(ctx, turns...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s, %d tenants: %w", what, tenants, err))
			continue
		}
		res := Compare("Mbit/s", samples[0], Other{c.designs[0].name, nil, samples[1]}, Other{c.designs[1].name, nil, samples[2]})
		res.Params = map[string]any{"what": what + ", each container", "tenants": tenants}
		errs = append(errs, c.Done(res))
	}
	return errors.Join(errs...)
}

func (c *crowd) side(what, name string, pairs []crossing) Side {
	inside := what == "TCP, inside"
	return Side{what + ", " + name, func(ctx context.Context) (float64, error) {
		return c.spared(ctx, func() (float64, error) { return c.mean(ctx, pairs, inside) })
	}}
}

// mean is what each pair gets when all transfer at one time, in Mbit/s.
func (c *crowd) mean(ctx context.Context, pairs []crossing, inside bool) (float64, error) {
	rates, seconds := make([]float64, len(pairs)), c.Size(paperSeconds)
	err := sideBySide(ctx, len(pairs), func(ctx context.Context, i int) (err error) {
		p := pairs[i]
		if inside {
			rates[i], err = transfer(ctx, p.from.netns, p.address, seconds)
			return err
		}
		rates[i], err = transfer(ctx, p.from.netns, lab.InternetAddress.String(), seconds, "-R", "-p", strconv.Itoa(outsidePort+p.number))
		return err
	})
	sum := 0.0
	for _, rate := range rates {
		sum += rate
	}
	return sum / float64(len(pairs)) / 1e6, err
}
