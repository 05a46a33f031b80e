package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/store"
)

// route is an operation of the API with names of nothing in its path.
type route struct{ method, path string }

// routes are all operations that /openapi.json describes.
func (c cluster) routes(t *testing.T, names map[string]string) (list []route) {
	t.Helper()
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(c.text(t, "GET /openapi.json")), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for part, name := range names {
			path = strings.ReplaceAll(path, "{"+part+"}", name)
		}
		for method := range methods {
			list = append(list, route{strings.ToUpper(method), fill(path)})
		}
	}
	slices.SortFunc(list, func(a, b route) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return list
}

// request is the route with a body that its writes refuse only for what it says.
func (r route) request() string {
	text := r.method + " " + r.path
	if r.method == http.MethodPost {
		text += ` {}`
	}
	return text
}

// make lets somebody use the API and returns the text of their token.
func (c cluster) make(t *testing.T, spec client.TokenSpec) string {
	t.Helper()
	made, err := c.CreateToken(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return made.Text
}

// alice makes a tenant, who makes a network by a token of her own, and returns a client with that.
func (c cluster) alice(t *testing.T) *client.Client {
	t.Helper()
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	own := c.as(t, c.make(t, client.TokenSpec{Name: "own", Role: "tenant", Tenant: "alice"}))
	if _, err := own.CreateNetwork(t.Context(), client.NetworkSpec{Tenant: "alice", Name: "db", Subnets: []string{"10.0.1.0/24"}}); err != nil {
		t.Fatal(err)
	}
	return own
}

// as is a client with another token.
func (c cluster) as(t *testing.T, token string) *client.Client {
	t.Helper()
	other, err := client.Dial(c.URL(), client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// Whoever does not say who they are, or says it wrongly, gets an answer 401 everywhere but where
// nothing is told.
func TestWithoutATokenNothingIsTold(t *testing.T) {
	c := start(t)
	c.populate(t)
	guarded := c.routes(t, nil)
	if len(guarded) < 15 {
		t.Fatalf("only %d routes are described", len(guarded))
	}
	guarded = append(guarded, route{http.MethodGet, "/metrics"})
	secret := c.make(t, client.TokenSpec{Name: "ci", Role: "admin"})
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Bearer x", "Basic " + c.token, c.token, "Bearer " + c.token + "0", "Bearer " + strings.ToUpper(secret),
		"Bearer " + secret[:len(secret)-1] + "g", "Bearer sluice_nobody_" + strings.Repeat("0", 64), "Bearer sluice_ci_", "Bearer sluice__local_" + strings.Repeat("0", 64),
	} {
		for _, r := range guarded {
			resp := c.send(t, r.request(), "Authorization", header)
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s with %q: %s, %v", r.request(), header, resp.Status, err)
			}
			if strings.Contains(string(body), "alice") {
				t.Errorf("%s with %q tells of alice", r.request(), header)
			}
			if resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s does not say how to prove who asks", r.request())
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json"} {
		if resp := c.send(t, "GET "+path, "Authorization", ""); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if resp := c.send(t, "GET /v1/tenants", "Authorization", "bearer "+secret); resp.StatusCode != http.StatusOK {
		t.Errorf("with the token: %s", resp.Status)
	}
}

// What each role may ask for. An operation that is not here is for nobody, so that a new one is
// thought of.
var allowed = map[string]string{
	"GET /v1/tenants": "admin viewer tenant", "POST /v1/tenants": "admin",
	"GET /v1/tenants/alice": "admin viewer tenant", "DELETE /v1/tenants/alice": "admin",
	"PUT /v1/tenants/alice/limits":         "admin",
	"PUT /v1/tenants/alice/topology":       "admin",
	"POST /v1/ports/alice/default/a1/move": "admin", "PUT /v1/ports/alice/default/a1/limits": "admin", "PUT /v1/ports/alice/none/none/limits": "admin",
	"GET /v1/networks": "admin viewer tenant", "POST /v1/networks": "admin tenant",
	"GET /v1/networks/alice/none": "admin viewer tenant", "DELETE /v1/networks/alice/none": "admin tenant",
	"GET /v1/ports": "admin viewer tenant", "GET /v1/ports/alice/none/none": "admin viewer tenant", "POST /v1/ports/alice/none/none/move": "admin",
	"GET /v1/gateways": "admin viewer tenant", "GET /v1/gateways/alice": "admin viewer tenant", "PUT /v1/gateways/alice/move": "admin",
	"PUT /v1/tenants/alice/gateway": "admin", "PUT /v1/gateways": "admin", "GET /v1/central-gateway": "admin viewer",
	"GET /v1/fail-over": "admin viewer", "PUT /v1/fail-over": "admin",
	"GET /v1/floating": "admin viewer", "PUT /v1/floating": "admin",
	"GET /v1/balance": "admin viewer", "PUT /v1/balance": "admin",
	"GET /v1/hosts/none/drain": "admin viewer", "PUT /v1/hosts/none/drain": "admin", "DELETE /v1/hosts/none/drain": "admin",
	"GET /v1/peerings": "admin viewer tenant", "POST /v1/peerings": "admin tenant",
	"GET /v1/peerings/none/none": "admin viewer tenant", "DELETE /v1/peerings/none/none": "admin tenant",
	"GET /v1/publications": "admin viewer tenant", "POST /v1/publications": "admin tenant",
	"GET /v1/publications/alice/none": "admin viewer tenant", "DELETE /v1/publications/alice/none": "admin tenant",
	"GET /v1/stickies": "admin viewer tenant", "DELETE /v1/stickies/alice/none/none": "admin tenant",
	"GET /v1/verify": "admin viewer", "GET /v1/state": "admin viewer",
	"GET /v1/hosts": "admin viewer", "GET /v1/hosts/none": "admin viewer", "DELETE /v1/hosts/none": "admin",
	"POST /v1/hosts/none/adopt": "admin", "POST /v1/hosts/none/clean": "admin",
	"POST /v1/hosts/none/invitations": "admin", "POST /v1/hosts/none/enrolment": "admin",
	"GET /v1/hosts/none/flows": "admin viewer", "GET /v1/hosts/none/links": "admin viewer", "GET /v1/owners": "admin viewer", "GET /v1/trace": "admin viewer tenant", "GET /v1/status": "admin viewer",
	"GET /v1/schema": "admin viewer", "POST /v1/schema": "admin",
	"GET /v1/tokens": "admin", "POST /v1/tokens": "admin", "GET /v1/tokens/none": "admin", "DELETE /v1/tokens/none": "admin",
	"GET /v1/tidy/values": "admin viewer", "POST /v1/tidy/values": "admin",
	"GET /v1/tidy/hosts": "admin viewer", "POST /v1/tidy/hosts": "admin",
	"GET /v1/tidy/ports": "admin viewer", "POST /v1/tidy/ports": "admin",
	"POST /v1/plan": "admin viewer", "POST /v1/apply": "admin", "GET /v1/manifest": "admin viewer tenant",
	"GET /v1/watch":  "admin viewer tenant",
	"GET /v1/events": "admin viewer tenant", "GET /v1/events/watch": "admin viewer tenant",
	"GET /metrics": "admin viewer",
}

func TestRoles(t *testing.T) {
	c := start(t)
	c.populate(t)
	tokens := map[string]string{}
	for _, role := range []string{"admin", "viewer", "tenant"} {
		spec := client.TokenSpec{Name: role, Role: role}
		if role == "tenant" {
			spec.Tenant = "alice"
		}
		tokens[role] = c.make(t, spec)
	}
	all := append(c.routes(t, map[string]string{"tenant": "alice"}), route{http.MethodGet, "/metrics"})
	for _, r := range all {
		may := allowed[r.method+" "+r.path]
		if may == "" {
			t.Errorf("say here who may %s %s", r.method, r.path)
		}
		for role, token := range tokens {
			if r.method == http.MethodDelete && role == "admin" {
				continue // it would
			}
			resp := c.send(t, r.request(), "Authorization", "Bearer "+token)
			if refused := resp.StatusCode == http.StatusForbidden; refused == strings.Contains(may, role) || resp.StatusCode == http.StatusUnauthorized {
				t.Errorf("%s %s as %s: %s", r.method, r.path, role, resp.Status)
			}
		}
	}
}

// A tenant's token shows nothing of any other tenant: not in lists, and of what it asks for by name
// the answer is that of a name that nobody has.
func TestATenantSeesItself(t *testing.T) {
	c := start(t)
	c.populate(t)
	token := c.make(t, client.TokenSpec{Name: "of-alice", Role: "tenant", Tenant: "alice"})
	text := func(request string) string {
		resp := c.send(t, request, "Authorization", "Bearer "+token)
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Status + string(b)
	}
	shown := 0
	for _, r := range c.routes(t, map[string]string{"tenant": "alice", "network": "db", "port": "a"}) {
		if r.method != http.MethodGet || r.path == access.WatchPath || r.path == access.EventsWatchPath { // that one has no end: see TestATenantWatchesItself
			continue
		}
		answer := text(r.request())
		shown += strings.Count(answer, "alice")
		if strings.Contains(answer, "bob") || strings.Contains(answer, "carol") {
			t.Errorf("%s tells of others: %s", r.request(), answer)
		}
	}
	if shown < 10 {
		t.Errorf("alice is shown only %d times", shown)
	}
	for _, request := range []string{
		"GET /v1/tenants/%s", "GET /v1/networks/%s/db", "GET /v1/networks?tenant=%s", "GET /v1/ports/%s/db/a", "GET /v1/ports?tenant=%s",
		"DELETE /v1/networks/%s/db", `POST /v1/networks {"tenant":"%s","name":"more","subnets":["10.0.7.0/24"]}`,
	} {
		there, nowhere := text(fmt.Sprintf(request, "bob")), text(fmt.Sprintf(request, "eve"))
		if !strings.HasPrefix(there, "404") || strings.ReplaceAll(there, "bob", "eve") != nowhere {
			t.Errorf("%s is answered %s, and of a name of nobody %s", request, there, nowhere)
		}
	}
	own := c.as(t, token)
	if _, err := own.CreateNetwork(t.Context(), client.NetworkSpec{Tenant: "alice", Name: "more", Subnets: []string{"10.0.7.0/24"}}); err != nil {
		t.Errorf("alice makes a network: %v", err)
	}
	if _, err := own.DeleteNetwork(t.Context(), "alice", "more"); err != nil {
		t.Errorf("alice deletes it: %v", err)
	}
	if list, err := c.Networks(t.Context(), "bob"); err != nil || len(list) != 2 {
		t.Errorf("bob has %d networks, %v", len(list), err)
	}
}

// A token is good until it is revoked, expires, or its tenant goes; a tenant that is made anew under
// the name is another one.
func TestLifeOfATokens(t *testing.T) {
	c, ctx := start(t), t.Context()
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	good := func(token string) bool {
		_, err := c.as(t, token).Tenants(ctx)
		return err == nil
	}
	first := c.make(t, client.TokenSpec{Name: "ci", Role: "viewer"})
	if !good(first) {
		t.Error("a new token is not good")
	}
	if _, err := c.RevokeToken(ctx, "ci"); err != nil {
		t.Fatal(err)
	}
	if good(first) {
		t.Error("a revoked token is good")
	}
	if second := c.make(t, client.TokenSpec{Name: "ci", Role: "viewer"}); !good(second) || good(first) {
		t.Error("of two tokens of one name the first is good, or the second is not")
	}
	later, over := time.Now().Add(time.Hour), time.Now().Add(-time.Hour).UTC()
	if !good(c.make(t, client.TokenSpec{Name: "long", Role: "viewer", Expires: &later})) {
		t.Error("a token is not good before it expires")
	}
	short, hash := access.NewToken("short")
	c.put(t, store.TokenKey("short"), &store.Token{Role: store.RoleViewer, Hash: hash, Expires: over})
	own := c.make(t, client.TokenSpec{Name: "own", Role: "tenant", Tenant: "alice"})
	if _, err := c.DeleteTenant(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if good(own) {
		t.Error("the token of a tenant that is gone is good")
	}
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	if good(own) {
		t.Error("the token of a tenant that is gone is good for another one of its name")
	}
	if good(short) { // it is in the state: a tenant that was made after it is
		t.Error("a token is good after it expired")
	}
	var valid []string
	list, err := c.Tokens(ctx)
	for _, token := range list {
		valid = append(valid, fmt.Sprint(token.Name, " ", token.Role, " ", token.Tenant, " ", token.Valid, " ", token.By))
	}
	if want := []string{"ci viewer  true local", "long viewer  true local", "own tenant alice false local", "short viewer  false "}; err != nil || !slices.Equal(valid, want) {
		t.Errorf("tokens are\n%q, not\n%q (%v)", valid, want, err)
	}
}

// etcd holds nothing of a token with which anybody could use it.
func TestTokensAreHashedAtRest(t *testing.T) {
	c := start(t)
	text := c.make(t, client.TokenSpec{Name: "ci", Role: "admin"})
	o, _, err := c.store.Get(t.Context(), store.TokenKey("ci"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := store.Encode(o)
	if err != nil {
		t.Fatal(err)
	}
	secret := text[strings.LastIndex(text, "_")+1:]
	if len(secret) != 64 || strings.Contains(string(b), secret) || o.(*store.Token).Hash == "" {
		t.Errorf("etcd holds %s of %s", b, text)
	}
	if resp := c.send(t, "GET /v1/tenants", "Authorization", "Bearer sluice_ci_"+o.(*store.Token).Hash); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("with the hash for a secret: %s", resp.Status)
	}
	if shown := c.text(t, "GET /v1/tokens"); strings.Contains(shown, o.(*store.Token).Hash) || strings.Contains(shown, secret) {
		t.Errorf("the list shows %s", shown)
	}
}

func TestTokensThatNobodyGets(t *testing.T) {
	c := start(t)
	for request, want := range map[string]int{
		`POST /v1/tokens {"name":"a b","role":"admin"}`:                                 422,
		`POST /v1/tokens {"name":"a/b","role":"tenant","tenant":"x/y"}`:                 422,
		`POST /v1/tokens {"name":"x","role":"king"}`:                                    422,
		`POST /v1/tokens {"name":"x","role":"tenant","tenant":"nobody"}`:                404,
		`POST /v1/tokens {"name":"x","role":"tenant","tenant":"no/body"}`:               422,
		`POST /v1/tokens {"name":"x","role":"viewer","expires":"2020-01-02T03:04:05Z"}`: 422,
		`POST /v1/tokens {"name":"x","role":"viewer","hash":"00"}`:                      422,
		"DELETE /v1/tokens/nobody":                                                      404,
		"GET /v1/tokens/nobody":                                                         404,
	} {
		if resp := c.send(t, request); resp.StatusCode != want {
			t.Errorf("%s: %s, not %d", request, resp.Status, want)
		}
	}
}

// Each write has a line: who, from where, what, and the revision; and so has each attempt that was
// refused.
func TestAuditLog(t *testing.T) {
	c, ctx := start(t), t.Context()
	own := c.alice(t)
	if _, err := own.DeleteTenant(ctx, "alice"); err == nil {
		t.Error("alice deletes herself")
	}
	if _, err := own.DeleteNetwork(ctx, "alice", "nothing"); err == nil {
		t.Error("alice deletes nothing")
	}
	c.send(t, "DELETE /v1/tenants/alice", "Authorization", "Bearer wrong")
	c.send(t, "GET /v1/tenants")
	var got []string
	revisions := []int64{}
	for line := range strings.Lines(c.audit.String()) {
		var e struct {
			Who, Role, From, Method, Path, Object, Outcome, Tenant string
			Status                                                 int
			Rev                                                    int64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !strings.HasPrefix(e.From, "127.0.0.1:") {
			t.Errorf("from %q", e.From)
		}
		got = append(got, fmt.Sprintf("%s (%s %s): %s %s: %s: %s %d", e.Who, e.Role, e.Tenant, e.Method, e.Path, e.Object, e.Outcome, e.Status))
		revisions = append(revisions, e.Rev)
	}
	want := []string{
		"local (admin ): POST /v1/tenants: tenant alice: done 201",
		"local (admin ): POST /v1/tokens: token own: done 201",
		"token own (tenant alice): POST /v1/networks: network alice/db: done 201",
		"token own (tenant alice): DELETE /v1/tenants/alice: : refused 403",
		"token own (tenant alice): DELETE /v1/networks/alice/nothing: network alice/nothing: refused 404",
		" ( ): DELETE /v1/tenants/alice: : refused 401",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the audit log says\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	network, err := c.Network(ctx, "alice", "db")
	if err != nil || len(revisions) != len(want) || revisions[2] != int64(network.Created) || revisions[3] != 0 {
		t.Errorf("revisions are %d; the network was made at %d, %v", revisions, network.Created, err)
	}
}

// A page at another name reaches this address by DNS rebinding, and one at another site by its
// reader's browser. Neither is answered, whatever it shows.
func TestRequestsThatWereMeantForSomebodyElse(t *testing.T) {
	c := start(t)
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(c.URL(), "http://"), ":")
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"evil.example", "", 403},
		{"evil.example:" + port, "http://evil.example:" + port, 403},
		{"127.0.0.1.evil.example", "", 403},
		{"localhost.evil.example", "", 403},
		{"198.51.100.7", "", 403},
		{"0.0.0.0:" + port, "", 403},
		{"127.0.0.1:" + port, "http://evil.example", 403},
		{"127.0.0.1:" + port, "null", 403},
		{"127.0.0.1:" + port, "http://127.0.0.1:1", 403}, // another program's page on this machine
		{"127.0.0.1:" + port, "", 409},                   // made already: it was listened to
		{"127.0.0.1:" + port, "http://127.0.0.1:" + port, 409},
		{"localhost:" + port, "http://localhost:" + port, 409},
		{"[::1]:" + port, "", 409},
		{"SLUICE.example.", "", 409},
		{"sluice.example:80", "http://sluice.example:80", 409},
	} {
		headers := []string{"Host", test.host}
		if test.origin != "" {
			headers = append(headers, "Origin", test.origin)
		}
		if resp := c.send(t, `POST /v1/tenants {"name":"alice"}`, headers...); resp.StatusCode != test.want {
			t.Errorf("host %q, origin %q: %s, not %d", test.host, test.origin, resp.Status, test.want)
		}
		if resp := c.send(t, "GET /v1/tenants", headers...); test.host == "evil.example" && resp.StatusCode != http.StatusForbidden {
			t.Errorf("read by host %q: %s", test.host, resp.Status)
		}
	}
	if resp := c.send(t, "GET /healthz", "Host", "10.0.0.1"); resp.StatusCode != http.StatusOK {
		t.Errorf("a load balancer's look at the health: %s", resp.Status)
	}
}

// A page's form can send these types to any site without asking it; JSON it cannot.
func TestWritesAreJSON(t *testing.T) {
	c := start(t)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json, text/plain", "json"} {
		if resp := c.send(t, `POST /v1/tenants {"name":"alice"}`, "Content-Type", kind); resp.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("type %q: %s", kind, resp.Status)
		}
	}
	if resp := c.send(t, `POST /v1/tenants {"name":"alice"}`, "Content-Type", "application/json; charset=utf-8"); resp.StatusCode != http.StatusCreated {
		t.Errorf("JSON: %s", resp.Status)
	}
	big := `POST /v1/tenants {"name":"bob","labels":{"x":"` + strings.Repeat("x", 2<<20) + `"}}`
	if resp := c.send(t, big); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("2 MiB: %s", resp.Status)
	}
}

// Before the state is there nobody can be told from anybody but the controller's own token.
func TestTokensBeforeTheStateIsThere(t *testing.T) {
	c := prepare(t)
	if resp := c.send(t, "GET /v1/tenants", "Authorization", "Bearer sluice_ci_"+strings.Repeat("0", 64)); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a token: %s", resp.Status)
	}
	if resp := c.send(t, "GET /v1/tenants", "Authorization", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("none: %s", resp.Status)
	}
	if resp := c.send(t, "GET /v1/status"); resp.StatusCode != http.StatusOK {
		t.Errorf("the controller's own: %s", resp.Status)
	}
}
