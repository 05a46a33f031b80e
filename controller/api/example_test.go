package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller"
	"sluice/controller/access"
	"sluice/controller/api"
	"sluice/store"
	"sluice/store/etcd"
)

// runAPI runs a controller with its etcd in this process, and is the URL of its API and an admin's token. Yours is at
// an address such as http://127.0.0.1:8080.
func runAPI() (url, token string, stop func()) {
	dir, err := os.MkdirTemp("", "sluice-example")
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	embedded, err := etcd.StartEmbedded(ctx, etcd.EmbedOptions{Dir: dir, ClientURL: "http://" + freeAddress(), PeerURL: "http://" + freeAddress(), Log: log})
	must(err)
	client, err := etcd.Connect(ctx, etcd.Options{Endpoints: embedded.Endpoints(), Log: log})
	must(err)
	switches, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	registry := prometheus.NewRegistry()
	c, err := controller.New(controller.Options{Name: "c1", Store: client, OpenFlow: switches, Registry: registry, Log: log})
	must(err)
	local, err := access.WriteLocalToken(filepath.Join(dir, "token"))
	must(err)
	text, err := os.ReadFile(filepath.Join(dir, "token"))
	must(err)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	<-c.Ready()
	server := httptest.NewServer(api.New(api.Options{Version: "test", Controller: c, Store: client, Registry: registry, Log: log, Local: local}))
	return server.URL, strings.TrimSpace(string(text)), func() {
		server.CloseClientConnections() // of watches, which do not end by themselves
		server.Close()
		cancel()
		<-ended
		client.Close()
		embedded.Close()
		os.RemoveAll(dir)
	}
}

func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	return l.Addr().String()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// answering is a server that answers as a controller's API does about hosts, so that these examples run without
// switches.
func answering(route string, status int, answer string) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc(route, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	return httptest.NewServer(mux)
}

// A client connects only when it is used. Ready says whether the controller has loaded its state.
func ExampleDial() {
	url, token, stop := runAPI()
	defer stop()

	client, err := api.Dial(url, api.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.Ready(context.Background()))

	_, err = api.Dial("localhost:8080")
	fmt.Println(err)
	// Output:
	// <nil>
	// API address "localhost:8080": write it as http://HOST:PORT, https://HOST:PORT or unix:PATH
}

// A tenant comes with a network named default. A refusal is a Problem.
func ExampleClient_CreateTenant() {
	url, token, stop := runAPI()
	defer stop()
	client, err := api.Dial(url, api.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}

	for range 2 {
		tenant, err := client.CreateTenant(context.Background(), api.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/24"}})
		var refused *api.Problem
		switch {
		case errors.As(err, &refused):
			fmt.Printf("refused with status %d: %s\n", refused.Status, refused.Detail)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(tenant.Name, tenant.Networks)
		}
	}
	// Output:
	// alice [default]
	// refused with status 409: create tenant alice: exists already: choose another name
}

// AsOf refuses a change of an object that somebody else changed since it was read.
func ExampleClient_AsOf() {
	url, token, stop := runAPI()
	defer stop()
	ctx := context.Background()
	client, err := api.Dial(url, api.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := client.CreateTenant(ctx, api.TenantSpec{Name: "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	limits := read.Limits
	limits.Connections = 1000

	if _, err := client.SetLimits(ctx, "alice", store.Limits{Ports: 5}); err != nil { // somebody else
		fmt.Println(err)
	}
	_, err = client.AsOf(read.Modified).SetLimits(ctx, "alice", limits)
	var refused *api.Problem
	fmt.Println(errors.As(err, &refused) && refused.Status == http.StatusPreconditionFailed)

	if read, err = client.Tenant(ctx, "alice"); err == nil { // read it again, and decide anew
		limits = read.Limits
		limits.Connections = 1000
		read, err = client.AsOf(read.Modified).SetLimits(ctx, "alice", limits)
	}
	fmt.Println(read.Limits.Ports, read.Limits.Connections, err)
	// Output:
	// true
	// 5 1000 <nil>
}

// Watch begins with what is there, and goes on with what changes. Whoever keeps a copy of the cluster applies the
// changes to it; at each bookmark it is what the cluster was at that revision.
func ExampleClient_Watch() {
	url, token, stop := runAPI()
	defer stop()
	ctx := context.Background()
	client, err := api.Dial(url, api.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.CreateTenant(ctx, api.TenantSpec{Name: "alice"}); err != nil {
		fmt.Println(err)
		return
	}

	for change, err := range client.Watch(ctx, api.WatchQuery{Kinds: []store.Kind{store.KindTenant}}) {
		switch {
		case err != nil: // of status 410: changes were missed, so drop the copy and watch anew
			fmt.Println(err)
			return
		case change.Event == api.EventBookmark:
			fmt.Println("all there; one goes")
			if _, err := client.DeleteTenant(ctx, "alice"); err != nil {
				fmt.Println(err)
			}
		default:
			fmt.Println(change.Event, change.Key().Title())
		}
		if change.Event == api.EventDelete {
			return
		}
	}
	// Output:
	// put tenant alice
	// all there; one goes
	// delete tenant alice
}

// A host's state says whether its switch holds what it should.
func ExampleClient_Hosts() {
	server := answering("GET /v1/hosts", http.StatusOK,
		`[{"name":"h1","state":"realized","realized":42,"connected":true,"live":true,"flows":137,"ports":3,"created":7},
		  {"name":"h2","state":"missing","realized":41,"connected":true,"live":true,"flows":90,"ports":1,"created":8,
		   "missing":["ports/h2/alice/default/a2"]}]`)
	defer server.Close()
	client, err := api.Dial(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}

	hosts, err := client.Hosts(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range hosts {
		fmt.Println(h.Name, h.State, h.Flows, h.Missing)
	}
	// Output:
	// h1 realized 137 []
	// h2 missing 90 [ports/h2/alice/default/a2]
}

// The view diff is what programming would change on a switch: it is empty when all is right.
func ExampleClient_Flows() {
	server := answering("GET /v1/hosts/h1/flows", http.StatusOK,
		`[{"host":"h1","table":100,"tableName":"deliver","priority":100,"cookie":"0x050000010000000b",
		   "owner":"port alice/default/a1","packets":0,"bytes":0,
		   "text":"table=100, priority=100,reg2=0xb actions=output:3","change":"add"}]`)
	defer server.Close()
	client, err := api.Dial(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}

	list, problems, err := client.Flows(context.Background(), "h1", api.FlowFilter{View: api.ViewDiff, Tenant: "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, problem := range problems {
		fmt.Println("problem:", problem)
	}
	for _, f := range list {
		fmt.Printf("%s a flow of %s: %s\n", f.Change, f.Owner, f.Text)
	}
	// Output:
	// add a flow of port alice/default/a1: table=100, priority=100,reg2=0xb actions=output:3
}
