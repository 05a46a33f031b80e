package api

import (
	"context"
	"maps"
	"time"

	"sluice/controller/client"
	"sluice/controller/host"
	"sluice/store"
)

// reports are what controllers wrote about themselves and their hosts. Each controller
// knows only its own hosts at first hand.
type reports struct {
	hosts       map[string]*store.StatusHost       // exceptions: a host without one is at its controller's floor
	controllers map[string]*store.StatusController // live ones, but for this
}

// reportTime bounds the wait for an etcd that is away: status is asked for exactly then.
const reportTime = 2 * time.Second

// reports are empty where this controller is the only one, and while etcd is away, which the
// error says.
func (s *server) reports(ctx context.Context) (reports, error) {
	r := reports{hosts: map[string]*store.StatusHost{}, controllers: map[string]*store.StatusController{}}
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	others := s.others()
	if len(others) == 0 {
		_, _, err := s.Store.Get(ctx, store.LiveControllerKey(s.Controller.Name()))
		return r, err
	}
	hosts, controllers, err := s.Store.Reports(ctx)
	if err != nil {
		return r, err
	}
	maps.DeleteFunc(controllers, func(name string, _ *store.StatusController) bool { return !others[name] })
	return reports{hosts, controllers}, nil
}

// others are the names of the other controllers that hold a lease.
func (s *server) others() map[string]bool {
	names := map[string]bool{}
	s.Controller.View(func(state *store.State) {
		for c := range state.LiveControllers() {
			names[c.Key.Name] = true
		}
	})
	delete(names, s.Controller.Name())
	return names
}

// standing is how every host stands: at first hand where this controller programs it, as
// reported where another one does.
func (s *server) standing(r reports) []client.HostStatus {
	list := make([]client.HostStatus, 0)
	for _, status := range s.Controller.Hosts() {
		list = append(list, hostStatus(status))
	}
	for i := range list {
		h := &list[i]
		other := r.controllers[h.Master]
		if other == nil {
			continue
		}
		h.State, h.Realized, h.Missing, h.Problems = store.HostRealized, other.Floor, nil, nil
		if e := r.hosts[h.Name]; e != nil {
			h.State, h.Realized, h.Missing, h.Problems = e.State, e.Realized, e.Missing, e.Problems
		}
	}
	return list
}

// hostStatus is how a host stands, as the API says it.
func hostStatus(s host.Status) client.HostStatus {
	said := client.HostStatus{
		Name: s.Name, State: s.State, Realized: s.Realized, Master: s.Master, Connected: s.Connected, Live: s.Live, Agent: s.Agent,
		VTEP: s.VTEP, DatapathID: s.DatapathID, Flows: s.Flows, Missing: s.Missing, Drift: (*client.Drift)(s.Drift), Problems: s.Problems,
	}
	if p := s.Proof; p != nil {
		said.Proof = &client.Proof{
			Isolation: client.Isolation(p.Isolation), At: p.At, Whole: p.Whole, Flows: p.Flows, Findings: p.Findings, First: p.First,
		}
	}
	return said
}
