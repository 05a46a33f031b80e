package flows

import "sluice/store"

// Affected marks each slice of each host whose flows may differ after a change. It is
// called after State.Apply, for each change of that batch, before the next Apply.
func Affected(s *store.State, c store.Change, mark func(host string, sl Slice)) {}

// AffectedPort marks the slices of a host that depend on the OpenFlow port of one
// interface, learned or lost; all says that every slice of the host does.
func AffectedPort(s *store.State, host, iface string, mark func(sl Slice)) (all bool) { return false }
