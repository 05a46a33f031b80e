package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// visitor is somebody with a browser.
type visitor struct {
	cluster
	cookie string
}

// visit is who typed a token of a role.
func (c cluster) visit(t *testing.T, spec client.TokenSpec) visitor {
	t.Helper()
	token, err := c.CreateToken(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return visitor{c, c.cookie(t, token.Text)}
}

func (v visitor) look(t *testing.T, path string) answer {
	t.Helper()
	return v.ask(t, http.MethodGet, path, "", "Cookie", v.cookie)
}

// send sends a form of a page, pairs of a field and a value, with the token that the page's forms carry.
func (v visitor) send(t *testing.T, path string, fields ...string) answer {
	t.Helper()
	form := url.Values{}
	if tokens := between(v.look(t, path).text, `name="form" value="`, `"`); len(tokens) > 0 {
		form.Set(access.FormField, tokens[0])
	}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.ask(t, http.MethodPost, path, form.Encode(), "Cookie", v.cookie)
}

// An admin's forms do what the API does, under its own name; what the API refuses is told in the API's words, with what was
// typed still there.
func TestForms(t *testing.T) {
	c := small(t)
	root := c.visit(t, client.TokenSpec{Name: "root", Role: "admin"})
	page := root.look(t, "/tenants/alice")
	wellFormed(t, "/tenants/alice", page.text)
	if n := strings.Count(page.text, `method="post" action="/tenants/alice"`); n != 4 {
		t.Errorf("an admin sees %d forms:\n%s", n, page.text)
	}
	for _, test := range []struct {
		path   string
		fields []string
		is     func() (string, error)
		want   string
	}{
		{"/tenants/alice", []string{"do", "policy", "policy", " h2 "}, func() (string, error) { g, err := c.Gateway(t.Context(), "alice"); return g.Policy, err }, "h2"},
		{"/tenants/alice", []string{"do", "topology", "topology", "star"}, func() (string, error) {
			tenant, err := c.Tenant(t.Context(), "alice")
			return string(tenant.Topology), err
		}, "star"},
		{"/tenants/alice", []string{"do", "network", "network", "db", "subnets", "10.0.1.0/24 fd00::/64"}, func() (string, error) {
			n, err := c.Network(t.Context(), "alice", "db")
			return fmt.Sprint(len(n.Subnets)), err
		}, "2"},
		{"/hosts/h1", []string{"do", "drain"}, func() (string, error) { d, err := c.Drain(t.Context(), "h1"); return fmt.Sprint(d.Drained), err }, "true"},
		{"/hosts/h1", []string{"do", "undrain"}, func() (string, error) { d, err := c.Drain(t.Context(), "h1"); return fmt.Sprint(d.Drained), err }, "false"},
	} {
		done := root.send(t, test.path, test.fields...)
		at := done.Header.Get("Location")
		if done.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, test.path+"?done=") {
			t.Errorf("%v: %s to %q\n%s", test.fields, done.Status, at, done.text)
			continue
		}
		if is, err := test.is(); err != nil || is != test.want {
			t.Errorf("%v: it is %q then, %v", test.fields, is, err)
		}
		if after := root.look(t, at); !strings.Contains(after.text, `role="status"`) {
			t.Errorf("%s says nothing:\n%s", at, after.text)
		}
	}
	_, want := c.MoveGateway(t.Context(), "alice", client.GatewayMove{Host: "h<9"})
	if want == nil {
		t.Fatal("the API moves a gateway to h<9")
	}
	refused := root.send(t, "/tenants/alice", "do", "move", "host", "h<9")
	for _, word := range []string{`role="alert"`, strings.NewReplacer("<", "&lt;", `"`, "&#34;").Replace(want.Error()), `name="host" value="h&lt;9"`, "Tenant alice"} {
		if refused.StatusCode < 400 || refused.StatusCode > 499 || !strings.Contains(refused.text, word) {
			t.Errorf("%s lacks %q:\n%s", refused.Status, word, refused.text)
		}
	}
	wellFormed(t, "a refused form", refused.text)
	if unknown := root.send(t, "/tenants/alice", "do", "nonsense"); unknown.StatusCode != http.StatusBadRequest {
		t.Errorf("no such form: %s", unknown.Status)
	}
	if nobody := root.send(t, "/tenants/nobody", "do", "move", "host", "h1"); nobody.StatusCode != http.StatusForbidden {
		t.Errorf("a page that is not there gives no form: %s", nobody.Status)
	}
	await(t, func() error {
		if text := root.look(t, "/tenants/alice").text; !strings.Contains(text, "set-gateway-policy, by token root") {
			return fmt.Errorf("no event of who changed it:\n%s", text)
		}
		return nil
	})
}

