package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller"
	"sluice/controller/access"
	"sluice/controller/api"
	"sluice/controller/client"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/etcdtest"
)

// cluster is an API before a real controller and a real etcd.
type cluster struct {
	*client.Client
	store      *etcd.Client
	controller *controller.Controller
	handler    http.Handler
	token      string        // the controller's own
	audit      *bytes.Buffer // read it while nothing is written
}

// start runs etcd, a controller and its API until the test ends.
func start(t *testing.T) cluster {
	t.Helper()
	return startAll(t).cluster
}

func startAll(t testing.TB) prepared {
	t.Helper()
	return startAfter(t, func(cluster) {})
}

// startAfter is startAll once something was done.
func startAfter(t testing.TB, before func(cluster)) prepared {
	t.Helper()
	c := prepare(t)
	before(c.cluster)
	go func() { c.failed <- c.controller.Run(t.Context()) }()
	await(t, func() error {
		select {
		case err := <-c.failed:
			t.Fatalf("controller ended: %v", err)
		default:
		}
		return c.Ready(t.Context())
	})
	return c
}

type prepared struct {
	cluster
	etcd   *etcd.Embedded
	failed chan error
}

// prepare is start without running the controller.
func prepare(t testing.TB) prepared {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	embedded := etcdtest.Start(t)
	etcdClient := etcdtest.Connect(t, embedded)
	openflow, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { openflow.Close() })
	registry := prometheus.NewRegistry()
	c, err := controller.New(controller.Options{
		Name: "c1", Store: etcdClient, OpenFlow: openflow, Registry: registry, Log: log,
		Live: store.LiveController{OpenFlow: openflow.Addr().String(), API: "http://192.0.2.1:8080"},
	})
	if err != nil {
		t.Fatal(err)
	}
	file, audit := filepath.Join(t.TempDir(), "run", "api.token"), &bytes.Buffer{}
	local, err := access.WriteLocalToken(file)
	if err != nil {
		t.Fatal(err)
	}
	handler := api.New(api.Options{
		Version: "test", Controller: c, Store: etcdClient, Registry: registry, Log: log,
		Local: local, Hosts: []string{"sluice.example"}, Audit: slog.New(slog.NewJSONHandler(audit, nil)),
	})
	dialled, err := client.Dial("http://"+serve(t, handler, nil), client.WithTokenFile(file))
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return prepared{cluster{dialled, etcdClient, c, handler, strings.TrimSpace(string(token)), audit}, embedded, make(chan error, 1)}
}

