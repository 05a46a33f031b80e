package fake

import (
	"math"

	"sluice/datapath/openflow"
)

// claim answers a role request (OpenFlow 1.3, 6.3.6). Who was master is told that it no longer
// is, and becomes a slave.
func (c *session) claim(xid uint32, message []byte) {
	role, generation, err := openflow.DecodeRole(message)
	if err != nil {
		c.refuse(errBadLength, message)
		return
	}
	if role > openflow.RoleSlave {
		c.refuse(errBadRole, message)
		return
	}
	demoted, fresh := c.s.setRole(c, role, generation)
	if !fresh {
		c.refuse(errStale, message)
		return
	}
	for _, other := range demoted {
		if other.listens.Load() {
			other.send(func(b []byte) []byte {
				return openflow.AppendRoleStatus(b, 0, openflow.RoleStatus{Role: openflow.RoleSlave, Generation: generation})
			})
			other.flush()
		}
	}
	c.send(func(b []byte) []byte {
		role, generation := c.s.roleOf(c)
		return openflow.AppendRoleReply(b, xid, role, generation)
	})
}

// setRole gives a session a role unless its generation is stale.
func (s *Switch) setRole(c *session, role openflow.Role, generation uint64) (demoted []*session, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if role == openflow.RoleMaster || role == openflow.RoleSlave {
		if s.claimed && int64(generation-s.generation) < 0 {
			return nil, false
		}
		s.claimed, s.generation = true, generation
	}
	if role == openflow.RoleMaster {
		for other := range s.sessions {
			if other != c && other.role == openflow.RoleMaster {
				other.role = openflow.RoleSlave
				demoted = append(demoted, other)
			}
		}
	}
	if role != openflow.RoleNoChange {
		c.role = role
	}
	return demoted, true
}

// roleOf is a session's role, and the generation: all ones while there was none.
func (s *Switch) roleOf(c *session) (openflow.Role, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.claimed {
		return c.role, math.MaxUint64
	}
	return c.role, s.generation
}
