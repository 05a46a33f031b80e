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
