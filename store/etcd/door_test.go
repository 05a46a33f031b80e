package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/pki"
	"sluice/store"
)

// A lease is its owner's: others can neither end it, nor keep it alive, nor hang their keys on it.
func TestLeasesOfOthers(t *testing.T) {
	s := serveSecured(t)
	controller := s.as(pki.Controller("c1"))
	enrol(t, controller, "h1", "h2")
	h1, h2, ctx := s.as(pki.Host("h1")), s.as(pki.Host("h2")), testContext(t)
	registered, err := h2.RegisterHost(ctx, "h2", hostObject("h2"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registered.Close() })
	ofController, err := controller.GrantLease(ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := controller.PutIf(ctx, store.MasterKey("h2"), &store.Master{Controller: "c1"}, 0, ofController.ID); err != nil {
		t.Fatal(err)
	}
	for whose, id := range map[string]clientv3.LeaseID{"h2's": registered.Lease.ID, "a controller's": ofController.ID} {
		alloc := store.AllocKey("macs", "x").String()
		for what, err := range map[string]error{
			"ended":       second(h1.etcd.Revoke(ctx, id)),
			"kept alive":  second(h1.etcd.KeepAliveOnce(ctx, id)),
			"used":        second(h1.etcd.Put(ctx, alloc, "{}", clientv3.WithLease(id))),
			"used in one": second(h1.etcd.Txn(ctx).Then(clientv3.OpPut(alloc, "{}", clientv3.WithLease(id))).Commit()),
			"looked into": second(h1.etcd.TimeToLive(ctx, id, clientv3.WithAttachedKeys())),
		} {
			if !refusedBy(err) {
				t.Errorf("%s lease was %s by h1: %v", whose, what, err)
			}
		}
	}
	own, err := h1.GrantLease(ctx, 60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h1.etcd.KeepAliveOnce(ctx, own.ID); err != nil {
		t.Errorf("h1 cannot keep its own lease alive: %v", err)
	}
	if err := own.Close(); err != nil {
		t.Error(err)
	}
}

// Who is no host and no controller gets nothing; any controller of the authority's is let in.
func TestWhoIsLetIn(t *testing.T) {
	s := serveSecured(t)
	other := s.as(pki.Controller("c2"))
	createTenant(t, other, store.TenantSpec{Name: "alice"})
	stranger := *s
	var err error
	if stranger.authority, err = pki.CreateAuthority(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]*pki.Source{
		"a person": s.source(pki.Person("alice")), "a host that is not enrolled": s.source(pki.Host("h1")),
		"a member of etcd": s.source(pki.Identity{Role: pki.RoleEtcd, Name: "e1"}), "somebody of another authority": stranger.source(pki.Controller("c1")),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if c, err := Connect(ctx, Options{Endpoints: s.Endpoints(), PKI: source}); err == nil {
			c.Close()
			t.Errorf("%s is let in", name)
		} else if known := source.Identity().Role == pki.RoleController; !known && errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s is not told that it is refused: %v", name, err)
		}
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if c, err := Connect(ctx, Options{Endpoints: s.Endpoints(), CAFile: s.ca + "/" + pki.AuthorityFile}); err == nil {
		c.Close()
		t.Error("somebody without a certificate is let in")
	}
}

// In an etcd that was wiped a host is not told to join it: its own may come back.
func TestEmptyStoreAsksNobodyToJoin(t *testing.T) {
	s := serveSecured(t)
	controller, ctx := s.as(pki.Controller("c1")), testContext(t)
	enrol(t, controller, "h2") // users are asked for only once there is one
	told := func() string {
		_, err := Connect(ctx, Options{Endpoints: s.Endpoints(), PKI: s.source(pki.Host("h1"))})
		return fmt.Sprint(err)
	}
	if text := told(); !strings.Contains(text, "holds no store") || strings.Contains(text, "invite") {
		t.Errorf("in an empty store: %s", text)
	}
	agent, err := Open(ctx, Options{Endpoints: s.Endpoints(), PKI: s.source(pki.Host("h1"))})
	if err != nil {
		t.Fatalf("an agent that starts beside it ends: %v", err)
	}
	t.Cleanup(func() { agent.Close() })
	if _, _, err := agent.Get(ctx, store.HostKey("h1")); err == nil || !strings.Contains(err.Error(), "holds no store") {
		t.Errorf("what it reads: %v", err)
	}
	if err := controller.found(ctx, store.Sight{}); err != nil {
		t.Fatal(err)
	}
	if c, err := Open(ctx, Options{Endpoints: s.Endpoints(), PKI: s.source(pki.Host("h1"))}); err == nil {
		c.Close()
		t.Error("in a store that does not know it an agent starts")
	}
	if text := told(); !strings.Contains(text, "sluice host invite h1") || strings.Contains(text, "holds no store") {
		t.Errorf("in a store: %s", text)
	}
}

// A host that is deleted is out at once, whatever it has open: its watch, its lease, its requests.
// One that joins anew is in again, and its old certificate is not.
func TestDeletedHostIsOut(t *testing.T) {
	s := serveSecured(t)
	controller, ctx := s.as(pki.Controller("c1")), testContext(t)
	if err := controller.found(ctx, store.Sight{}); err != nil {
		t.Fatal(err)
	}
	enrol(t, controller, "h1")
	stolen := s.source(pki.Host("h1"))
	h1 := s.with(stolen)
	registered, err := h1.RegisterHost(ctx, "h1", hostObject("h1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registered.Close() })
	watch := h1.etcd.Watch(ctx, store.Under(store.KindTenant), clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-watch
	if _, err := controller.DeleteHost(ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	// The user is in etcd still: a controller may be slow to remove it.
	createTenant(t, controller, store.TenantSpec{Name: "alice"})
	if r, open := <-watch; open && r.Err() == nil {
		t.Errorf("its watch told it %v", r.Events)
	}
	select {
	case <-registered.Lease.Lost():
	case <-ctx.Done():
		t.Error("the renewals that it had begun go on")
	}
	if err := second(h1.etcd.KeepAliveOnce(ctx, registered.Lease.ID)); !refusedBy(err) {
		t.Errorf("it kept its lease alive: %v", err)
	}
	if err := second(h1.etcd.Get(ctx, store.TenantKey("alice").String())); !refusedBy(err) || !strings.Contains(err.Error(), "sluice host invite h1") {
		t.Errorf("it read: %v", err)
	}
	if err := controller.KeepUsers(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if users, err := controller.etcd.UserList(ctx); err != nil || strings.Contains(fmt.Sprint(users.Users), "host:") {
		t.Errorf("users %v, %v", users, err)
	}

	fresh := s.source(pki.Host("h1"))
	later := stolen.Certificate().NotBefore.Add(time.Second)
	if fresh.Certificate().NotBefore.Before(later) { // certificates tell whole seconds
		time.Sleep(1100 * time.Millisecond)
		fresh = s.source(pki.Host("h1"))
	}
	if _, err := controller.PutIf(ctx, store.EnrolmentKey("h1"), &store.Enrolment{NotBefore: fresh.Certificate().NotBefore}, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := controller.AddUser(ctx, "h1"); err != nil {
		t.Fatal(err)
	}
	register(t, s.with(fresh), "h1")
	if err := second(h1.etcd.Get(ctx, store.TenantKey("alice").String())); !refusedBy(err) {
		t.Errorf("the old certificate is believed: %v", err)
	}
}

// An etcd that served everybody asks for certificates after a restart with one, keeps what it
// holds, and serves everybody again where that is asked for by name.
func TestSecuredInPlace(t *testing.T) {
	s := serveSecured(t)
	s.Close()
	s.options.Dir = t.TempDir()
	open := s.options
	open.PKI, open.ClientURL, open.PeerURL = nil, strings.Replace(open.ClientURL, "https", "http", 1), strings.Replace(open.PeerURL, "https", "http", 1)
	start := func(o EmbedOptions) (*Embedded, error) {
		e, err := StartEmbedded(testContext(t), o)
		if err == nil {
			t.Cleanup(e.Close)
		}
		return e, err
	}
	e, err := start(open)
	if err != nil {
		t.Fatal(err)
	}
	createTenant(t, connect(t, e.Endpoints()...), store.TenantSpec{Name: "alice"})
	e.Close()

	s.start()
	c := s.as(pki.Controller("c1"))
	get[store.Tenant](t, c, store.TenantKey("alice"))
	enrol(t, c, "h1")
	get[store.Tenant](t, s.as(pki.Host("h1")), store.TenantKey("alice"))
	s.Close()

	s.start() // it knows its users
	get[store.Tenant](t, s.as(pki.Host("h1")), store.TenantKey("alice"))
	s.Close()

	if e, err := start(open); err == nil || !strings.Contains(err.Error(), "--insecure") {
		t.Fatalf("it serves everybody without being told: %v, %v", e, err)
	}
	open.Open = true
	if e, err = start(open); err != nil {
		t.Fatal(err)
	}
	get[store.Tenant](t, connect(t, e.Endpoints()...), store.TenantKey("alice"))
}

func TestSecuredRefusesPlainURLs(t *testing.T) {
	s := serveSecured(t)
	o := s.options
	o.Dir, o.ClientURL = t.TempDir(), "http://127.0.0.1:1"
	if e, err := StartEmbedded(testContext(t), o); err == nil || !strings.Contains(err.Error(), "https://") {
		t.Errorf("%v, %v", e, err)
	}
}

// Requests go on while users come and go: etcd refuses those that it had begun, and the client
// tries again. The log does not tell of it.
func TestUsersComeAndGoUnnoticed(t *testing.T) {
	s := serveSecured(t)
	s.Close()
	told := &told{}
	s.options.Log = slog.New(slog.NewTextHandler(told, nil))
	s.start()
	controller, ctx := s.as(pki.Controller("c1")), testContext(t)
	enrol(t, controller, "h1")
	h1 := s.as(pki.Host("h1"))
	done, coming := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(done)
		for i := range 20 {
			if err := errors.Join(controller.AddUser(ctx, numbered(i)), controller.KeepUsers(ctx, []string{"h1"})); err != nil {
				coming <- err
				return
			}
		}
		coming <- nil
	}()
	requests := 0
	for running := true; running; requests++ {
		for what, err := range map[string]error{
			"read":  second(h1.etcd.Get(ctx, store.Under(store.KindTenant), clientv3.WithPrefix())),
			"write": second(h1.etcd.Put(ctx, store.AllocKey("macs", "x").String(), "{}")),
			"txn":   second(h1.commitOps(ctx, []clientv3.Op{clientv3.OpPut(store.AllocKey("macs", "y").String(), "{}")})),
		} {
			if err != nil {
				t.Fatalf("%s %d: %v", what, requests, err)
			}
		}
		select {
		case <-done:
			running = false
		default:
		}
	}
	if err := <-coming; err != nil {
		t.Error(err)
	}
	for range 2 { // as when two controllers let a host in at one time
		_ = second(controller.etcd.UserAddWithOptions(ctx, "host:twice", "", &clientv3.UserAddOptions{NoPassword: true}))
		_ = second(controller.etcd.RoleAdd(ctx, "host:twice"))
	}
	s.Close()
	for line := range strings.Lines(told.String()) {
		slow := strings.Contains(line, "took too long") // the machine is busy
		if !slow && (strings.Contains(line, "WARN") || strings.Contains(line, "ERROR")) {
			t.Errorf("the log tells: %s", line)
		}
	}
}

// told is a log that is read when nobody writes any more.
type told struct {
	mu sync.Mutex
	strings.Builder
}

func (l *told) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(b)
}

// AuditUsers writes what differs: nothing where all is right, and what a role had too much or too little.
// KeepUsers does so for users that are missing.
func TestUsersAreKept(t *testing.T) {
	s := serveSecured(t)
	c, ctx := s.as(pki.Controller("c1")), testContext(t)
	enrol(t, c, "h1", "h2")
	revision := func() uint64 {
		st, err := c.etcd.AuthStatus(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return st.AuthRevision
	}
	roles := func() string {
		var b strings.Builder
		for _, name := range []string{roleHosts, "host:h1", "host:h2"} {
			r, err := c.etcd.RoleGet(ctx, name)
			fmt.Fprintln(&b, name, r.Perm, err)
		}
		return b.String()
	}
	before, were := revision(), roles()
	if err := errors.Join(c.AuditUsers(ctx, []string{"h1", "h2"}), c.KeepUsers(ctx, []string{"h1", "h2"})); err != nil {
		t.Fatal(err)
	}
	if after := revision(); after != before {
		t.Errorf("it wrote %d times where all was right", after-before)
	}
	for _, err := range []error{
		second(c.etcd.RoleGrantPermission(ctx, roleHosts, "x", "", clientv3.PermissionType(clientv3.PermReadWrite))),
		second(c.etcd.RoleGrantPermission(ctx, "host:h1", store.HostKey("h1").String(), "", clientv3.PermissionType(clientv3.PermRead))),
		second(c.etcd.RoleRevokePermission(ctx, "host:h2", store.HostKey("h2").String(), "")),
		second(c.etcd.UserGrantRole(ctx, "host:h1", "root")),
		c.AuditUsers(ctx, []string{"h1", "h2"}),
		second(c.etcd.UserDelete(ctx, "host:h2")),
		c.KeepUsers(ctx, []string{"h1", "h2"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := roles(); got != were {
		t.Errorf("roles are\n%s\nand were\n%s", got, were)
	}
	for _, host := range []string{"h1", "h2"} {
		u, err := c.etcd.UserGet(ctx, pki.Host(host).String())
		if err != nil || fmt.Sprint(u.Roles) != "[host:"+host+" "+roleHosts+"]" {
			t.Errorf("%s has the roles %v, %v", host, u, err)
		}
	}
	open := start(t)
	if err := errors.Join(open.KeepUsers(ctx, []string{"h1"}), open.AddUser(ctx, "h1"), open.AuditUsers(ctx, nil)); err != nil {
		t.Errorf("an etcd that asks nobody: %v", err)
	}
}
