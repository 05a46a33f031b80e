package datapath

import (
	"context"
	"fmt"

	"sluice/datapath/openflow"
)

// monitorID is that of a session's one flow monitor.
const monitorID = 1

// edits wakes whoever wants to know that others changed flows; many changes wake once.
type edits chan struct{}

func (e edits) tell() {
	select {
	case e <- struct{}{}:
	default:
	}
}

// WatchFlows asks the switch to tell of changes that others make to its flows: see Edited. A
// switch that cannot (Open vSwitch before 2.16) answers with an openflow.Error, and the session
// goes on. Later calls return what the first one did: Open vSwitch answers a second monitor of
// one id in a version that is not the session's.
func (s *Switch) WatchFlows(ctx context.Context) error {
	s.watch.Do(func() { s.watchErr = s.watchFlows(ctx) })
	return s.watchErr
}

func (s *Switch) watchFlows(ctx context.Context) error {
	request := func(b []byte, xid uint32, _ int) []byte { return openflow.AppendFlowMonitorRequest(b, xid, monitorID) }
	_, err := s.multipart(ctx, 1, request, func([]byte) (more, stop bool, err error) { return false, false, nil })
	if err != nil {
		return fmt.Errorf("switch %016x: watch flows: %w", s.id, err)
	}
	return nil
}

// Edited tells that somebody else, since it was last received from, added, deleted or modified
// a flow, or may have. What this session changes it does not tell.
func (s *Switch) Edited() <-chan struct{} { return s.edited }

// handleFlowUpdates looks for changes that are not this session's own.
func (s *Switch) handleFlowUpdates(h openflow.Header) error {
	message, err := s.message(h)
	if err != nil {
		return err
	}
	return openflow.DecodeFlowUpdates(message, func(u openflow.FlowUpdate) bool {
		if u.Event == openflow.FlowAbbreviated {
			return true
		}
		s.edited.tell()
		return false
	})
}

// CountFlows asks how many flows the switch holds; cheap beside reading them.
func (s *Switch) CountFlows(ctx context.Context) (flows int, err error) {
	message, err := s.call(ctx, func(b []byte, xid uint32) []byte {
		return openflow.AppendAggregateRequest(b, xid, openflow.FlowQuery{Table: openflow.TableAll})
	})
	var count uint32
	if err == nil {
		count, err = openflow.DecodeAggregate(message)
	}
	if err != nil {
		return 0, fmt.Errorf("switch %016x: count flows: %w", s.id, err)
	}
	return int(count), nil
}
