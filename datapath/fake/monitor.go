package fake

import "sluice/datapath/openflow"

// watch begins to tell a controller of the changes that others make to flows.
func (c *session) watch(xid uint32, message []byte) {
	if _, err := openflow.DecodeFlowMonitorRequest(message); err != nil {
		c.refuse(errBadLength, message)
		return
	}
	c.s.mu.Lock()
	c.watches = true
	c.s.mu.Unlock()
	c.send(func(b []byte) []byte { return openflow.AppendFlowUpdates(b, xid) })
}

// watchers are the sessions that are told of changes to flows. It needs the lock.
func (s *Switch) watchers() []*session {
	var list []*session
	for c := range s.sessions {
		if c.watches {
			list = append(list, c)
		}
	}
	return list
}

// tellUpdates tells those who watch what changed; who changed it only that something did.
func tellUpdates(watchers []*session, by *session, updates []openflow.FlowUpdate) {
	if len(updates) == 0 {
		return
	}
	for _, c := range watchers {
		told := updates
		if c == by {
			told = []openflow.FlowUpdate{{Event: openflow.FlowAbbreviated}}
		}
		for len(told) > 0 {
			n := min(len(told), partUpdates)
			part := told[:n]
			told = told[n:]
			c.send(func(b []byte) []byte { return openflow.AppendFlowUpdates(b, 0, part...) })
		}
		c.flush()
	}
}

// updates are the changes since the last mark, in the words of a monitor.
func (t *table) updates() []openflow.FlowUpdate {
	list := make([]openflow.FlowUpdate, 0, len(t.undo))
	for _, c := range t.undo {
		e, there := t.entries[c.key]
		event := openflow.FlowModified
		switch {
		case !there:
			event, e = openflow.FlowDeleted, c.before
		case c.absent:
			event = openflow.FlowAdded
		}
		head := c.key.Value()
		list = append(list, openflow.FlowUpdate{
			Event: event, Table: head[0], Priority: uint16(head[1])<<8 | uint16(head[2]), Cookie: e.cookie, Match: []byte(head[3:]),
		})
	}
	return list
}
