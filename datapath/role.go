package datapath

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"sluice/datapath/openflow"
)

// Role is what a controller is to a switch (OpenFlow 1.3, 6.3.4).
type Role = openflow.Role

// The roles. A session starts as equal; master and equal may write.
const (
	RoleNoChange = openflow.RoleNoChange
	RoleEqual    = openflow.RoleEqual
	RoleMaster   = openflow.RoleMaster
	RoleSlave    = openflow.RoleSlave
)

// Role asks the switch for this session's role, and for the generation of the last master
// that it accepted: 0 when there was none.
func (s *Switch) Role(ctx context.Context) (r Role, generation uint64, err error) {
	r, generation, err = s.role(ctx, RoleNoChange, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("switch %016x: ask for the role: %w", s.id, err)
	}
	if generation == math.MaxUint64 {
		generation = 0
	}
	return r, generation, nil
}

// Become claims a role. A generation below the switch's own is ErrStale; the session then
// has the role that it had before, and an equal one may still write: close it.
func (s *Switch) Become(ctx context.Context, r Role, generation uint64) error {
	got, _, err := s.role(ctx, r, generation)
	if err == nil && got != r {
		err = fmt.Errorf("the switch gave role %d", got)
	}
	if err != nil {
		return fmt.Errorf("switch %016x: become role %d at generation %d: %w", s.id, r, generation, err)
	}
	return nil
}

func (s *Switch) role(ctx context.Context, r Role, generation uint64) (Role, uint64, error) {
	message, err := s.call(ctx, func(b []byte, xid uint32) []byte {
		return openflow.AppendRoleRequest(b, xid, r, generation)
	})
	if err != nil {
		return 0, 0, err
	}
	return openflow.DecodeRole(message)
}

// notPermitted is BAD_REQUEST's code for what a slave may not do in versions before 1.2.
const notPermitted = 5

// explain gives the errors that callers tell apart their names, and keeps no more of the
// message than says which request it was.
func explain(refusal *openflow.Error) error {
	refusal.Data = bytes.Clone(refusal.Data[:min(len(refusal.Data), 64)])
	switch {
	case refusal.StaleError():
		return fmt.Errorf("%w: %w", ErrStale, refusal)
	case refusal.DemotedError(), refusal.Type == openflow.ErrorBadRequest && refusal.Code == notPermitted:
		return fmt.Errorf("%w: %w", ErrDemoted, refusal)
	}
	return refusal
}