// Who may only look sees no form, and one that is sent all the same is refused, as is one that no page of the controller showed.
func TestFormsOfOthers(t *testing.T) {
	c := small(t)
	eyes, root := c.visit(t, client.TokenSpec{Name: "eyes", Role: "viewer"}), c.visit(t, client.TokenSpec{Name: "root", Role: "admin"})
	own := c.visit(t, client.TokenSpec{Name: "own", Role: "tenant", Tenant: "alice"})
	for _, path := range []string{"/tenants/alice", "/hosts/h1"} {
		if page := eyes.look(t, path); page.StatusCode != http.StatusOK || strings.Contains(page.text, `name="do"`) || strings.Contains(page.text, `name="form"`) {
			t.Errorf("%s, to a viewer: %s\n%s", path, page.Status, page.text)
		}
	}
	if header := c.get(t, "/tenants/alice"); strings.Contains(header.text, `name="do"`) {
		t.Errorf("to who came without a cookie:\n%s", header.text)
	}
	token := between(root.look(t, "/tenants/alice").text, `name="form" value="`, `"`)[0]
	policy := "do=policy&policy=h2&form=" + token
	for what, got := range map[string]answer{
		"a viewer":                        eyes.send(t, "/tenants/alice", "do", "policy", "policy", "h2"),
		"a viewer that drains":            eyes.send(t, "/hosts/h1", "do", "drain"),
		"a viewer with no such form":      eyes.send(t, "/hosts/h1", "do", "nonsense"),
		"a tenant":                        own.send(t, "/tenants/alice", "do", "policy", "policy", "h2"),
		"a form of nobody":                root.send(t, "/tenants/alice", "do", "policy", "policy", "h2", "form", ""),
		"a form of another browser":       eyes.ask(t, http.MethodPost, "/tenants/alice", policy, "Cookie", own.cookie),
		"another site's page":             root.ask(t, http.MethodPost, "/tenants/alice", policy, "Cookie", root.cookie, "Sec-Fetch-Site", "cross-site"),
		"a page under another name":       root.ask(t, http.MethodPost, "/tenants/alice", policy, "Cookie", root.cookie, "Origin", "http://evil.example"),
		"a token and no browser's cookie": root.ask(t, http.MethodPost, "/tenants/alice", policy, "Authorization", "Bearer "+root.token),
	} {
		if got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s\n%s", what, got.Status, got.text)
		}
	}
	if g, err := c.Gateway(t.Context(), "alice"); err != nil || g.Policy != store.GatewayAuto {
		t.Errorf("the policy is %q now, %v", g.Policy, err)
	}
	if others := own.send(t, "/tenants/bob", "do", "network", "network", "db", "subnets", "10.0.1.0/24"); others.StatusCode < 400 {
		t.Errorf("a network of another tenant: %s", others.Status)
	}
	if mine := own.send(t, "/tenants/alice", "do", "network", "network", "db", "subnets", "10.0.1.0/24"); mine.StatusCode != http.StatusSeeOther {
		t.Errorf("a network of its own: %s\n%s", mine.Status, mine.text)
	}
	for _, direct := range []answer{
		root.ask(t, http.MethodPost, "/v1/tenants", `{"name":"dave"}`, "Content-Type", "application/json", "Cookie", root.cookie),
		root.ask(t, http.MethodPut, "/tenants/alice", policy, "Content-Type", "application/json", "Cookie", root.cookie),
	} {
		if direct.StatusCode != http.StatusUnauthorized && direct.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("by cookie: %s", direct.Status)
		}
	}
}
