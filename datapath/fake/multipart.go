package fake

import (
	"time"

	"sluice/datapath/openflow"
)

const (
	partBytes = 32 << 10 // about which a part of a reply ends
	partPorts = 500
	// partUpdates keeps a message of changed flows well below 64 KiB.
	partUpdates = 200
)

func (c *session) multipart(xid uint32, message []byte) {
	kind, err := openflow.DecodeMultipart(message)
	switch {
	case err != nil:
		c.refuse(errBadLength, message)
	case kind.Kind == openflow.MultipartPortDesc:
		c.describePorts(xid)
	case kind.Kind == openflow.MultipartFlow, kind.Kind == openflow.MultipartAggregate:
		q, err := openflow.DecodeFlowStatsRequest(message)
		if err != nil {
			c.refuse(errBadLength, message)
			return
		}
		selected := &query{table: q.Table, cookie: q.Cookie, mask: q.CookieMask, match: q.Match}
		if kind.Kind == openflow.MultipartAggregate {
			c.count(xid, selected)
			return
		}
		c.dump(xid, selected)
	case kind.Kind == openflow.MultipartMeterConfig:
		c.describeMeters(xid)
	case kind.Kind == openflow.MultipartMeter: // they drop nothing
		c.send(func(b []byte) []byte { return openflow.AppendNoMeters(b, xid, kind.Kind) })
	case kind.Kind == openflow.MultipartExperimenter:
		c.watch(xid, message)
	default:
		c.refuse(errBadMultipart, message)
	}
}

func (c *session) describePorts(xid uint32) {
	ports := c.s.portList()
	for {
		n := min(len(ports), partPorts)
		part := ports[:n]
		ports = ports[n:]
		c.send(func(b []byte) []byte { return openflow.AppendPortDescReply(b, xid, part, len(ports) > 0) })
		if len(ports) == 0 {
			return
		}
	}
}

// dump answers with the flows that are there at once; those that go meanwhile are left out.
func (c *session) dump(xid uint32, q *query) {
	c.s.mu.Lock()
	c.s.counts.Dumps++
	keys := c.s.flows.find(q)
	c.s.mu.Unlock()
	for more := true; more; {
		c.send(func(b []byte) []byte {
			b, keys = c.s.appendPart(b, xid, keys)
			more = len(keys) > 0
			return b
		})
	}
}

func (c *session) count(xid uint32, q *query) {
	c.s.mu.Lock()
	flows := len(c.s.flows.find(q))
	c.s.mu.Unlock()
	c.send(func(b []byte) []byte { return openflow.AppendAggregateReply(b, xid, uint32(flows)) })
}

// appendPart appends one part of a reply, and returns the flows that are left.
func (s *Switch) appendPart(b []byte, xid uint32, keys []matchKey) ([]byte, []matchKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start, now := len(b), time.Now().Unix()
	b = openflow.AppendFlowStatsReply(b, xid, true)
	for len(keys) > 0 && len(b)-start < partBytes {
		if _, there := s.flows.entries[keys[0]]; there {
			b = s.flows.appendStats(b, keys[0], now)
		}
		keys = keys[1:]
	}
	if len(keys) == 0 {
		be.PutUint16(b[start+10:], 0) // no more parts
	}
	return openflow.EndMessage(b, start), keys
}
