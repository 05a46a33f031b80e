package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestProposeToken(t *testing.T) {
	expires := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	spec := TokenSpec{Name: "ci", Role: RoleTenant, Tenant: "alice", Hash: "00ff", Expires: expires, By: "local"}
	p, err := spec.Propose(cluster())
	exists := errors.New("exists already: choose another name")
	proposed(t, "a tenant's token", p, err, Proposal{
		Writes: []Event{{Key: TokenKey("ci"), Object: &Token{
			Role: RoleTenant, Tenant: "alice", TenantCreated: 6, Hash: "00ff", Expires: expires, By: "local",
		}}},
		Presumes: []Presumption{
			{Condition: Absent, Path: "/sluice/v1/tokens/ci", Refusal: exists},
			{Condition: CreatedAt, Path: "/sluice/v1/tenants/alice", Revision: 6, Refusal: noSuchTenant("alice")},
		},
	})
	p, err = TokenSpec{Name: "root", Role: RoleAdmin}.Propose(cluster())
	proposed(t, "a person's token", p, err, Proposal{
		Writes:   []Event{{Key: TokenKey("root"), Object: &Token{Role: RoleAdmin, Person: true}}},
		Presumes: []Presumption{{Condition: Absent, Path: "/sluice/v1/tokens/root", Refusal: exists}},
	})
	if want := []string{"/sluice/v1/tokens/ci", "/sluice/v1/tenants/alice"}; !slices.Equal(spec.Needs(), want) {
		t.Errorf("it needs %q, not %q", spec.Needs(), want)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	state := cluster()
	state.Apply(Batch{Revision: 30, Events: []Event{{Key: TokenKey("ci"), Object: &Token{}, Created: 30, Modified: 30}}})
	for _, test := range []struct {
		spec TokenSpec
		want error
		says string
	}{
		{TokenSpec{Name: "A b", Role: RoleAdmin}, ErrInvalid, "DNS label"},
		{TokenSpec{Name: "x", Role: "king"}, ErrInvalid, `"king" is none of admin, viewer, tenant`},
		{TokenSpec{Name: "x", Role: RoleTenant}, ErrInvalid, "needs the tenant's name"},
		{TokenSpec{Name: "x", Role: RoleViewer, Tenant: "alice"}, ErrInvalid, "not for tenant alice"},
		{TokenSpec{Name: "x", Role: RoleTenant, Tenant: "nobody"}, ErrNotFound, "nobody"},
		{TokenSpec{Name: "ci", Role: RoleAdmin}, ErrExists, "choose another name"},
	} {
		_, err := test.spec.Propose(state)
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v, not %v that says %q", test.spec, err, test.want, test.says)
		}
	}
}
