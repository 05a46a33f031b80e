package store

import (
	"fmt"
	"iter"
	"time"
)

// KindToken is {name}.
const KindToken Kind = "tokens"

// TokenKey is the key of a token.
func TokenKey(name string) Key { return Key{Kind: KindToken, Name: name} }

// Role is what a token allows.
type Role string

// The roles of tokens.
const (
	RoleAdmin  Role = "admin"  // sees and changes everything
	RoleViewer Role = "viewer" // sees everything and changes nothing
	RoleTenant Role = "tenant" // sees and changes what belongs to one tenant
)

// Token lets whoever has its secret use the API, or, where it is a person's, whoever shows that
// person's certificate. etcd holds a hash of the secret, from which nobody can find it.
type Token struct {
	Role   Role   `json:"role"`
	Tenant string `json:"tenant,omitempty"` // whose it is, of RoleTenant
	// TenantCreated is the create revision of that tenant: another one that is made under the name later
	// is somebody else's.
	TenantCreated Revision  `json:"tenantCreated,omitempty"`
	Hash          string    `json:"hash,omitempty"`   // SHA-256 of the secret, in hexadecimal; empty: a person's
	Person        bool      `json:"person,omitempty"` // the certificate person:{name} stands for it
	Expires       time.Time `json:"expires,omitzero"` // zero: never
	By            string    `json:"by,omitempty"`     // who made it
}

// Kind is KindToken.
func (*Token) Kind() Kind { return KindToken }

var tokenKind = &description[string, Token, *Token]{
	facts: facts{
		label:  "token",
		parts:  []part{partName},
		writer: "API", reader: "controllers",
	},
	table: func(s *State) *table[string, Token] { return &s.tokens },
	id:    func(k Key) string { return k.Name },
}

// Token is the token of that name, or nil.
func (s *State) Token(name string) *Item[Token] { return s.tokens.items[name] }

// Tokens walks all tokens, sorted by name.
func (s *State) Tokens() iter.Seq[*Item[Token]] { return sorted(&s.tokens) }

// HasTenant reports whether the tenant that a token is for is still there. A token of another role
// is for none, and none is missing.
func (s *State) HasTenant(t *Token) bool {
	if t.Role != RoleTenant {
		return true
	}
	tenant := s.Tenant(t.Tenant)
	return tenant != nil && tenant.Created == t.TenantCreated
}

// TokenSpec is what a user says about a new token.
type TokenSpec struct {
	Name    string
	Role    Role
	Tenant  string // of RoleTenant
	Hash    string // of the secret; empty: a person's certificate stands for it
	Expires time.Time
	By      string
}

// Validate refuses what no state would allow.
func (s TokenSpec) Validate() error {
	if err := ValidateName(s.Name); err != nil {
		return fmt.Errorf("token: %w: %w", ErrInvalid, err)
	}
	switch {
	case s.Role != RoleAdmin && s.Role != RoleViewer && s.Role != RoleTenant:
		return fmt.Errorf("token %s: %w: role %q is none of %s, %s, %s", s.Name, ErrInvalid, s.Role, RoleAdmin, RoleViewer, RoleTenant)
	case s.Role == RoleTenant && s.Tenant == "":
		return fmt.Errorf("token %s: %w: role tenant needs the tenant's name", s.Name, ErrInvalid)
	case s.Role != RoleTenant && s.Tenant != "":
		return fmt.Errorf("token %s: %w: role %s is for the whole cluster and not for tenant %s", s.Name, ErrInvalid, s.Role, s.Tenant)
	}
	return nil
}

// Needs are the keys that Propose looks at.
func (s TokenSpec) Needs() []string {
	needs := []string{TokenKey(s.Name).String()}
	if s.Role == RoleTenant {
		needs = append(needs, TenantKey(s.Tenant).String())
	}
	return needs
}

// Propose makes a token.
func (s TokenSpec) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	key := TokenKey(s.Name)
	if state.Token(s.Name) != nil {
		return Proposal{}, nameExists()
	}
	token := &Token{Role: s.Role, Tenant: s.Tenant, Hash: s.Hash, Person: s.Hash == "", Expires: s.Expires, By: s.By}
	p := Proposal{
		Writes:   []Event{{Key: key, Object: token}},
		Presumes: []Presumption{{Condition: Absent, Path: key.String(), Refusal: nameExists()}},
	}
	if s.Role == RoleTenant {
		tenant := state.Tenant(s.Tenant)
		if tenant == nil {
			return Proposal{}, noSuchTenant(s.Tenant)
		}
		token.TenantCreated = tenant.Created
		p.Presumes = append(p.Presumes, Presumption{
			Condition: CreatedAt, Path: tenant.Key.String(), Revision: tenant.Created, Refusal: noSuchTenant(s.Tenant),
		})
	}
	return p, nil
}