// serve answers at an address of this machine until the test ends, and returns it.
func serve(t testing.TB, h http.Handler, secure *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- access.Serve(ctx, l, h, secure, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

// await repeats f until it returns no error.
func await(t testing.TB, f func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still not: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// register adds a host that has no switch.
func (c cluster) register(t *testing.T, name string) *etcd.Registration {
	t.Helper()
	r, err := c.store.RegisterHost(t.Context(), name, store.Host{
		Incarnation: name + "-test", DatapathID: store.DatapathID(len(name) + int(name[len(name)-1])),
		VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, name[len(name)-1] - '0'})}, Gateway: true, Encap: "vxlan", UnderlayMTU: 1500,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	await(t, func() error { _, err := c.Host(t.Context(), name); return err })
	return r
}

// TestReadYourWrites follows objects through their lives: what a write made the next read
// shows, without waiting.
func TestReadYourWrites(t *testing.T) {
	c, ctx := start(t), t.Context()
	made, err := c.CreateTenant(ctx, client.TenantSpec{
		Name: "alice", Segmentation: "vlan", Subnets: []string{"10.0.0.0/24", "fd00::/64"}, Labels: store.Labels{"team": "red"},
	})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := c.Tenant(ctx, "alice")
	if shown.Usage == nil || *shown.Usage != (client.TenantUsage{}) {
		t.Errorf("nothing is used, and shown %+v", shown.Usage)
	}
	shown.Usage = nil // told of tenants that are shown alone
	if diff := cmp.Diff(made, shown, compareAddresses); err != nil || diff != "" {
		t.Errorf("shown otherwise than created: %v\n%s", err, diff)
	}
	if shown.Number == 0 || shown.Transit != store.DefaultTransit.Address(shown.Number) || shown.Gateway != store.GatewayAuto ||
		!cmp.Equal(shown.Networks, []string{"default"}) || shown.Labels["team"] != "red" {
		t.Errorf("tenant is %+v", shown)
	}
	if set, err := c.SetLimits(ctx, "alice", store.Limits{Connections: 9}); err != nil || set.Limits != (store.Limits{Connections: 9}) || set.Number != shown.Number {
		t.Errorf("with other limits alice is %+v, %v", set, err)
	}
	_, err = c.SetLimits(ctx, "alice", store.Limits{Connections: -1})
	checkProblem(t, err, http.StatusUnprocessableEntity, "alice", "connections")
	_, err = c.SetLimits(ctx, "nobody", store.Limits{})
	checkProblem(t, err, http.StatusNotFound, "nobody")
	if _, err := c.CreateNetwork(ctx, client.NetworkSpec{
		Tenant: "alice", Name: "db", Subnets: []string{"10.0.1.0/24"}, Gateways: []string{"10.0.1.254"}, MTU: 1400, Flood: "off",
	}); err != nil {
		t.Fatal(err)
	}
	db, err := c.Network(ctx, "alice", "db")
	if err != nil || db.Subnets[0].Gateway.String() != "10.0.1.254" || db.MTU != 1400 || db.Flood != store.FloodOff {
		t.Errorf("network is %+v, %v", db, err)
	}
	networks, err := c.Networks(ctx, "alice")
	if err != nil || len(networks) != 2 || networks[1].Segmentation != store.SegmentationVLAN {
		t.Errorf("networks are %+v, %v", networks, err)
	}
	if _, err := c.DeleteNetwork(ctx, "alice", "db"); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteTenant(ctx, "alice"); err != nil {
		t.Error(err)
	}
	if left, err := c.Tenants(ctx); err != nil || len(left) != 0 {
		t.Errorf("after deleting: %+v, %v", left, err)
	}
}

var compareAddresses = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestPorts(t *testing.T) {
	c, ctx := start(t), t.Context()
	host := c.register(t, "h1")
	for _, tenant := range []string{"alice", "bob"} {
		if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: tenant, Gateway: "h1"}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			port, err := c.store.CreatePort(ctx, store.PortSpec{
				Host: "h1", HostCreated: host.Created, Tenant: tenant, Network: "default", Name: name, UID: strings.Repeat(name, 11) + tenant[:1],
			})
			if err != nil {
				t.Fatal(err)
			}
			await(t, func() error { _, err := c.Port(ctx, tenant, "default", port.Key.Name); return err })
		}
	}
	tests := []struct {
		filter client.PortFilter
		want   string
	}{
		{client.PortFilter{}, "alice/a alice/b bob/a bob/b"},
		{client.PortFilter{Tenant: "bob"}, "bob/a bob/b"},
		{client.PortFilter{Tenant: "bob", Network: "default", Host: "h1"}, "bob/a bob/b"},
		{client.PortFilter{Network: "other"}, ""},
	}
	for _, test := range tests {
		list, err := c.Ports(ctx, test.filter)
		var got []string
		for _, p := range list {
			got = append(got, p.Tenant+"/"+p.Name)
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%+v: %v, %v; not %s", test.filter, got, err, test.want)
		}
	}
	one, err := c.Port(ctx, "alice", "default", "a")
	if err != nil || one.Host != "h1" || one.Interface == "" || one.MAC.IsZero() || len(one.Addresses) != 1 {
		t.Errorf("port is %+v, %v", one, err)
	}
	tenant, err := c.Tenant(ctx, "alice")
	if err != nil || tenant.Ports != 2 {
		t.Errorf("alice has %d ports, %v", tenant.Ports, err)
	}
	h, err := c.Host(ctx, "h1")
	if err != nil || h.Ports != 4 || !h.Live || h.Connected || h.State != store.HostDown {
		t.Errorf("host is %+v, %v", h, err)
	}
	_, err = c.DeleteTenant(ctx, "alice")
	checkProblem(t, err, http.StatusConflict, "alice", "in use", "detach")
}

