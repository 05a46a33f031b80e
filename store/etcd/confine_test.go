package etcd

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/pki"
	"sluice/store"
	"sluice/store/etcd/freeport"
)

// secured is an embedded server that asks for certificates, and the authority that signs them.
type secured struct {
	*Embedded
	t         testing.TB
	dir       string // of the server's data
	authority *pki.Authority
	ca        string // the authority's directory
	options   EmbedOptions
}

func serveSecured(t testing.TB) *secured {
	t.Helper()
	s := &secured{t: t, dir: t.TempDir(), ca: t.TempDir()}
	var err error
	if s.authority, err = pki.CreateAuthority(s.ca); err != nil {
		t.Fatal(err)
	}
	s.options = EmbedOptions{
		Dir: s.dir, ClientURL: secureURL(t), PeerURL: secureURL(t), PKI: s.source(pki.Controller("c1")), Log: testLog(t),
	}
	s.start()
	return s
}

func secureURL(t testing.TB) string { return strings.Replace(freeport.URL(t), "http:", "https:", 1) }

func (s *secured) start() {
	s.t.Helper()
	var err error
	if s.Embedded, err = StartEmbedded(testContext(s.t), s.options); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.Close)
}

// source is a new certificate of an identity, in a directory of its own.
func (s *secured) source(who pki.Identity) *pki.Source {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := s.authority.Issue(dir, who, nil, time.Hour); err != nil {
		s.t.Fatal(err)
	}
	source, err := pki.Open(dir, who, testLog(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	return source
}

// as is a client with a new certificate of an identity.
func (s *secured) as(who pki.Identity) *Client {
	s.t.Helper()
	return s.with(s.source(who))
}

func (s *secured) with(source *pki.Source) *Client {
	s.t.Helper()
	c, err := Connect(testContext(s.t), Options{Endpoints: s.Endpoints(), PKI: source, Log: testLog(s.t)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// enrol lets a host in, as a controller does.
func enrol(t testing.TB, c *Client, hosts ...string) {
	t.Helper()
	for _, host := range hosts {
		if _, err := c.PutIf(testContext(t), store.EnrolmentKey(host), &store.Enrolment{Since: time.Now()}, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.KeepUsers(testContext(t), hosts); err != nil {
		t.Fatal(err)
	}
}

// A host's certificate does all that its agent needs.
func TestHostDoesItsWork(t *testing.T) {
	s := serveSecured(t)
	controller := s.as(pki.Controller("c1"))
	enrol(t, controller, "h1")
	ctx, h1 := testContext(t), s.as(pki.Host("h1"))

	created := register(t, h1, "h1")
	f := follow(t, controller.Watch)
	f.next()
	createTenant(t, controller, store.TenantSpec{Name: "alice"})
	spec := portSpec("h1", "alice", "a1")
	spec.HostCreated = created
	port := createPort(t, h1, spec)
	f.until(port.Created)
	f.agrees(controller)
	if _, err := h1.PutIf(ctx, store.MasterKey("h1"), &store.Master{}, 0, 0); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("h1 made itself a master: %v", err)
	}
	putAll(t, controller,
		store.Event{Key: store.MasterKey("h1"), Object: &store.Master{Controller: "c1"}},
		store.Event{Key: store.StatusControllerKey("c1"), Object: &store.StatusController{Floor: port.Created}})
	if err := h1.WaitHost(ctx, "h1", port.Created, port.Key); err != nil {
		t.Error(err)
	}
	hosts, all, err := h1.TenantHosts(ctx, "alice", 10)
	if err != nil || !all || len(hosts) != 1 {
		t.Errorf("hosts of alice: %v, %v, %v", hosts, all, err)
	}
	if behind, err := h1.WaitAll(ctx, hosts, port.Created, port.Key); err != nil || len(behind) > 0 {
		t.Errorf("%v are behind: %v", behind, err)
	}
	for _, kind := range []store.Kind{store.KindHost, store.KindLiveHost} {
		if list, _, err := h1.List(ctx, kind); err != nil || len(list) != 1 {
			t.Errorf("%s: %v, %v", kind, list, err)
		}
	}
	if _, err := h1.DeletePort(ctx, port.Key, created); err != nil {
		t.Error(err)
	}
}

func putAll(t *testing.T, c *Client, events ...store.Event) {
	t.Helper()
	if err := c.PutStatus(testContext(t), events); err != nil {
		t.Fatal(err)
	}
}

// attempt is something that a thief of a host's certificate tries.
type attempt struct {
	what string
	try  func(ctx context.Context, c *clientv3.Client) error
}

func write(path string) attempt {
	return attempt{"put " + path, func(ctx context.Context, c *clientv3.Client) error {
		return second(c.Put(ctx, store.Prefix+path, "{}"))
	}}
}

func remove(path string) attempt {
	return attempt{"delete " + path, func(ctx context.Context, c *clientv3.Client) error {
		return second(c.Delete(ctx, store.Prefix+path, prefixed(store.Prefix+path)...))
	}}
}

func read(path string) attempt {
	return attempt{"read " + path, func(ctx context.Context, c *clientv3.Client) error {
		return second(c.Get(ctx, store.Prefix+path, prefixed(store.Prefix+path)...))
	}}
}

func call[T any](what string, f func(context.Context, *clientv3.Client) (T, error)) attempt {
	return attempt{what, func(ctx context.Context, c *clientv3.Client) error { return second(f(ctx, c)) }}
}

// ofKeys are attempts at what is others'.
func ofKeys() (list []attempt) {
	for _, path := range []string{
		"hosts/h2", "hosts/h10", "hosts/h1/x", "ports/h2/alice/default/a1", "ports/h10/alice/default/a1", "tenants/alice", "networks/alice/default",
		"masters/h1", "masters/h2", "gateways/alice", "status/hosts/h1", "status/hosts/h2", "status/controllers/c1", "status/counters/h1", "usage/h2",
		"live/hosts/h2", "live/controllers/c1", "enrolled/h1", "enrolled/h2", "invitations/x", "tokens/x", "identity/store", "settings/x", "elections/leader/1", "zzz",
		"alloc/tenant-numbers/1", "alloc/network-numbers/1", "alloc/vlans/1", "alloc/x",
	} {
		list = append(list, write(path), remove(path))
	}
	for _, path := range []string{"", "hosts/", "ports/", "live/", "status/", "elections/", "alloc/", "alloc/tenant-numbers/", "alloc/network-numbers/", "alloc/vlans/"} {
		list = append(list, remove(path))
	}
	for _, path := range []string{"", "enrolled/", "invitations/", "status/counters/", "usage/", "usage/h2", "tokens/", "elections/"} {
		list = append(list, read(path))
	}
	return append(list,
		call("watch all", func(ctx context.Context, c *clientv3.Client) (any, error) {
			r, open := <-c.Watch(ctx, store.Prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
			if !open {
				return nil, errors.New("it was closed")
			}
			return nil, r.Err()
		}),
		call("compare what may not be read", func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
			return c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(store.EnrolmentKey("h2").String()), "=", 0)).Commit()
		}),
		call("a transaction of which one part is refused", func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
			return c.Txn(ctx).Then(clientv3.OpPut(store.AllocKey("macs", "x").String(), "1"), clientv3.OpPut(store.MasterKey("h2").String(), "1")).Commit()
		}),
		call("a transaction in a transaction", func(ctx context.Context, c *clientv3.Client) (*clientv3.TxnResponse, error) {
			return c.Txn(ctx).Then(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpDelete(store.HostKey("h2").String())}, nil)).Commit()
		}),
		call("read beyond etcd's prefix", func(ctx context.Context, c *clientv3.Client) (*clientv3.GetResponse, error) {
			return c.Get(ctx, "\x00", clientv3.WithFromKey())
		}),
	)
}

// ofService are attempts at etcd itself.
func ofService() []attempt {
	return []attempt{
		call("add a user", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.UserAdd(ctx, "x", "y") }),
		call("become root", func(ctx context.Context, c *clientv3.Client) (any, error) {
			return c.UserGrantRole(ctx, "host:h1", "root")
		}),
		call("take a controller's role away", func(ctx context.Context, c *clientv3.Client) (any, error) {
			return c.UserRevokeRole(ctx, "controller:c1", "root")
		}),
		call("widen a role", func(ctx context.Context, c *clientv3.Client) (any, error) {
			return c.RoleGrantPermission(ctx, roleHosts, store.Prefix, "", clientv3.PermissionType(clientv3.PermReadWrite))
		}),
		call("delete a user", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.UserDelete(ctx, "controller:c1") }),
		call("list users", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.UserList(ctx) }),
		call("log in as root", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Authenticate(ctx, "root", "") }),
		call("disable users", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.AuthDisable(ctx) }),
		call("compact", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Compact(ctx, 2) }),
		call("defragment", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Defragment(ctx, c.Endpoints()[0]) }),
		call("snapshot", func(ctx context.Context, c *clientv3.Client) (any, error) {
			r, err := c.Snapshot(ctx)
			if err != nil {
				return nil, err
			}
			defer r.Close()
			return io.Copy(io.Discard, r)
		}),
		call("raise an alarm that stops all writes", func(ctx context.Context, c *clientv3.Client) (any, error) {
			return pb.NewMaintenanceClient(c.ActiveConnection()).Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE})
		}),
		call("disarm alarms", func(ctx context.Context, c *clientv3.Client) (any, error) {
			return c.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		}),
		call("add a member", func(ctx context.Context, c *clientv3.Client) (any, error) {
			return c.MemberAdd(ctx, []string{"http://127.0.0.1:1"})
		}),
		call("remove the member", func(ctx context.Context, c *clientv3.Client) (any, error) {
			list, err := c.MemberList(ctx)
			if err != nil {
				return nil, err
			}
			return c.MemberRemove(ctx, list.Members[0].ID)
		}),
		call("list members", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.MemberList(ctx) }),
		call("move the leader", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.MoveLeader(ctx, 1) }),
		call("ask for its state", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Status(ctx, c.Endpoints()[0]) }),
		call("list leases", func(ctx context.Context, c *clientv3.Client) (any, error) { return c.Leases(ctx) }),
	}
}

