package controller_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"google.golang.org/grpc"

	"sluice/controller"
	"sluice/store"
	"sluice/store/etcd"
	"sluice/store/etcd/freeport"
)

// allocs is where numbers are taken.
const allocs = store.Prefix + "alloc/"

// counter counts the keys under alloc/ that requests to an etcd read through. etcd looks at
// each key of a range, also where it answers with few of them.
type counter struct{ keys atomic.Int64 }

func (c *counter) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	resp, err := handle(ctx, req)
	if err != nil {
		return resp, err
	}
	switch r := req.(type) {
	case *etcdserverpb.RangeRequest:
		c.add(r, resp.(*etcdserverpb.RangeResponse))
	case *etcdserverpb.TxnRequest:
		answer := resp.(*etcdserverpb.TxnResponse)
		ops := r.Success
		if !answer.Succeeded {
			ops = r.Failure
		}
		for i, op := range ops {
			if get := op.GetRequestRange(); get != nil {
				c.add(get, answer.Responses[i].GetResponseRange())
			}
		}
	}
	return resp, nil
}

func (c *counter) add(r *etcdserverpb.RangeRequest, resp *etcdserverpb.RangeResponse) {
	if bytes.HasPrefix(r.Key, []byte(allocs)) && len(r.RangeEnd) > 0 {
		c.keys.Add(resp.Count)
	}
}

// startCounted is an etcd whose requests are counted, and a client of it.
func startCounted(t *testing.T) (*counter, *etcd.Client, *clientv3.Client) {
	t.Helper()
	counted := &counter{}
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.LogOutputs = t.TempDir(), "fatal", []string{"stderr"}
	for _, urls := range []*[]url.URL{&config.ListenClientUrls, &config.AdvertiseClientUrls, &config.ListenPeerUrls, &config.AdvertisePeerUrls} {
		u, err := url.Parse(freeport.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		*urls = []url.URL{*u}
	}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = config.ListenClientUrls, config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.ChainUnaryInterceptor(counted.intercept)}
	server, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	<-server.Server.ReadyNotify()
	endpoints := []string{config.ListenClientUrls[0].String()}
	c, err := etcd.Connect(t.Context(), etcd.Options{Endpoints: endpoints, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	plain, err := clientv3.New(clientv3.Config{Endpoints: endpoints})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	return counted, c, plain
}

// What the leader reads to forget one tenant is the same however many there are.
func TestTidyingFollowsTheChange(t *testing.T) {
	counted, client, plain := startCounted(t)
	b := &bench{t: t, ctx: t.Context(), store: client}
	b.lead()
	forget := func(name string) (read int64) {
		b.tenant(name)
		o, _, err := client.Get(b.ctx, store.TenantKey(name))
		if err != nil {
			t.Fatal(err)
		}
		number := allocs + fmt.Sprint("tenant-numbers/", o.(*store.Tenant).Number)
		before := counted.keys.Load()
		if _, err := client.DeleteTenant(b.ctx, name); err != nil {
			t.Fatal(err)
		}
		b.eventually("the number of "+name+" is free", func() bool {
			got, err := plain.Get(b.ctx, number)
			return err == nil && len(got.Kvs) == 0
		})
		return counted.keys.Load() - before
	}
	const many = 200
	b.tenant("stays")
	if read := forget("first"); read == 0 {
		t.Error("the leader did not search for tombstones when it began: or nothing is counted here")
	}
	few := forget("beside-one")
	for n := range many {
		b.tenant(fmt.Sprint("stays-", n))
	}
	read := int64(0)
	for _, name := range []string{"beside-many", "again", "and-again"} { // an audit, each half minute, may fall into one of them
		if read = forget(name); read == few {
			break
		}
	}
	if read != few {
		t.Errorf("with %d tenants more, %d keys under alloc/ were read after one deletion, and %d without them", many, read, few)
	}
}

// Whoever reaches alloc/ with a host's credentials can delete and overwrite all of it: the leader
// restores it from the objects.
func TestTheLeaderRestoresAlloc(t *testing.T) {
	_, client, plain := startCounted(t)
	b := &bench{t: t, ctx: t.Context(), store: client}
	b.register()
	b.tenant("alice")
	for n := range 20 {
		b.port("alice", fmt.Sprint("a", n), strings.Repeat(string(rune('a'+n)), 12), false)
	}
	held := func() map[string]string {
		got, err := plain.Get(b.ctx, allocs, clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, kv := range got.Kvs {
			all[string(kv.Key)] = string(kv.Value)
		}
		return all
	}
	before := held()
	n := 0
	for path := range before {
		var err error
		switch n++; n % 4 {
		case 0:
			_, err = plain.Delete(b.ctx, path)
		case 1:
			_, err = plain.Put(b.ctx, path, "rubbish")
		case 2:
			_, err = plain.Put(b.ctx, path, `{"owner":"ports/h1/alice/default/a1"}`)
		case 3:
			_, err = plain.Put(b.ctx, path, `{"owner":"ports/h1/alice/default/a1","freed":true}`)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if cmp.Equal(before, held()) {
		t.Fatal("nothing was changed")
	}
	b.lead()
	b.eventually("alloc/ is as it was", func() bool { return cmp.Equal(before, held()) })
}

// lead runs a controller of no switches.
func (b *bench) lead() {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(testWriter{b.t}, nil))
	c, err := controller.New(controller.Options{Name: "c1", Store: b.store, OpenFlow: l, Registry: prometheus.NewRegistry(), Log: log})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !strings.Contains(err.Error(), "context canceled") {
			b.t.Error(err)
		}
		l.Close()
	})
}
