package balance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// names are those of tenants, made once: there are millions in these tests.
var names = func() (all [32000]string) {
	for n := range all {
		all[n] = fmt.Sprintf("t%05d", n)
	}
	return all
}()

// cluster is so many hosts of weight 1, and tenants on them in turn with loads that Pareto's law gives (exponent 1.2), none above
// a part of a host's mean load; 0: they are as they come. The seed is rand.NewPCG(seed, 11).
func cluster(seed uint64, hosts, tenants int, bound float64) (h []Host, t []Tenant) {
	random := rand.New(rand.NewPCG(seed, 11))
	all := 0.0
	for n := range hosts {
		h = append(h, Host{Name: fmt.Sprintf("h%02d", n), Weight: 1})
	}
	for n := range tenants {
		load := math.Pow(1-random.Float64(), -1/1.2)
		all += load
		t = append(t, Tenant{Name: names[n], Load: load, Host: h[n%hosts].Name})
	}
	if bound > 0 {
		capTo(t, bound*all/float64(hosts), float64(hosts), bound)
	}
	return h, t
}

// capTo bounds loads to a part of the mean that they have then: bounding some makes the mean smaller.
func capTo(t []Tenant, most, hosts, bound float64) {
	for range 100 {
		all := 0.0
		for n := range t {
			t[n].Load = min(t[n].Load, most)
			all += t[n].Load
		}
		if most <= bound*all/hosts*(1+1e-9) {
			return
		}
		most = bound * all / hosts
	}
}

const seeds = 100

func TestParetoLoads(t *testing.T) {
	for _, c := range []struct{ hosts, tenants, moves int }{{32, 32000, 150}, {16, 2000, 60}} {
		most, worst := 0, 0.0
		for seed := range uint64(seeds) {
			h, tenants := cluster(seed, c.hosts, c.tenants, 0.3)
			p := Of(h, tenants, Stop, 1<<20)
			most, worst = max(most, len(p.Moves)), max(worst, p.After)
			if p.After > Stop+1e-9 || len(p.Moves) > c.moves {
				t.Errorf("%d tenants on %d hosts, seed %d: from %.3f to %.3f with %d moves", c.tenants, c.hosts, seed, p.Before, p.After, len(p.Moves))
			}
		}
		t.Logf("%d tenants on %d hosts: %.3f with %d moves at most", c.tenants, c.hosts, worst, most)
	}
}

// With loads as they come a tenant may be larger than a host's share: the bound is 1.05 of the largest.
func TestParetoLoadsWithoutBound(t *testing.T) {
	moves := 0
	for seed := range uint64(seeds) {
		h, tenants := cluster(seed, 16, 2000, 0)
		p := Of(h, tenants, Stop, 1<<20)
		moves = max(moves, len(p.Moves))
		if p.After > p.Goal+1e-9 {
			t.Errorf("seed %d: from %.3f to %.3f, the goal is %.3f", seed, p.Before, p.After, p.Goal)
		}
	}
	t.Logf("%d moves at most", moves)
}

// applied are the tenants after moves.
func applied(tenants []Tenant, moves []Move) []Tenant {
	to := map[string]string{}
	for _, m := range moves {
		to[m.Tenant] = m.To
	}
	after := slices.Clone(tenants)
	for n := range after {
		if host, moved := to[after[n].Name]; moved {
			after[n].Host = host
		}
	}
	return after
}

// What was balanced stays so while loads stay, in one plan or in many small ones.
func TestItSettles(t *testing.T) {
	for seed := range uint64(20) {
		h, tenants := cluster(seed, 16, 500, 0)
		rounds := 0
		for ; rounds < 500; rounds++ {
			p := Of(h, tenants, Stop, 1+int(seed)%3)
			if len(p.Moves) == 0 {
				break
			}
			tenants = applied(tenants, p.Moves)
		}
		if again := Of(h, tenants, Stop, 1+int(seed)%3); rounds == 500 || len(again.Moves) > 0 {
			t.Errorf("seed %d: after %d rounds it moves still: %+v", seed, rounds, again.Moves)
		}
	}
}