// checkProblem looks for a problem of that status whose text names all of says.
func checkProblem(t *testing.T, err error, status int, says ...string) {
	t.Helper()
	var problem *client.Problem
	if !errors.As(err, &problem) {
		t.Errorf("%v (%T) is no problem document", err, err)
		return
	}
	if problem.Status != status || problem.Title != http.StatusText(status) {
		t.Errorf("status %d %s, not %d: %s", problem.Status, problem.Title, status, problem)
	}
	for _, word := range says {
		if !strings.Contains(problem.Error(), word) {
			t.Errorf("problem %q does not say %q", problem, word)
		}
	}
}

// TestProblems sends what must be refused and reads the refusals.
func TestProblems(t *testing.T) {
	c := start(t)
	c.register(t, "h1")
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		request string // method, path, body
		status  int
		says    string
	}{
		{"GET /v1/tenants/nobody", 404, "tenant nobody does not exist: see sluice tenant list"},
		{"GET /v1/networks/alice/none", 404, "network alice/none does not exist"},
		{"GET /v1/networks?tenant=nobody", 404, "tenant nobody does not exist"},
		{"GET /v1/networks?tenent=alice", 422, "tenent"},
		{"GET /v1/ports?host=h9", 404, "host h9 does not exist"},
		{"GET /v1/ports?tenant=alice&network=none", 404, "network alice/none does not exist"},
		{"GET /v1/ports/alice/default/none", 404, "port alice/default/none does not exist"},
		{"GET /v1/hosts/h9", 404, "host h9 does not exist: see sluice host list"},
		{"DELETE /v1/hosts/h9", 404, "h9"},
		{"DELETE /v1/hosts/h1%2Falice", 400, `host: name "h1/alice" is not a DNS label`},
		{"GET /v1/hosts/h1%2Falice", 400, `host: name "h1/alice" is not a DNS label`},
		{"GET /v1/hosts/h1%2Falice/flows", 400, `host: name "h1/alice"`},
		{"DELETE /v1/tenants/Alice", 400, `tenant: name "Alice"`},
		{"DELETE /v1/networks/alice/a%2Fb", 400, `network: name "a/b"`},
		{"GET /v1/ports/alice/default/A1", 400, `port: name "A1"`},
		{"DELETE /v1/tenants/nobody", 404, "nobody"},
		{"DELETE /v1/networks/alice/none", 404, "alice/none"},
		{`POST /v1/tenants {"name":"alice"}`, 409, "exists"},
		{`POST /v1/tenants {"name":"Not_A_Label"}`, 422, "Not_A_Label"},
		{`POST /v1/tenants {"name":"bob","subnets":["10.0.0.0"]}`, 422, `subnet "10.0.0.0": write it as ADDRESS/LENGTH`},
		{`POST /v1/tenants {"name":"bob","subnets":["100.64.0.0/24"]}`, 422, "100.64.0.0"},
		{`POST /v1/tenants {"name":"bob","subnets":["10.0.0.0/24","10.0.0.0/25"]}`, 422, "overlap"},
		{`POST /v1/tenants {"name":"bob","segmentation":"carrier-pigeon"}`, 422, "carrier-pigeon"},
		{`POST /v1/tenants {"name":"bob","gateway":"h9"}`, 404, "h9"},
		{`POST /v1/tenants {"name":"bob","colour":"red"}`, 422, "colour"},
		{`POST /v1/tenants {}`, 422, "name"},
		{`POST /v1/tenants {`, 400, ""},
		{`POST /v1/networks {"tenant":"nobody","name":"db","subnets":["10.0.1.0/24"]}`, 404, "nobody"},
		{`POST /v1/networks {"tenant":"alice","name":"db","subnets":["10.0.0.0/24"]}`, 422, "10.0.0.0/24"},
		{`POST /v1/networks {"tenant":"alice","name":"db","subnets":["10.0.1.0/24"],"gateways":["ten"]}`, 422, `gateway address "ten"`},
		{"GET /v1/hosts/h9/flows", 404, "host h9 does not exist"},
		{"GET /v1/hosts/h1/flows", 503, "host h1: its switch is not connected"},
		{"GET /v1/hosts/h1/flows?view=wrong", 422, "view"},
		{"GET /v1/hosts/h1/flows?tenant=nobody", 404, "tenant nobody does not exist"},
		{"GET /v1/hosts/h1/flows?port=a1", 422, "write it as TENANT/NETWORK/NAME"},
		{"GET /v1/hosts/h1/flows?port=alice/default/a1", 404, "port alice/default/a1 does not exist"},
		{"GET /v1/hosts/h1/flows?table=attic", 404, "table attic does not exist: it is a number or one of classify"},
	}
	for _, test := range tests {
		t.Run(test.request, func(t *testing.T) {
			resp := c.send(t, test.request)
			if resp.StatusCode != test.status {
				t.Errorf("status %d, not %d", resp.StatusCode, test.status)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
			problem := &client.Problem{}
			if err := json.NewDecoder(resp.Body).Decode(problem); err != nil {
				t.Fatal(err)
			}
			checkProblem(t, problem, test.status, test.says)
		})
	}
}

