package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// With h2's certificate and key, all that is another's is refused. What is not confined by host, under alloc/, is
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
	steady := steadyPing(t, a, ipOf(b))

	wantRefused(t, thief, below(t, operator, store.Prefix))
	for key := range taken {
		if !store.HostMayWrite("h2", key) {
			continue
		}
		if _, err := thief.Put(t.Context(), key, `{"owner":"ports/h2/thief/default/mine"}`); err != nil {
			t.Fatalf("overwrite %s: %v", key, err)
		}
	}
	wantNoPing(t, eve, ipOf(a), ipOf(b))
	for _, g := range store.GrantsToHosts() {
		if _, err := thief.Delete(t.Context(), g.Path, clientv3.WithPrefix()); g.Write && err != nil {
			t.Fatalf("delete %s: %v", g.Path, err)
		}
	}
	wantNoPing(t, eve, ipOf(a), ipOf(b))
	wantRestored(t, operator, taken)
	unchanged(t, st, "after the theft", interfaces, flows)
	steady.wantAll()
	wantNoDiff(t)
}

// The numbers of a tenant that was deleted wait for a switch that is behind, and h2's certificate cannot free them: they
// would be given out while that switch holds flows of the tenant that had them.
func TestStolenHostFreesNoNumber(t *testing.T) {
	st := needLab(t)
	tenant(t, "behind")
	container(t, "h2", "behind", "behind-2")
	container(t, "h3", "behind", "behind-3")
	wantNoDiff(t)
	t.Cleanup(func() { sluice(t, "lab", "resume", "switch/h3") })
	sluice(t, "lab", "pause", "switch/h3")
	sluice(t, "lab", "rm", "behind-2") // h3 has flows of it, and keeps them
	tenant(t, "gone", "--segmentation", "vlan")
	sluice(t, "tenant", "delete", "gone")
	operator := dialEtcd(t, clientv3.Config{Endpoints: []string{st.Etcd}, Logger: zap.NewNop()})
	waiting := freedBy(t, operator, "tenants/gone", "networks/gone/default")
	if len(waiting) != 3 {
		t.Fatalf("%v wait, and not a tenant's number, a network's and a VLAN id", waiting)
	}

	thief := thiefOf(t, st.Hosts[1])
	wantRefused(t, thief, waiting)
	if _, err := thief.Delete(t.Context(), store.Under(store.KindAlloc), clientv3.WithPrefix()); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("delete all that is taken: %v", err)
	}
	if diff := cmp.Diff(waiting, freedBy(t, operator, "tenants/gone", "networks/gone/default")); diff != "" {
		t.Errorf("numbers that wait (-before +after the theft):\n%s", diff)
	}
}

// freedBy are the tombstones that objects left.
func freedBy(t *testing.T, operator *clientv3.Client, owners ...string) map[string]string {
	t.Helper()
	freed := below(t, operator, store.Under(store.KindAlloc))
	maps.DeleteFunc(freed, func(_, value string) bool {
		var a store.Alloc
		return json.Unmarshal([]byte(value), &a) != nil || !a.Freed || !slices.Contains(owners, a.Owner)
	})
	return freed
}

// wantRefused tries each key that h2 may not write.
func wantRefused(t *testing.T, thief *clientv3.Client, all map[string]string) {
	t.Helper()
	tried := 0
	for path := range all {
		if store.HostMayWrite("h2", path) {
			continue
		}
		tried++
		_, put := thief.Put(t.Context(), path, "{}")
		_, deleted := thief.Delete(t.Context(), path)
		if !errors.Is(put, rpctypes.ErrPermissionDenied) || !errors.Is(deleted, rpctypes.ErrPermissionDenied) {
			t.Errorf("%s: put %v, delete %v", path, put, deleted)
		}
	}
	if tried < 3 {
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
