package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"sluice/controller/api"
)

// answering is a server that answers as a controller's API does, so that the examples run
// without a cluster. Yours is at an address such as http://127.0.0.1:8080.
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
	server := answering("GET /readyz", http.StatusOK, `{"status":"ok"}`)
	defer server.Close()

	client, err := api.Dial(server.URL)
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
	server := answering("POST /v1/tenants", http.StatusCreated,
		`{"name":"alice","number":1,"gateway":"auto","transit":"100.64.0.1","networks":["default"],"ports":0,"created":42}`)
	defer server.Close()
	client, err := api.Dial(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}

	tenant, err := client.CreateTenant(context.Background(), api.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/24"}})
	var refused *api.Problem
	switch {
	case errors.As(err, &refused):
		fmt.Printf("refused with status %d: %s", refused.Status, refused.Detail)
		return
	case err != nil:
		fmt.Println(err)
		return
	}
	fmt.Println(tenant.Name, tenant.Networks, tenant.Transit)
	// Output: alice [default] 100.64.0.1
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