// send makes a request of a method, a path and, where there is one, a JSON body. The token goes
// with it, unless the headers, each a name and a value, say otherwise.
func (c cluster) send(t *testing.T, request string, headers ...string) *http.Response {
	t.Helper()
	parts := strings.SplitN(request, " ", 3)
	var body io.Reader
	if len(parts) == 3 {
		body = strings.NewReader(parts[2])
	}
	req, err := http.NewRequestWithContext(t.Context(), parts[0], c.URL()+parts[1], body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// TestNotReady asks before the state was loaded: lists would look empty, and what is there as if it were gone.
func TestNotReady(t *testing.T) {
	c := prepare(t)
	checkProblem(t, c.Ready(t.Context()), http.StatusServiceUnavailable, "not loaded")
	_, err := c.Tenants(t.Context())
	checkProblem(t, err, http.StatusServiceUnavailable, "not loaded yet: etcd has not answered: see sluice status")
	_, err = c.Host(t.Context(), "h1")
	checkProblem(t, err, http.StatusServiceUnavailable, "not loaded")
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("status: %v", err)
	}
	if resp := c.send(t, "GET /healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", resp.Status)
	}
}

func TestStatus(t *testing.T) {
	c := start(t)
	c.register(t, "h1")
	c.register(t, "h2")
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "alice"}); err != nil {
		t.Fatal(err)
	}
	await(t, func() error { return c.hasController(t.Context()) })
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Tenants != 1 || st.Networks != 1 || st.Ports != 0 || len(st.Hosts) != 2 || st.HostStates["down"] != 2 || st.Revision == 0 {
		t.Errorf("status is %+v", st)
	}
	if got := st.Controllers[0]; got.Name != "c1" || !got.Answers || got.API != "http://192.0.2.1:8080" {
		t.Errorf("controller is %+v", got)
	}
	if st.Unknown == nil || st.Problems == nil {
		t.Errorf("lists without entries are null: %+v", st)
	}
}

// hasController says when the controller has not yet taken its lease.
func (c cluster) hasController(ctx context.Context) error {
	st, err := c.Status(ctx)
	if err == nil && len(st.Controllers) == 0 {
		err = io.EOF
	}
	return err
}

func TestGateways(t *testing.T) {
	c, ctx := start(t), t.Context()
	c.register(t, "h1")
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice", Gateway: "h1"}); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		list, err := c.Gateways(ctx)
		if err != nil || len(list) != 1 || list[0].Tenant != "alice" || list[0].Policy != "h1" {
			t.Fatalf("gateways are %+v, %v", list, err)
		}
		if list[0].Active != "h1" {
			return fmt.Errorf("no gateway host was chosen: %+v", list[0])
		}
		return nil
	})
	tenant, err := c.Tenant(ctx, "alice")
	if err != nil || tenant.GatewayHost != "h1" {
		t.Errorf("tenant is %+v, %v", tenant, err)
	}
}

func (c cluster) text(t *testing.T, request string) string {
	t.Helper()
	resp := c.send(t, request)
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", request, resp.Status, err)
	}
	return string(b)
}
