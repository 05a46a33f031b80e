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
	order    int    // among those that dialled in
	shows    string // whose certificate the last one has that dialled in; empty: none
}

// countUnknown notes sessions of an unknown switch that came or went, and whose certificate one that
// came shows. It reports whether the switch is among those that are listed.
func (srv *Server) countUnknown(id store.DatapathID, by int, shows string) (listed bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	u, known := srv.unknown[id]
	if !known {
		u.order = srv.nextUnknown
		srv.nextUnknown++
	}
	if by > 0 {
		u.shows = shows
	}
	if u.sessions += by; u.sessions > 0 {
		srv.unknown[id] = u
	} else {
		delete(srv.unknown, id)
	}
	srv.Reports.Poke()
	return len(srv.unknown) <= maxUnknown
}

// Unknown are the switches that dialled in and belong to no host: those that have been there longest
// are listed.
func (srv *Server) Unknown() store.UnknownSwitches {
	var listed []store.DatapathID
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for id := range srv.unknown {
		listed = append(listed, id)
	}
	slices.SortFunc(listed, func(a, b store.DatapathID) int { return cmp.Compare(srv.unknown[a].order, srv.unknown[b].order) })
	more := max(0, len(listed)-maxUnknown)
	listed = listed[:len(listed)-more]
	slices.Sort(listed)
	return store.UnknownSwitches{Unknown: listed, UnknownShows: srv.shownBy(listed), UnknownMore: more}
}

// shownBy says whose certificates unknown switches show, where they show any. The caller has locked srv.mu.
func (srv *Server) shownBy(listed []store.DatapathID) (shows map[store.DatapathID]string) {
	for _, id := range listed {
		if of := srv.unknown[id].shows; of != "" {
			if shows == nil {
				shows = map[store.DatapathID]string{}
			}
			shows[id] = of
		}
	}
	return shows
}
