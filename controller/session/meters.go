package session

import (
	"context"
	"fmt"

	"sluice/controller/account"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// This file keeps the switch's meters. A flow names a meter by its number alone, so that a change of a rate changes the
// meter and no flow.

// meters is what a session knows of the switch's meters, by their numbers.
type meters map[uint32]meter

type meter struct {
	openflow.MeterSpec
	owner store.Revision // see flows.Meter; 0: no flow of this session named it
	class flows.Class    // what it drops counts as
}

// setMeters makes the meters that the plan's flows name what they are to be. One that no flow names any more stays: it
// stops no packet. A plan of all flows looks at the switch's meters first, since others may have changed them.
func (s *session) setMeters(ctx context.Context, p *plan) error {
	if s.meters == nil || p.whole() {
		if err := s.learnMeters(ctx); err != nil {
			return err
		}
	}
	lacking := s.meters.lacking(p.meters)
	if len(lacking) == 0 {
		return nil
	}
	if err := s.retireMeters(ctx, lacking); err != nil {
		return err
	}
	specs := make([]openflow.MeterSpec, len(lacking))
	for i, m := range lacking {
		specs[i] = m.MeterSpec
	}
	if err := s.sw.SetMeters(ctx, specs); err != nil {
		return fmt.Errorf("host %s: set meters: %w", s.host.Name, err)
	}
	for _, m := range lacking {
		s.meters[m.ID] = meter{m.MeterSpec, m.Owner, m.Class}
	}
	return nil
}

// learnMeters reads what meters the switch has. Whose they are only this session knows.
func (s *session) learnMeters(ctx context.Context) error {
	specs, err := s.sw.Meters(ctx)
	if err != nil {
		return fmt.Errorf("host %s: read meters: %w", s.host.Name, err)
	}
	found := make(meters, len(specs))
	for _, spec := range specs {
		m := s.meters[spec.ID]
		m.MeterSpec = spec
		found[spec.ID] = m
	}
	s.meters = found
	return nil
}

// lacking are those of the wanted meters that the switch has otherwise, or for another owner, or not at all. A port's
// meter of an earlier session is taken for another owner's, and so is one by a slot that is not the tenant's number: these go from
// one to another.
func (known meters) lacking(wanted map[uint32]flows.Meter) (list []flows.Meter) {
	for id, want := range wanted {
		is := known[id]
		mine := is.owner == want.Owner || is.owner == 0 && numbered(id) == want.Class.Tenant
		switch {
		case is.MeterSpec != want.MeterSpec || !mine:
			list = append(list, want)
		default:
			known[id] = meter{want.MeterSpec, want.Owner, want.Class}
		}
	}
	return list
}

// retireMeters keeps what meters dropped that are about to begin at 0.
func (s *session) retireMeters(ctx context.Context, again []flows.Meter) error {
	stats, err := s.readMeters(ctx)
	if err != nil {
		return err
	}
	for _, m := range again {
		if class, ok := s.meters.class(m.ID); ok {
			s.host.Ledger.Retire(class, stats[m.ID])
		}
	}
	return nil
}

// readMeters counts what meters dropped, and returns it by their numbers.
func (s *session) readMeters(ctx context.Context) (map[uint32]account.Sum, error) {
	list, err := s.sw.MeterStats(ctx)
	if err != nil {
		return nil, fmt.Errorf("host %s: read what meters dropped: %w", s.host.Name, err)
	}
	stats, sums := map[uint32]account.Sum{}, map[flows.Class]account.Sum{}
	for _, m := range list {
		dropped := account.Sum{Packets: m.DroppedPackets, Bytes: m.DroppedBytes}
		stats[m.ID] = dropped
		if class, ok := s.meters.class(m.ID); ok {
			sum := sums[class]
			sum.Add(dropped)
			sums[class] = sum
		}
	}
	for class, sum := range sums {
		s.host.Ledger.Count(class, sum)
	}
	return stats, nil
}

// class is what a meter drops counts as; ok is false where that is not known, as of a port's meter that no flow of this
// session named.
func (known meters) class(id uint32) (class flows.Class, ok bool) {
	if m := known[id]; m.owner != 0 {
		return m.class, true
	}
	tenant := numbered(id)
	return flows.MeterClass(tenant, id), tenant != 0
}

// numbered is the number of the tenant whose meter it is as a rule, where a tenant's number is its slot; 0: nobody's.
func numbered(id uint32) (tenant uint32) {
	number, slot, _ := flows.MeterBounds(id)
	return max(number, slot)
}

// metersDiffer counts the meters that somebody else changed or deleted.
func (s *session) metersDiffer(ctx context.Context) (count int, err error) {
	before := s.meters
	if err := s.learnMeters(ctx); err != nil {
		return 0, err
	}
	for id, m := range before {
		if m.owner != 0 && s.meters[id].MeterSpec != m.MeterSpec {
			count++
		}
	}
	return count, nil
}
