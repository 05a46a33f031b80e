package controller

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/flows"
)

// wholeAudits is one of how many audits compares every flow with what it should be, though the
// switch holds just what it was brought to: should a change ever fail to mark a slice, such an
// audit finds it. Chance spreads them over the hosts.
const wholeAudits = 10

// auditIfRoom audits, and says when to do so again. It does not wait for its turn among the
// resyncs: what changes on this host meanwhile would wait with it.
func (s *session) auditIfRoom(ctx context.Context) (next time.Duration, err error) {
	if !s.c.resyncs.TryAcquire(1) {
		return s.c.opts.AuditInterval / 30, nil
	}
	defer s.c.resyncs.Release(1)
	return s.c.opts.AuditInterval, s.audit(ctx)
}

// How an audit went, as the metric's label has it.
const (
	auditQuick   = "quick"   // the switch holds what it was brought to
	auditDiffers = "differs" // it does not, so that every flow was compared
	auditWhole   = "whole"   // every flow was compared anyway
)

// audit reads the whole switch back, counts what drifted, and mends it.
func (s *session) audit(ctx context.Context) error {
	how := auditWhole
	if s.left != nil && rand.IntN(wholeAudits) > 0 && s.host.idle() {
		same, err := s.unchanged(ctx)
		if err != nil {
			return err
		}
		how = auditDiffers
		if same {
			s.c.metrics.Audits.WithLabelValues(auditQuick).Inc()
			return nil
		}
	}
	dump, err := s.sw.AskFlows(ctx)
	if err != nil {
		return err
	}
	defer dump.Close()
	return s.compare(ctx, dump, how)
}

// unchanged tells whether the switch still holds what it was brought to. It neither compiles
// nor compares flows.
func (s *session) unchanged(ctx context.Context) (bool, error) {
	var installed flows.Fingerprint
	err := s.sw.WireFlows(ctx, nil, func(w *openflow.WireFlow) bool {
		installed.Add(w)
		return true
	})
	if err != nil {
		return false, fmt.Errorf("host %s: read flows: %w", s.host.name, err)
	}
	return installed == *s.left, nil
}

// compare mends what differs from what the switch should hold.
func (s *session) compare(ctx context.Context, dump *datapath.Dump, how string) error {
	s.c.mu.RLock()
	p := s.compile(marks{all: true})
	pending := !s.host.idle()
	s.c.mu.RUnlock()
	if pending {
		return nil // what is marked would look like drift; the next audit is soon enough
	}
	mods, err := s.diff(ctx, p, dump)
	if err != nil {
		return err
	}
	s.c.metrics.Audits.WithLabelValues(how).Inc()
	s.countDrift(s.host.unexplained(mods))
	if err := s.commit(ctx, p, mods); err != nil {
		return err
	}
	s.host.resetTroubles(p.troubles, p.tables)
	s.c.report.poke()
	return nil
}

func (s *session) countDrift(mods flows.Mods) {
	if mods.Len() > 0 {
		s.host.drifted(mods)
	}
	for kind, list := range map[string][]openflow.Flow{"missing": mods.Add, "extra": mods.Delete, "changed": mods.Modify} {
		if len(list) > 0 {
			s.c.metrics.Drift.WithLabelValues(s.host.name, kind).Add(float64(len(list)))
			s.log.Warn("the audit found drift and mends it", "kind", kind, "flows", len(list), "first", list[0].String())
		}
	}
}

// auditDelay spreads the hosts' first audits over one interval.
func (c *Controller) auditDelay(host string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(host))
	half := c.opts.AuditInterval / 2
	return half + time.Duration(h.Sum32()%1000)*half/1000
}
