package session

import (
	"cmp"
	"slices"

	"sluice/store"
)

// maxUnknown is how many switches that belong to no host are listed: whoever reads the list needs
// no more, and it is part of a status key, which whoever dials in makes longer.
const maxUnknown = 20

// unknown is one datapath id that no host has.
type unknown struct {
	sessions int
	order    int // among those that dialled in
}

// countUnknown notes sessions of an unknown switch that came or went, and reports whether it is
// among those that are listed.
func (srv *Server) countUnknown(id store.DatapathID, by int) (listed bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	u, known := srv.unknown[id]
	if !known {
		u.order = srv.nextUnknown
		srv.nextUnknown++
	}
	if u.sessions += by; u.sessions > 0 {
		srv.unknown[id] = u
	} else {
		delete(srv.unknown, id)
	}
	srv.Reports.Poke()
	return len(srv.unknown) <= maxUnknown
}

// Unknown are the datapath ids of switches that dialled in and belong to no host, sorted, and how
// many more there are: those that have been there longest are listed.
func (srv *Server) Unknown() (listed []store.DatapathID, more int) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for id := range srv.unknown {
		listed = append(listed, id)
	}
	slices.SortFunc(listed, func(a, b store.DatapathID) int { return cmp.Compare(srv.unknown[a].order, srv.unknown[b].order) })
	more = max(0, len(listed)-maxUnknown)
	listed = listed[:len(listed)-more]
	slices.Sort(listed)
	return listed, more
}
