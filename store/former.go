package store

import (
	"maps"
	"slices"
)

// former is what the last batch took away and flows may still speak of: whoever removes
// a port's flows must know the hosts that its tenant left, and the number that it had,
// even if one batch deleted both.
type former struct {
	numbers map[string][]uint32  // tenant -> numbers that it had
	hosts   sets[string, string] // tenant -> hosts where it lost a network or its gateway
	peers   sets[string, string] // tenant -> tenants with whom a word on their peering was taken back or replaced
	stirred map[string]bool      // tenants that woke up or fell asleep
}

func (f *former) addNumber(tenant string, number uint32) {
	if f.numbers == nil {
		f.numbers = map[string][]uint32{}
	}
	f.numbers[tenant] = append(f.numbers[tenant], number)
}

// FormerNumbers are the numbers of a tenant that the last batch replaced or deleted.
func (s *State) FormerNumbers(tenant string) []uint32 { return s.former.numbers[tenant] }

// FormerHosts are the hosts that a network or the gateway of a tenant left in the last
// batch, or where a network of it was replaced or deleted, sorted; they may still be its.
func (s *State) FormerHosts(tenant string) []string {
	return slices.Sorted(maps.Keys(s.former.hosts.sets[tenant]))
}
