package store

// Stirred reports whether a tenant got its first port in the last batch, or lost its last one.
func (s *State) Stirred(tenant string) bool { return s.former.stirred[tenant] }

// noteStirred looks which tenants have a presence now and had none, or the other way round. It comes after all
// changes of the batch.
func (a *application) noteStirred() {
	for tenant, more := range a.morePresences() {
		if now := a.presences(tenant); (now == 0) != (now == more) {
			if a.former.stirred == nil {
				a.former.stirred = map[string]bool{}
			}
			a.former.stirred[tenant] = true
		}
	}
}

// morePresences counts by how many presences of networks that there are tenants have more than before the batch. Edits
// by hand make ports of networks that there are not: those are presences once somebody makes the network.
func (a *application) morePresences() map[string]int {
	more, existed, came := map[string]int{}, a.existed(), map[NetworkName]int{}
	for _, c := range a.changes {
		name := c.Key.NetworkName()
		switch {
		case c.Key.Kind != KindPresence:
		case c.After != nil:
			came[name]++
			more[name.Tenant] += a.counts(name)
		default:
			was, changed := existed[name]
			if !changed {
				was = a.counts(name)
			}
			more[name.Tenant] -= was
		}
	}
	for name, was := range existed {
		if stayed := len(a.HostsOf(name)) - came[name]; stayed != 0 {
			more[name.Tenant] += stayed * (a.counts(name) - was)
		}
	}
	return more
}

// counts is 1 where a network is there, and 0 where it is not.
func (a *application) counts(name NetworkName) int {
	if a.networks.has(name) {
		return 1
	}
	return 0
}

// existed are the networks that changed: 1 for those that were there before the batch, 0 for others.
func (a *application) existed() map[NetworkName]int {
	all := map[NetworkName]int{}
	for _, c := range a.changes {
		name := c.Key.NetworkName()
		if _, seen := all[name]; seen || c.Key.Kind != KindNetwork {
			continue
		}
		all[name] = 0
		if c.Before != nil {
			all[name] = 1
		}
	}
	return all
}
