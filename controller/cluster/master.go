package cluster

import "sluice/store"

// IsMaster reports whether a controller programs a host.
func IsMaster(s *store.State, controller, host string) bool {
	m := s.Master(host)
	return m != nil && m.Value.Controller == controller
}

// IsAnothers reports whether another controller than the named one programs a host: what the
// named one knows of that host's switch is of before.
func IsAnothers(s *store.State, controller, host string) bool {
	m := s.Master(host)
	return m != nil && m.Value.Controller != controller
}

// IsUnreached reports whether a host's master says that it has no session with its switch.
func IsUnreached(s *store.State, host string) bool {
	m := s.Master(host)
	return m != nil && m.Value.Unreached
}
