package store

// TenantsWaiting are the tenants whose number another one holds (see TenantByNumber), in no
// order. The caller must not change the slice. Only hand edits make them.
func (s *State) TenantsWaiting(number uint32) []*Item[Tenant] {
	return s.tenants.numbers.claimants[number]
}

// NetworksWaiting are the networks whose number another one holds, as TenantsWaiting.
func (s *State) NetworksWaiting(number uint32) []*Item[Network] {
	return s.networks.numbers.claimants[number]
}

// PortsWaiting are the ports whose number another one holds, as TenantsWaiting.
func (s *State) PortsWaiting(number uint32) []*Item[Port] { return s.ports.numbers.claimants[number] }