// Under loads that shift by a tenth each round moves stay few, and no tenant goes back to where it came from a round ago.
func TestItDoesNotOscillate(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 12))
		h, tenants := cluster(seed, 16, 2000, 0.3)
		last, moves := map[string]string{}, 0
		for round := range 50 {
			p := Of(h, tenants, Start, 100)
			came := map[string]string{}
			for _, m := range p.Moves {
				came[m.Tenant] = m.From
				if last[m.Tenant] == m.To {
					t.Errorf("seed %d, round %d: %s goes back to %s", seed, round, m.Tenant, m.To)
				}
			}
			if last = came; round > 0 {
				moves += len(p.Moves)
			}
			tenants = applied(tenants, p.Moves)
			for n := range tenants {
				tenants[n].Load *= 0.9 + 0.2*random.Float64()
			}
		}
		if moves > 100 {
			t.Errorf("seed %d: %d moves in 49 rounds", seed, moves)
		}
	}
}

// carried are what hosts carry now: each tenant's load, less what stays at hosts before, and that there.
func carried(tenants []Tenant) map[string]float64 {
	now := map[string]float64{}
	for _, t := range tenants {
		now[t.Host] += t.Load
		for host, load := range t.Stays {
			now[t.Host] -= load
			now[host] += load
		}
	}
	return now
}

// Where all that a tenant sends are long connections, which stay at the host before for many rounds after a move, no host ever carries more than
// the hottest did, there are no more moves than where they go along at once, no tenant moves twice, and in the end hosts carry alike.
func TestLongConnections(t *testing.T) {
	const stay, atOnce = 30, 4
	for seed := range uint64(seeds) {
		h, tenants := cluster(seed, 16, 2000, 0.3)
		first := Of(h, tenants, Stop, 1<<20)
		left, moved, moves := map[string]int{}, map[string]bool{}, 0
		for round, going := 0, true; going && round < 300; round++ {
			going = false
			for n := range tenants {
				if name := tenants[n].Name; tenants[n].Stays != nil && round-left[name] >= stay {
					tenants[n].Stays, tenants[n].Fixed = nil, false
				}
				going = going || tenants[n].Stays != nil
			}
			p := Of(h, tenants, Stop, atOnce)
			going = going || len(p.Moves) > 0
			for _, m := range p.Moves {
				if moved[m.Tenant] {
					t.Errorf("seed %d, round %d: %s moves again", seed, round, m.Tenant)
				}
				moved[m.Tenant], left[m.Tenant] = true, round
			}
			moves += len(p.Moves)
			before := tenants
			tenants = applied(tenants, p.Moves)
			for n := range tenants {
				if tenants[n].Host != before[n].Host {
					tenants[n].Stays, tenants[n].Fixed = map[string]float64{before[n].Host: tenants[n].Load}, true
				}
			}
			for host, load := range carried(tenants) {
				if load > first.Before*mean(tenants, h)*(1+1e-9) {
					t.Fatalf("seed %d, round %d: host %s carries %.2f of the mean, and the hottest carried %.2f", seed, round, host, load/mean(tenants, h), first.Before)
				}
			}
		}
		if end := Of(h, tenants, Stop, 1); end.Before > Stop+1e-9 || moves > len(first.Moves)+2 {
			t.Errorf("seed %d: it ends at %.3f with %d moves; at once there are %d", seed, end.Before, moves, len(first.Moves))
		}
	}
}

func mean(tenants []Tenant, hosts []Host) (all float64) {
	for _, t := range tenants {
		all += t.Load
	}
	return all / float64(len(hosts))
}