// With a host's certificate nothing is reached that is another's.
func TestStolenHost(t *testing.T) {
	s := serveSecured(t)
	controller := s.as(pki.Controller("c1"))
	enrol(t, controller, "h1", "h2", "h10")
	h1, h2 := s.as(pki.Host("h1")), s.as(pki.Host("h2"))
	register(t, h1, "h1")
	register(t, h2, "h2")
	createTenant(t, controller, store.TenantSpec{Name: "alice"})
	createPort(t, h2, portSpec("h2", "alice", "a1"))
	before := dumped(t, controller)
	for _, a := range append(ofKeys(), ofService()...) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := a.try(ctx, h1.etcd); !refusedBy(err) {
			t.Errorf("%s: %v", a.what, err)
		}
		cancel()
	}
	if diff := cmp.Diff(before, dumped(t, controller)); diff != "" {
		t.Errorf("etcd changed (-before +after):\n%s", diff)
	}
	createTenant(t, controller, store.TenantSpec{Name: "bob"}) // it goes on
}

// refusedBy reports whether etcd, or its door, said no.
func refusedBy(err error) bool {
	err = rpctypes.Error(err)
	return errors.Is(err, rpctypes.ErrPermissionDenied) || codeOf(err) == codes.PermissionDenied || status.Code(err) == codes.PermissionDenied ||
		err != nil && strings.Contains(err.Error(), "code = PermissionDenied") // of watches the client keeps the text alone
}
