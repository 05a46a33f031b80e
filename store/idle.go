package store

import (
	"fmt"
	"time"
)

// KindIdle is {tenant}.
const KindIdle Kind = "idle"

// IdleKey is the key that says that a tenant has no ports.
func IdleKey(tenant string) Key { return Key{Kind: KindIdle, Tenant: tenant} }

// Idle says since when a tenant with a time to live has had no port. The leader deletes it when a
// port came.
type Idle struct {
	Since time.Time `json:"since"`
}

// Kind is KindIdle.
func (*Idle) Kind() Kind { return KindIdle }

var idleKind = &description[string, Idle, *Idle]{
	facts: facts{
		label:  "time of a tenant without ports",
		parts:  []part{partTenant},
		writer: "the leader of the controllers", reader: "controllers",
		refers: []reference{{to: KindTenant, onDelete: follows, needed: true}},
	},
	table: func(s *State) *table[string, Idle] { return &s.idle },
	id:    func(k Key) string { return k.Tenant },
}

// IdleSince says since when a tenant that ends by itself has had no port, or nil.
func (s *State) IdleSince(tenant string) *Item[Idle] { return s.idle.items[tenant] }

// Ends is when a tenant is removed if it gets no port until then; zero: it is not to be, or has ports.
func (s *State) Ends(t *Item[Tenant]) time.Time {
	idle := s.IdleSince(t.Key.Tenant)
	if idle == nil || t.Value.TTL <= 0 || s.TenantPorts(t.Key.Tenant) > 0 {
		return time.Time{}
	}
	return idle.Value.Since.Add(time.Duration(t.Value.TTL))
}

// ProposeIdle notes that a tenant that ends by itself has no port. It is refused while there is one.
// The state may lack all but the tenant and its mark.
func ProposeIdle(s *State, tenant string, now time.Time) (Proposal, error) {
	t := s.Tenant(tenant)
	switch {
	case t == nil:
		return Proposal{}, noSuchTenant(tenant)
	case t.Value.TTL <= 0 || s.IdleSince(tenant) != nil:
		return Proposal{}, nil
	}
	return Proposal{
		Writes: []Event{{Key: IdleKey(tenant), Object: &Idle{Since: now}}},
		Presumes: []Presumption{
			{Condition: CreatedAt, Path: t.Key.String(), Revision: t.Created, Refusal: noSuchTenant(tenant)},
			{Condition: Absent, Path: IdleKey(tenant).String()},
			{Condition: NoneUnder, Path: PortNamesUnder(tenant), InUse: usedByPorts},
		},
	}, nil
}

// NeededForIdle are the paths that ProposeIdle looks at.
func NeededForIdle(tenant string) []string {
	return []string{TenantKey(tenant).String(), IdleKey(tenant).String()}
}

// mostEnding is how many networks go with a tenant in one transaction: each takes three operations of etcd's 128.
const mostEnding = 32

// ProposeEnd removes a tenant, with all of its networks, that was idle for its time to live. It is
// refused as ErrInUse where it was not, or not any more.
func ProposeEnd(s *State, tenant string, now time.Time) (Proposal, error) {
	t, idle := s.Tenant(tenant), s.IdleSince(tenant)
	switch {
	case t == nil:
		return Proposal{}, noSuchTenant(tenant)
	case idle == nil || t.Value.TTL <= 0 || now.Before(idle.Value.Since.Add(time.Duration(t.Value.TTL))):
		return Proposal{}, fmt.Errorf("tenant %s: %w: its time to live has not passed", tenant, ErrInUse)
	case len(s.networks.of(tenant)) > mostEnding:
		return Proposal{}, fmt.Errorf("tenant %s: %w: it has %d networks, and %d can be removed at once: delete some", tenant, ErrLimit, len(s.networks.of(tenant)), mostEnding)
	}
	var refers []referrer
	for _, r := range referring(KindTenant) {
		if r.kind() == KindNetwork {
			r.except = func(Key) bool { return true }
		}
		refers = append(refers, r)
	}
	p, err := proposeDelete(s, t.Key, refers)
	p.Presumes = append(p.Presumes, Presumption{Condition: Unchanged, Path: idle.Key.String(), Revision: idle.Modified})
	return p, err
}

// NeededToEnd are the paths that ProposeEnd looks at.
func NeededToEnd(tenant string) []string {
	return append(NeededToDelete(TenantKey(tenant)), IdleKey(tenant).String())
}
