package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/store"
)

// colleague makes a second controller, c2, as far as etcd shows one: it lives, and it is
// the master of host h1.
func (c cluster) colleague(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	lease, err := c.store.GrantLease(ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lease.Close() })
	live := &store.LiveController{OpenFlow: "192.0.2.2:6653", API: "http://192.0.2.2:8080", Since: time.Unix(0, 0)}
	if _, err := c.store.PutIf(ctx, store.LiveControllerKey("c2"), live, 0, lease.ID); err != nil {
		t.Fatal(err)
	}
	rev, err := c.store.PutIf(ctx, store.MasterKey("h1"), &store.Master{Controller: "c2", Generation: 1}, 0, lease.ID)
	if err == nil {
		err = c.controller.Await(ctx, rev)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (c cluster) report(t *testing.T, key store.Key, o store.Object) {
	t.Helper()
	if err := c.store.PutStatus(t.Context(), []store.Event{{Key: key, Object: o}}); err != nil {
		t.Fatal(err)
	}
}

// TestEtcdIsAway asks a controller how things are after its etcd went.
func TestEtcdIsAway(t *testing.T) {
	c := startAll(t)
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	c.register(t, "h1")
	c.etcd.Close()
	st, err := c.Status(t.Context())
	if err != nil || st.Tenants != 1 {
		t.Fatalf("status is %+v, %v", st, err)
	}
	told := slices.ContainsFunc(st.Problems, func(p store.Problem) bool {
		return p.Object == "etcd" && strings.Contains(p.Text, "does not answer") && !strings.Contains(p.Text, "\n")
	})
	if !told {
		t.Errorf("problems %v do not tell of etcd", st.Problems)
	}
	h, err := c.Host(t.Context(), "h1")
	if err != nil || h.State != store.HostDown || len(h.Problems) != 1 || !strings.Contains(h.Problems[0].Text, "etcd cannot be asked") {
		t.Errorf("the host is %+v, %v", h, err)
	}
}

// TestOtherControllers asks one controller about a host that another one programs.
func TestOtherControllers(t *testing.T) {
	c, ctx := start(t), t.Context()
	c.colleague(t)
	c.register(t, "h1")
	c.report(t, store.StatusControllerKey("c2"), &store.StatusController{
		Floor: 5, Problems: store.Problems{{Object: "tenants/bob", Text: "no gateway host"}},
		UnknownSwitches: store.UnknownSwitches{
			Unknown: []store.DatapathID{0xabc}, UnknownShows: map[store.DatapathID]string{0xabc: "the certificate of host:h2"}, UnknownMore: 7,
		},
	})
	check := func(want client.HostStatus) {
		t.Helper()
		await(t, func() error {
			st, err := c.Status(ctx)
			if err != nil || len(st.Hosts) != 1 || len(st.Controllers) != 2 {
				return fmt.Errorf("status is %+v: %w", st, err)
			}
			if got := st.Hosts[0]; got.Master != "c2" || got.State != want.State || got.Realized != want.Realized || !slices.Equal(got.Missing, want.Missing) {
				return fmt.Errorf("host is %+v", got)
			}
			if !slices.Contains(st.Unknown, 0xabc) || st.UnknownMore != 7 || st.UnknownShows["0000000000000abc"] != "the certificate of host:h2" || !slices.Contains(st.Problems, store.Problem{Object: "tenants/bob", Text: "no gateway host"}) {
				return fmt.Errorf("unknown %v %v, problems %v", st.Unknown, st.UnknownShows, st.Problems)
			}
			return nil
		})
	}
	check(client.HostStatus{State: store.HostRealized, Realized: 5})
	c.report(t, store.StatusHostKey("h1"), &store.StatusHost{State: store.HostMissing, Realized: 4, Missing: []string{"ports/h1/alice/default/a1"}})
	check(client.HostStatus{State: store.HostMissing, Realized: 4, Missing: []string{"ports/h1/alice/default/a1"}})
}
