package datapath

import (
	"context"
	"fmt"

	"sluice/datapath/openflow"
)

// Forget makes the switch forget connections, and returns after a barrier.
func (s *Switch) Forget(ctx context.Context, connections []openflow.CTFlush) error {
	if len(connections) == 0 {
		return nil
	}
	x, err := s.begin(len(connections) + 1)
	if err != nil {
		return err
	}
	defer x.end()
	if err := x.forget(ctx, connections); err != nil {
		return fmt.Errorf("switch %016x: forget connections: %w", s.id, err)
	}
	return nil
}

func (x *exchange) forget(ctx context.Context, connections []openflow.CTFlush) error {
	for i, c := range connections {
		if err := x.send(ctx, i, func(b []byte, xid uint32) []byte { return openflow.AppendCTFlush(b, xid, c) }); err != nil {
			return err
		}
	}
	if err := x.send(ctx, len(connections), openflow.AppendBarrierRequest); err != nil {
		return err
	}
	if _, err := x.await(ctx, len(connections)); err != nil {
		return err
	}
	for i, c := range connections {
		if err := x.err(i); err != nil {
			return fmt.Errorf("of %s in zone %d: %w", c.Source, c.Zone, err)
		}
	}
	return nil
}
