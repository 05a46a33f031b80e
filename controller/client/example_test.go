package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/controller"
	"sluice/controller/access"
	"sluice/controller/api"
	"sluice/controller/client"
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
	etcdClient, err := etcd.Connect(ctx, etcd.Options{Endpoints: embedded.Endpoints(), Log: log})
	must(err)
	switches, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	registry := prometheus.NewRegistry()
	c, err := controller.New(controller.Options{Name: "c1", Store: etcdClient, OpenFlow: switches, Registry: registry, Log: log})
	must(err)
	_, err = etcdClient.PutIf(ctx, store.HostKey("h1"), &store.Host{DatapathID: 1, VTEPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, 0, 0)
	must(err)
	local, err := access.WriteLocalToken(filepath.Join(dir, "token"))
	must(err)
	text, err := os.ReadFile(filepath.Join(dir, "token"))
	must(err)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	<-c.Ready()
	server := httptest.NewServer(api.New(api.Options{Version: "test", Controller: c, Store: etcdClient, Registry: registry, Log: log, Local: local}))
	return server.URL, strings.TrimSpace(string(text)), func() {
		server.CloseClientConnections() // of watches, which do not end by themselves
		server.Close()
		cancel()
		<-ended
		etcdClient.Close()
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

// A client connects only when it is used. Ready says whether the controller has loaded its state.
func ExampleDial() {
	url, token, stop := runAPI()
	defer stop()

	c, err := client.Dial(url, client.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Ready(context.Background()))

	_, err = client.Dial("localhost:8080")
	fmt.Println(err)
	// Output:
	// <nil>
	// API address "localhost:8080": write it as http://HOST:PORT, https://HOST:PORT or unix:PATH
}

// A tenant comes with a network named default. A refusal is a Problem.
func ExampleClient_CreateTenant() {
	url, token, stop := runAPI()
	defer stop()
	c, err := client.Dial(url, client.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}

	for range 2 {
		tenant, err := c.CreateTenant(context.Background(), client.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/24"}})
		var refused *client.Problem
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
	c, err := client.Dial(url, client.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice"})
	if err != nil {
		fmt.Println(err)
		return
	}
	limits := read.Limits
	limits.Connections = 1000

	if _, err := c.SetLimits(ctx, "alice", store.Limits{Ports: 5}); err != nil { // somebody else
		fmt.Println(err)
	}
	_, err = c.AsOf(read.Modified).SetLimits(ctx, "alice", limits)
	fmt.Println(errors.Is(err, client.ErrChanged))

	if read, err = c.Tenant(ctx, "alice"); err == nil { // read it again, and decide anew
		limits = read.Limits
		limits.Connections = 1000
		read, err = c.AsOf(read.Modified).SetLimits(ctx, "alice", limits)
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
	c, err := client.Dial(url, client.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice"}); err != nil {
		fmt.Println(err)
		return
	}

	for change, err := range c.Watch(ctx, client.WatchQuery{Kinds: []store.Kind{store.KindTenant}}) {
		switch {
		case err != nil: // client.ErrGone: changes were missed, so drop the copy and watch anew
			fmt.Println(err)
			return
		case change.Event == client.EventBookmark:
			fmt.Println("all there; one goes")
			if _, err := c.DeleteTenant(ctx, "alice"); err != nil {
				fmt.Println(err)
			}
		default:
			fmt.Println(change.Event, change.Key().Title())
		}
		if change.Event == client.EventDelete {
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
	url, token, stop := runAPI()
	defer stop()
	c, err := client.Dial(url, client.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}

	hosts, err := c.Hosts(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range hosts {
		fmt.Println(h.Name, h.State, h.Ports)
	}
	// Output:
	// h1 down 0
}

// The view desired is what a switch is to hold; the view diff, of one that is connected, what programming would change
// on it. Each flow names the object that it serves.
func ExampleClient_Flows() {
	url, token, stop := runAPI()
	defer stop()
	c, err := client.Dial(url, client.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}

	list, _, err := c.Flows(context.Background(), "h1", client.FlowFilter{View: client.ViewDesired, Table: "deliver"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range list {
		fmt.Println(f.TableName, "has a flow of", f.Owner)
	}
	// Output:
	// deliver has a flow of resolver
	// deliver has a flow of base
}

// A refusal is a Problem, and is one of a few kinds.
func ExampleProblem() {
	url, token, stop := runAPI()
	defer stop()
	c, err := client.Dial(url, client.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}

	_, err = c.Tenant(context.Background(), "nobody")
	switch {
	case errors.Is(err, client.ErrNotFound):
		fmt.Println("none such:", err)
	case errors.Is(err, client.ErrUnavailable):
		fmt.Println("ask again later:", err)
	}
	// Output:
	// none such: tenant nobody does not exist: see sluice tenant list
}
