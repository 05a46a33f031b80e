package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestOpenAPI reads the description as a client generator would: every operation has a
// name and answers, every reference leads somewhere, and every path answers.
func TestOpenAPI(t *testing.T) {
	c := start(t)
	var doc struct {
		OpenAPI string
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
			Responses   map[string]json.RawMessage
		}
		Components struct {
			Schemas map[string]json.RawMessage
		}
	}
	text := c.text(t, "GET /openapi.json")
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.") || doc.Info.Title != "Sluice" || doc.Info.Version != "test" {
		t.Errorf("OpenAPI %q of %+v", doc.OpenAPI, doc.Info)
	}
	var ids []string
	for path, methods := range doc.Paths {
		for method, op := range methods {
			ids = append(ids, op.OperationID)
			if op.Summary == "" || len(op.Tags) == 0 || len(op.Responses) < 2 {
				t.Errorf("%s %s: %+v", method, path, op)
			}
			if resp := c.send(t, strings.ToUpper(method)+" "+fill(path)); resp.StatusCode == http.StatusMethodNotAllowed {
				t.Errorf("%s %s is described and not served", method, path)
			}
		}
	}
	slices.Sort(ids)
	want := []string{
		"adopt-host", "apply", "clean-host", "clear-absent-hosts", "create-network", "create-peering", "create-publication", "create-tenant", "create-token", "delete-host", "delete-network", "delete-peering",
		"delete-publication", "delete-sticky", "delete-tenant", "drain-host", "enrol-host", "export", "free-stray-values", "invite-host", "list-absent-hosts", "list-events", "list-flows", "list-gateways", "list-hosts", "list-links",
		"list-networks", "list-owners", "list-peerings", "list-ports", "list-publications", "list-stickies", "list-stray-values", "list-tenants", "list-tokens", "list-unreadable-ports", "move-gateway", "move-port",
		"plan", "remove-unreadable-ports", "revoke-token", "set-balance", "set-central-gateway", "set-fail-over", "set-floating", "set-gateway-policy", "set-port-limits", "set-schema", "set-tenant-limits", "set-tenant-topology", "show-balance", "show-central-gateway", "show-drain", "show-fail-over", "show-floating",
		"show-gateway", "show-host", "show-network", "show-peering", "show-port", "show-publication", "show-schema", "show-state", "show-status", "show-tenant", "show-token", "trace-packet", "undrain-host",
		"verify-isolation", "watch", "watch-events",
	}
	if !slices.Equal(ids, want) {
		t.Errorf("operations are\n%q, not\n%q", ids, want)
	}
	for _, part := range strings.Split(text, `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if doc.Components.Schemas[name] == nil {
			t.Errorf("schema %s is referred to and missing", name)
		}
	}
}

// fill gives a path's parameters names of nothing.
func fill(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = "none"
		}
	}
	return strings.Join(parts, "/")
}
