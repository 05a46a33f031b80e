package datapath

import (
	"context"
	"errors"
	"fmt"

	"sluice/datapath/openflow"
)

// SetMeters makes meters as they are given, whether or not the switch has them, and returns after a
// barrier. A bundle cannot: flows that name a meter follow once it is there.
func (s *Switch) SetMeters(ctx context.Context, meters []openflow.MeterSpec) error {
	if len(meters) == 0 {
		return nil
	}
	x, err := s.begin(2*len(meters) + 1)
	if err != nil {
		return err
	}
	defer x.end()
	if err := x.setMeters(ctx, meters); err != nil {
		return fmt.Errorf("switch %016x: set meters: %w", s.id, err)
	}
	return nil
}

func (x *exchange) setMeters(ctx context.Context, meters []openflow.MeterSpec) error {
	for i, m := range meters {
		add := func(b []byte, xid uint32) []byte { return openflow.AppendMeterAdd(b, xid, m) }
		modify := func(b []byte, xid uint32) []byte { return openflow.AppendMeterModify(b, xid, m) }
		if err := errors.Join(x.send(ctx, 2*i, add), x.send(ctx, 2*i+1, modify)); err != nil {
			return err
		}
	}
	if err := x.send(ctx, 2*len(meters), openflow.AppendBarrierRequest); err != nil {
		return err
	}
	if _, err := x.await(ctx, 2*len(meters)); err != nil {
		return err
	}
	for i, m := range meters {
		var refused *openflow.Error
		if err := x.err(2 * i); err != nil && !(errors.As(err, &refused) && refused.MeterExistsError()) {
			return fmt.Errorf("add meter %d: %w", m.ID, err)
		}
		if err := x.err(2*i + 1); err != nil {
			return fmt.Errorf("modify meter %d: %w", m.ID, err)
		}
	}
	return nil
}

// Meters reads all meters as they are.
func (s *Switch) Meters(ctx context.Context) ([]openflow.MeterSpec, error) {
	return readMeters(ctx, s, openflow.AppendMeterConfigRequest, openflow.DecodeMeterConfig)
}

// MeterStats reads what all meters counted.
func (s *Switch) MeterStats(ctx context.Context) ([]openflow.MeterStats, error) {
	return readMeters(ctx, s, openflow.AppendMeterStatsRequest, openflow.DecodeMeterStats)
}

func readMeters[T any](ctx context.Context, s *Switch, ask func([]byte, uint32) []byte, decode func([]byte) ([]T, bool, error)) (list []T, err error) {
	request := func(b []byte, xid uint32, _ int) []byte { return ask(b, xid) }
	_, err = s.multipart(ctx, 1, request, func(message []byte) (more, stop bool, err error) {
		part, more, err := decode(message)
		list = append(list, part...)
		return more, false, err
	})
	if err != nil {
		return nil, fmt.Errorf("switch %016x: read meters: %w", s.id, err)
	}
	return list, nil
}
