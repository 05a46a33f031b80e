package lead

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sluice/store"
)

// goneHost is a host that is not registered and has ports.
type goneHost struct {
	name   string
	ports  int
	newest store.Revision // of the ports' create revisions
}

// clearHosts removes the ports of hosts that are not registered: of those that the operator deleted
// at once; of the others, whose key is absent and nobody said why, when they were absent for
// absenceWait and have few of all ports. Who deleted hosts/ by hand, or lost it, can put it back.
func (l *Leader) clearHosts(ctx context.Context) error {
	gone, all, at := l.hostsGone()
	farewells, err := l.farewells(ctx, gone)
	if err != nil {
		return err
	}
	for _, h := range gone {
		if until := farewells[h.name]; until != 0 {
			if err := l.clear(ctx, h, until, "it was deleted"); err != nil {
				return err
			}
		}
	}
	absent := slices.DeleteFunc(gone, func(h goneHost) bool { return h.newest <= farewells[h.name] })
	return l.clearAbsent(ctx, absent, all, at)
}

// hostsGone are the hosts that are not registered and have ports, the number of all ports, and the
// revision.
func (l *Leader) hostsGone() (gone []goneHost, all int, at store.Revision) {
	l.Picture.View(func(s *store.State) {
		_, _, _, all = s.Counts()
		at = s.Revision()
		for _, name := range s.HostsGone() {
			ports, newest := s.PortsLeft(name)
			gone = append(gone, goneHost{name, ports, newest})
		}
	})
	return gone, all, at
}

// farewells are the revisions at which the operator deleted hosts, by host.
func (l *Leader) farewells(ctx context.Context, gone []goneHost) (map[string]store.Revision, error) {
	said := map[string]store.Revision{}
	if len(gone) == 0 {
		return said, nil
	}
	list, _, err := l.Store.List(ctx, store.KindFarewell)
	for _, e := range list {
		said[e.Key.Host] = e.Modified
	}
	return said, err
}

// clearAbsent removes the ports of hosts that are absent for no reason that anybody told, once they
// were so long enough, and tells about the others.
func (l *Leader) clearAbsent(ctx context.Context, absent []goneHost, all int, at store.Revision) error {
	names, ports := []string{}, 0
	for _, h := range absent {
		names, ports = append(names, h.name), ports+h.ports
	}
	l.hosts.see(names)
	right, _ := l.Store.Trusted()
	held := tooMany(ports, all)
	problems := store.Problems{}
	for _, h := range absent {
		due := l.hosts.due(h.name, right)
		if !held && !time.Now().Before(due) {
			if err := l.clear(ctx, h, at, "it was absent for "+absenceWait.String()); err != nil {
				return err
			}
			continue
		}
		problems = append(problems, h.problem(held, due, ports, all))
	}
	l.tell(&l.hostProblems, problems)
	return nil
}

// problem says what will become of the host's ports, and what an operator can do.
func (h goneHost) problem(held bool, due time.Time, ports, all int) store.Problem {
	fate := fmt.Sprintf("they are removed at %s", due.UTC().Format("15:04:05 UTC"))
	if held {
		fate = fmt.Sprintf("they are kept, since such hosts have %d of all %d ports (`sluice tidy hosts` lists all of these)", ports, all)
	}
	return store.ProblemOf(store.HostKey(h.name),
		"it is not registered, though nobody deleted it, and has %d ports: %s: start its agent, or remove them now with `sluice host delete %s`",
		h.ports, fate, h.name)
}

// clear removes the ports of a host that were created up to a revision.
func (l *Leader) clear(ctx context.Context, h goneHost, at store.Revision, why string) error {
	l.Log.Info("removing the ports of a host that is not registered", "host", h.name, "ports", h.ports, "rev", at, "why", why)
	_, err := l.Store.ClearHost(ctx, h.name, at)
	return err
}

// tell replaces problems of one sort.
func (l *Leader) tell(sort *store.Problems, problems store.Problems) {
	l.mu.Lock()
	changed := !slices.Equal(*sort, problems)
	*sort = problems
	l.mu.Unlock()
	if changed {
		l.Changed()
	}
}