// What stays at a host makes it no goal, and does not have it relieved: it will end. What a host's tenants still have elsewhere does not have
// it relieved either, and makes it no goal: it will come.
func TestWhatStays(t *testing.T) {
	hosts := []Host{{"h1", 1}, {"h2", 1}, {"h3", 1}}
	some := func(host string, stays map[string]float64, loads ...float64) (list []Tenant) {
		for n, load := range loads {
			list = append(list, Tenant{Name: fmt.Sprintf("%s-%d", host, n), Load: load, Host: host})
		}
		list[0].Stays, list[0].Fixed = stays, stays != nil
		return list
	}
	for name, c := range map[string]struct {
		tenants []Tenant
		moves   []string
	}{
		"without":                      {slices.Concat(some("h1", nil, 1), some("h2", nil, 2, 2), some("h3", nil, 5, 1, 1, 1)), []string{"h3-3 h3 h1"}},
		"some stays at the coolest":    {slices.Concat(some("h1", nil, 1), some("h2", map[string]float64{"h1": 4}, 4, 0.1), some("h3", nil, 5, 1, 1, 1)), []string{"h3-3 h3 h2"}},
		"a little stays there":         {slices.Concat(some("h1", nil, 1), some("h2", map[string]float64{"h1": 1}, 4, 0.1), some("h3", nil, 5, 1, 1, 1)), []string{"h3-3 h3 h1"}},
		"the hottest has it elsewhere": {slices.Concat(some("h1", nil, 1), some("h2", nil, 2, 2), some("h3", map[string]float64{"h2": 3}, 5, 1, 1, 1)), nil},
		"the host before is hot now":   {slices.Concat(some("h1", map[string]float64{"h2": 4}, 4), some("h2", nil, 2, 2), some("h3", nil, 4)), nil},
		"at a host that is not there":  {slices.Concat(some("h1", nil, 1), some("h2", nil, 2, 2), some("h3", map[string]float64{"h9": 1}, 5, 1, 1, 1)), []string{"h3-3 h3 h1"}},
	} {
		var moves []string
		for _, m := range Of(hosts, c.tenants, Start, 1).Moves {
			moves = append(moves, fmt.Sprint(m.Tenant, " ", m.From, " ", m.To))
		}
		if diff := cmp.Diff(c.moves, moves); diff != "" {
			t.Errorf("%s: moves (-want +got):\n%s", name, diff)
		}
	}
}

func TestOf(t *testing.T) {
	two := []Host{{"h1", 1}, {"h2", 1}}
	on := func(host string, loads ...float64) (t []Tenant) {
		for n, load := range loads {
			t = append(t, Tenant{Name: fmt.Sprintf("%s-%d", host, n), Load: load, Host: host})
		}
		return t
	}
	fixed := func(t []Tenant) []Tenant {
		for n := range t {
			t[n].Fixed = true
		}
		return t
	}
	for _, c := range []struct {
		name     string
		hosts    []Host
		tenants  []Tenant
		most     int
		moves    []string
		tooLarge []string
	}{
		{"nothing there", nil, nil, 9, nil, nil},
		{"nobody sends", two, on("h1", 0, 0), 9, nil, nil},
		{"alike enough", two, append(on("h1", 6, 5.9), on("h2", 4, 4.1)...), 9, nil, nil},
		{"the smallest that suffices", two, append(on("h1", 1, 2, 3, 4), on("h2", 2)...), 9, []string{"h1-3 h1 h2"}, nil},
		{"one that is fixed stays", two, append(fixed(on("h1", 4, 4, 4)), on("h2", 1)...), 9, nil, nil},
		{"no more than asked for", two, on("h1", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), 2, []string{"h1-9 h1 h2", "h1-8 h1 h2"}, nil},
		{"by weight", []Host{{"h1", 3}, {"h2", 1}}, append(on("h1", 3, 3, 3), on("h2", 1, 1, 1)...), 9, nil, nil},
		{"one that is too large", two, append(on("h1", 50), on("h2", 1)...), 9, nil, []string{"h1-0"}},
		{"a tenant of a host that is not there", two, append(on("h9", 50), on("h2", 1, 1)...), 9, []string{"h2-0 h2 h1"}, []string{"h9-0"}},
	} {
		p := Of(c.hosts, c.tenants, Start, c.most)
		var moves []string
		for _, m := range p.Moves {
			moves = append(moves, fmt.Sprint(m.Tenant, " ", m.From, " ", m.To))
		}
		if diff := cmp.Diff(c.moves, moves); diff != "" {
			t.Errorf("%s: moves (-want +got):\n%s", c.name, diff)
		}
		if diff := cmp.Diff(c.tooLarge, p.TooLarge); diff != "" {
			t.Errorf("%s: too large (-want +got):\n%s", c.name, diff)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	h, tenants := cluster(1, 32, 32000, 0.3)
	for b.Loop() {
		Of(h, tenants, Stop, 1<<20)
	}
}
