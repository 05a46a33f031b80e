package access

import (
	"context"

	"sluice/store"
)

// Caller is who asks.
type Caller struct {
	Name   string // as the audit log shows it: "token ci", "person alice", "controller c2", or Local
	Role   store.Role
	Tenant string // the one that a RoleTenant sees and changes
	// Controller says that another controller asks. It looks at what a viewer may, and is answered from what is here alone.
	Controller bool
}

// Local is the name of whoever has the controller's own token.
const Local = "local"

// Sees reports whether what belongs to a tenant is shown to the caller.
func (c Caller) Sees(tenant string) bool {
	return c.Role == store.RoleAdmin || c.Role == store.RoleViewer || c.Role == store.RoleTenant && c.Tenant == tenant
}

// Need is what a route asks of its caller.
type Need string

// Needs. The zero Need is met by nobody.
const (
	Read   Need = "read"   // any role; a tenant's sees only what is its own
	Change Need = "change" // admin, or a tenant's for what is its own
	Look   Need = "look"   // admin or viewer: it is about the whole cluster
	Rule   Need = "rule"   // admin
)

// met are the roles that meet a need.
var met = map[Need][]store.Role{
	Read:   {store.RoleAdmin, store.RoleViewer, store.RoleTenant},
	Change: {store.RoleAdmin, store.RoleTenant},
	Look:   {store.RoleAdmin, store.RoleViewer},
	Rule:   {store.RoleAdmin},
}

// Roles are those that meet the need.
func (n Need) Roles() []store.Role { return met[n] }

type callerKey struct{}

// with says in a context who asks.
func with(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From is who asks; the zero Caller, which may nothing, where that is not known.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
