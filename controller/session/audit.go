package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"sluice/controller/host"
	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// Where nothing points to a difference an audit is brief. One of fullAudits reads the flows of
// a switch nonetheless, though it told of no change by others and counts as many flows as it
// was brought to hold: should it ever fail to tell. One of wholeAudits of those compares each
// flow, though they are what the switch was brought to: should a change ever fail to mark a
// slice. Chance spreads them over the hosts.
const fullAudits, wholeAudits = 10, 10

// auditIfRoom audits, or tries again soon where it cannot. It does not wait for its turn among
// the resyncs: what changes on this host meanwhile would wait with it.
func (s *session) auditIfRoom(ctx context.Context) error {
	end := s.srv.turns.try()
	if end == nil {
		s.audits.again(time.Now())
		return nil
	}
	defer end()
	edited := s.edited
	err := s.audit(ctx)
	if errors.Is(err, errUnsettled) {
		s.audits.again(time.Now())
		return nil
	}
	s.audits.audited(time.Now(), edited)
	return err
}

// errUnsettled ends an audit of a host that changes: what is marked would look like drift.
var errUnsettled = errors.New("the host changes")

// How an audit went, as the metric's label has it.
const (
	auditCounted = "counted" // nobody else changed flows, and there are as many as there were
	auditQuick   = "quick"   // the flows are what the switch was brought to
	auditDiffers = "differs" // they are not, so that every flow was compared
	auditWhole   = "whole"   // every flow was compared anyway
)

// audit looks for flows that drifted, counts them, and mends them.
func (s *session) audit(ctx context.Context) error {
	if !s.host.Idle() {
		return errUnsettled
	}
	how, err := s.look(ctx)
	if err != nil {
		return err
	}
	if how == auditCounted || how == auditQuick {
		s.edited = false
		s.srv.Metrics.Audits.WithLabelValues(how).Inc()
		s.proof.Audited()
		return nil
	}
	dump, err := s.sw.AskFlows(ctx)
	if err != nil {
		return err
	}
	defer dump.Close()
	return s.compare(ctx, dump, how)
}

// look says how the audit goes. It neither compiles nor compares flows, and where it can it
// does not read them.
func (s *session) look(ctx context.Context) (how string, err error) {
	if s.expected == nil {
		return auditWhole, nil
	}
	differ, err := s.metersDiffer(ctx)
	if err != nil {
		return "", err
	}
	if differ > 0 {
		s.srv.Fleet.Count(s.host, s.srv.Metrics.Drift, differ, "changed")
		s.log.Warn("the audit found meters that others changed and mends them", "meters", differ)
		return auditDiffers, nil
	}
	if s.watching && !s.edited && rand.IntN(fullAudits) > 0 {
		count, err := s.sw.CountFlows(ctx)
		if err != nil || count == s.expected.Flows() {
			return auditCounted, err
		}
	}
	if rand.IntN(wholeAudits) == 0 {
		return auditWhole, nil
	}
	return s.lookAtFlows(ctx)
}

// lookAtFlows reads all flows, and reports whether they are the expected ones as far as a fingerprint tells.
func (s *session) lookAtFlows(ctx context.Context) (how string, err error) {
	var installed flows.Fingerprint
	err = s.sw.WireFlows(ctx, nil, func(w *openflow.WireFlow) bool {
		installed.Add(w)
		return true
	})
	if err != nil {
		return "", fmt.Errorf("host %s: read flows: %w", s.host.Name, err)
	}
	if installed == *s.expected {
		return auditQuick, nil
	}
	return auditDiffers, nil
}

// compare mends what differs from what the switch should hold.
func (s *session) compare(ctx context.Context, dump *datapath.Dump, how string) error {
	var p *plan
	s.srv.Picture.View(func(state *store.State) {
		if s.host.Idle() { // else a mark that came since is for a revision that the plan has too
			p = s.compile(state, host.Marks{All: true})
		}
	})
	if p == nil {
		return errUnsettled
	}
	mods, err := s.diff(ctx, p, dump)
	if err != nil {
		return err
	}
	s.edited = false
	s.srv.Metrics.Audits.WithLabelValues(how).Inc()
	s.countDrift(s.host.Unexplained(mods))
	if err := s.commit(ctx, p, mods); err != nil {
		return err
	}
	s.host.Audited(p.Outcome)
	s.srv.Reports.Poke()
	if mods.Len() > 0 {
		s.proof.Changed(nil)
	} else {
		s.proof.Audited()
	}
	return nil
}

func (s *session) countDrift(mods flows.Mods) {
	if mods.Len() > 0 {
		s.host.Drifted(mods)
	}
	changed := slices.Concat(mods.Modify, mods.Replace)
	for kind, list := range map[string][]openflow.Flow{"missing": mods.Add, "extra": mods.Delete, "changed": changed} {
		if len(list) > 0 {
			s.srv.Fleet.Count(s.host, s.srv.Metrics.Drift, len(list), kind)
			s.log.Warn("the audit found drift and mends it", "kind", kind, "flows", len(list), "first", list[0].String())
		}
	}
}
