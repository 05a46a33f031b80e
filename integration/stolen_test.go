package integration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"sluice/integration/lab"
	"sluice/pki"
	"sluice/store"
)

// restoreTime is how long the leader may take to find and restore what is taken: it looks each half minute.
const restoreTime = 90 * time.Second

// thiefOf is etcd's own client with a host's certificate and key, on that host.
func thiefOf(t *testing.T, h lab.Host) *clientv3.Client {
	t.Helper()
	source, err := pki.Open(filepath.Join(lab.Dir, "pki", h.Name), pki.Host(h.Name), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return dialEtcd(t, clientv3.Config{
		Endpoints: []string{"https://172.30.0.100:2379"}, TLS: source.Client(), Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, at string) (conn net.Conn, err error) {
			err = lab.InNamespace(h.NetNS, func() error {
				conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(at, "https://"))
				return err
			})
			return conn, err
		})},
	})
}

func dialEtcd(t *testing.T, c clientv3.Config) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// below is what etcd holds below a path, by key.
func below(t *testing.T, c *clientv3.Client, path string) map[string]string {
	t.Helper()
	got, err := c.Get(t.Context(), path, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, kv := range got.Kvs {
		all[string(kv.Key)] = string(kv.Value)
	}
	return all
}

// With h2's certificate and key, all that is another's is refused. What is not confined by host, alloc/, is
// overwritten and deleted: no packet stops, nothing crosses, no flow changes, and the leader restores it.
func TestStolenHostCertificate(t *testing.T) {
	st := needLab(t)
	a, b := pair(t, "victim")
	tenant(t, "thief")
	eve := container(t, "h2", "thief", "thief-1")
	wantNoDiff(t)
	operator := dialEtcd(t, clientv3.Config{Endpoints: []string{st.Etcd}, Logger: zap.NewNop()})
	thief := thiefOf(t, st.Hosts[1])
	taken := below(t, operator, store.Under(store.KindAlloc))
	interfaces, flows := interfacesOf(t, st), map[string]map[string]dumped{}
	for _, h := range st.Hosts {
		flows[h.Name] = dump(t, h)
	}
	const pings = 3000
	wait := steadyPing(t, a, ipOf(b), pings)

	wantRefused(t, thief, below(t, operator, store.Prefix))
	for key := range taken {
		if _, err := thief.Put(t.Context(), key, `{"owner":"ports/h2/thief/default/mine"}`); err != nil {
			t.Fatalf("overwrite %s: %v", key, err)
		}
	}
	wantNoPing(t, eve, ipOf(a), ipOf(b))
	if _, err := thief.Delete(t.Context(), store.Under(store.KindAlloc), clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	wantNoPing(t, eve, ipOf(a), ipOf(b))
	wantRestored(t, operator, taken)
	unchanged(t, st, "after the theft", interfaces, flows)
	if sent, answered := wait(); sent != pings || answered != sent {
		t.Errorf("of %d pings %d were answered", sent, answered)
	}
	wantNoDiff(t)
}

// wantRefused tries each key that is neither h2's own nor confined by no host.
func wantRefused(t *testing.T, thief *clientv3.Client, all map[string]string) {
	t.Helper()
	tried := 0
	for path := range all {
		key, err := store.ParseKey(path)
		if err == nil && (key.Host == "h2" || key.Kind == store.KindAlloc) {
			continue
		}
		tried++
		_, put := thief.Put(t.Context(), path, "{}")
		_, deleted := thief.Delete(t.Context(), path)
		if !errors.Is(put, rpctypes.ErrPermissionDenied) || !errors.Is(deleted, rpctypes.ErrPermissionDenied) {
			t.Errorf("%s: put %v, delete %v", path, put, deleted)
		}
	}
	if tried < 10 {
		t.Errorf("only %d keys of others were tried", tried)
	}
}

// wantRestored waits until all is taken again that was, by whom it was. Numbers that wait to be free have no object.
func wantRestored(t *testing.T, operator *clientv3.Client, taken map[string]string) {
	t.Helper()
	var lacks error
	for until := time.Now().Add(restoreTime); time.Now().Before(until); time.Sleep(time.Second) {
		lacks = nil
		now := below(t, operator, store.Under(store.KindAlloc))
		for key, value := range taken {
			if !strings.Contains(value, `"freed":true`) && now[key] != value {
				lacks = fmt.Errorf("%s is %q, and was %q", key, now[key], value)
			}
		}
		if lacks == nil {
			return
		}
	}
	t.Errorf("the leader did not restore what is taken: %v", lacks)
}
