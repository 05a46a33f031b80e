package report

import (
	"maps"
	"reflect"
	"slices"

	"sluice/store"
)

// maxProblems bounds the problems that a controller's status key carries.
const maxProblems = 50

// standing is how far the hosts are that this controller programs.
type standing struct {
	floor       *store.StatusController
	excepted    map[string]*store.StatusHost
	mine        map[string]bool                   // hosts that this controller programs
	gone        map[string]bool                   // hosts with an exception in etcd that are not registered any more, and that nobody claims
	fences      map[store.Key][]store.Presumption // what a write of each key presumes
	behind      bool                              // some host is not at the state's revision, and may come to lag too long
	first, last store.Revision                    // that are waited for; 0: none
}

func (r *Reporter) standing(written map[string]*store.StatusHost) (s standing) {
	r.Picture.View(func(state *store.State) {
		now := state.Revision()
		s = standing{
			floor:    &store.StatusController{Floor: now},
			excepted: map[string]*store.StatusHost{}, mine: map[string]bool{}, gone: map[string]bool{},
			fences: map[store.Key][]store.Presumption{store.StatusControllerKey(r.Controller): state.FenceController(r.Controller)},
		}
		for h := range r.Fleet.Mastered(state) {
			s.mine[h.Name], s.fences[store.StatusHostKey(h.Name)] = true, state.FenceHost(h.Name)
			realized, exception := h.Standing(now)
			if exception != nil {
				s.excepted[h.Name] = exception
				continue
			}
			s.floor.Floor = min(s.floor.Floor, realized)
		}
		for host := range written {
			if state.Host(host) == nil && state.Master(host) == nil {
				s.gone[host], s.fences[store.StatusHostKey(host)] = true, state.FenceHost(host)
			}
		}
		s.behind = s.floor.Floor < now
		s.floor.Problems = r.Problems(state)
	})
	s.floor.Problems = s.floor.Problems[:min(len(s.floor.Problems), maxProblems)]
	s.floor.UnknownSwitches = r.Unknown()
	s.first, s.last = r.waiting()
	return s
}

// draft is what a report would tell.
type draft struct {
	standing
	events  []store.Event // as they must be written: an exception before the floor that would vouch for its host
	news    bool          // an exception comes or goes
	changes bool          // an exception tells more than that its host moved with the floor
}

// draft compares how the hosts stand with what etcd holds of them.
func (r *Reporter) draft() draft {
	written := r.written()
	d := draft{standing: r.standing(written)}
	for _, host := range slices.Sorted(maps.Keys(d.excepted)) {
		is, was := d.excepted[host], written[host]
		if reflect.DeepEqual(is, was) {
			continue
		}
		d.events = append(d.events, store.Event{Key: store.StatusHostKey(host), Object: is})
		d.news = d.news || was == nil
		d.changes = d.changes || was != nil && (is.Realized < d.floor.Floor || !reflect.DeepEqual(is, moved(was, is.Realized)))
	}
	if !reflect.DeepEqual(d.floor, r.floor) {
		d.events = append(d.events, store.Event{Key: store.StatusControllerKey(r.Controller), Object: d.floor})
	}
	for _, host := range slices.Sorted(maps.Keys(written)) {
		if d.excepted[host] == nil && (d.mine[host] || d.gone[host]) {
			d.events = append(d.events, store.Event{Key: store.StatusHostKey(host)})
			d.news = true
		}
	}
	return d
}

// moved is the same exception at another revision.
func moved(status *store.StatusHost, realized store.Revision) *store.StatusHost {
	other := *status
	other.Realized = realized
	return &other
}
