package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sluice/store"
)

// The operator sees which versions there are, and ends an upgrade once no older one is live.
func TestSchemaIsSetOnceAllAreNew(t *testing.T) {
	c := start(t)
	c.register(t, "h1")
	older := &store.LiveController{Program: store.Program{Version: "v0.1.0", Schema: store.SchemaVersion - 1}}
	lease, err := c.store.GrantLease(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.store.PutIf(t.Context(), store.LiveControllerKey("c0"), older, 0, lease.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetSchema(t.Context(), store.SchemaVersion); err == nil || !strings.Contains(err.Error(), "controllers/c0 (v0.1.0, schema 1)") {
		t.Errorf("with an older controller: %v", err)
	}
	if err := lease.Close(); err != nil {
		t.Fatal(err)
	}
	set, err := c.SetSchema(t.Context(), store.SchemaVersion)
	if err != nil || set.Least != store.SchemaVersion || set.Writes != store.SchemaVersion {
		t.Errorf("set: %+v, %v", set, err)
	}
	if shown, err := c.Schema(t.Context()); err != nil || shown.Least != set.Least {
		t.Errorf("shown: %+v, %v", shown, err)
	}
	if resp := c.send(t, `POST /v1/schema {"least":99}`); resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("of a version that there is not: %s", resp.Status)
	}
	c.wantVersions(t)
}

// wantVersions looks at what status says of them.
func (c cluster) wantVersions(t *testing.T) {
	t.Helper()
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.LeastSchema != store.SchemaVersion || st.Program != (store.Program{Version: "test", Schema: store.SchemaVersion}) {
		t.Errorf("status says %d and %+v", st.LeastSchema, st.Program)
	}
	for _, h := range st.Hosts {
		if h.Agent.Schema != store.SchemaVersion {
			t.Errorf("host %s: %+v", h.Name, h.Agent)
		}
	}
	for _, other := range st.Controllers {
		if other.Schema != store.SchemaVersion {
			t.Errorf("controller %s: %+v", other.Name, other.Program)
		}
	}
	if h, err := c.Host(t.Context(), "h1"); err != nil || h.Agent.Schema != store.SchemaVersion {
		t.Errorf("host show: %+v, %v", h.Agent, err)
	}
}

// An agent from before there were schemas asks nobody: status tells of it.
func TestOlderAgentIsToldOf(t *testing.T) {
	c := start(t)
	c.register(t, "h1")
	if _, err := c.SetSchema(t.Context(), store.SchemaVersion); err != nil {
		t.Fatal(err)
	}
	_, modified, err := c.store.Get(t.Context(), store.LiveHostKey("h1"))
	if err == nil {
		_, err = c.store.PutIf(t.Context(), store.LiveHostKey("h1"), &store.LiveHost{Incarnation: "old"}, modified, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		st, err := c.Status(t.Context())
		if err != nil {
			return err
		}
		return told(st.Problems, "hosts/h1", "run a newer version there")
	})
}

// told fails where no problem of an object says something.
func told(problems store.Problems, object, says string) error {
	for _, p := range problems {
		if p.Object == object && strings.Contains(p.Text, says) {
			return nil
		}
	}
	return fmt.Errorf("no problem of %s says %q", object, says)
}
