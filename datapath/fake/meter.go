package fake

import (
	"maps"
	"slices"

	"sluice/datapath/openflow"
)

// partMeters keeps a part of a reply well below 64 KiB.
const partMeters = 1000

// meterMod notes a meter. No frame passes it.
func (c *session) meterMod(message []byte) {
	if !c.mayWrite(message) {
		return
	}
	m, add, err := openflow.DecodeMeterMod(message)
	if err != nil {
		c.refuse(errBadLength, message)
		return
	}
	if refusal := c.s.setMeter(m, add); refusal != nil {
		c.refuse(refusal, message)
	}
}

// setMeter adds a meter that must not be there, or modifies one that must.
func (s *Switch) setMeter(m openflow.MeterSpec, add bool) *openflow.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch _, there := s.meters[m.ID]; {
	case there && add:
		return errMeterExists
	case !there && !add:
		return errUnknownMeter
	}
	s.meters[m.ID] = m
	return nil
}

// describeMeters answers with all meters, by their numbers.
func (c *session) describeMeters(xid uint32) {
	c.s.mu.Lock()
	meters := make([]openflow.MeterSpec, 0, len(c.s.meters))
	for _, id := range slices.Sorted(maps.Keys(c.s.meters)) {
		meters = append(meters, c.s.meters[id])
	}
	c.s.mu.Unlock()
	for {
		part := meters[:min(len(meters), partMeters)]
		meters = meters[len(part):]
		c.send(func(b []byte) []byte { return openflow.AppendMeterConfigReply(b, xid, part, len(meters) > 0) })
		if len(meters) == 0 {
			return
		}
	}
}
