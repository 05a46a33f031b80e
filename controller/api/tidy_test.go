package api_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sluice/controller/client"
	"sluice/store"
)

// byHand is a client of the etcd that knows nothing of what is in it, as an operator's etcdctl.
func (p prepared) byHand(t *testing.T) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: p.etcd.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// lose deletes a key by hand, and waits until the controller saw it.
func (p prepared) lose(t *testing.T, key store.Key) {
	t.Helper()
	resp, err := p.byHand(t).Delete(t.Context(), key.String())
	if err != nil || resp.Deleted != 1 {
		t.Fatalf("delete %s: %v", key.Short(), err)
	}
	if err := p.controller.Await(t.Context(), store.Revision(resp.Header.Revision)); err != nil {
		t.Fatal(err)
	}
}

// attach makes n ports on a host, and waits until the controller saw them.
func (p prepared) attach(t *testing.T, host string, n int) (ports []store.Item[store.Port]) {
	t.Helper()
	for i := range n {
		made, err := p.store.CreatePort(t.Context(), store.PortSpec{
			Host: host, Tenant: "alice", Network: "default", Name: fmt.Sprint(host, "-", i), UID: strings.ToLower(rand.Text()[:store.UIDLength]),
		})
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, made)
	}
	if err := p.controller.Await(t.Context(), ports[n-1].Created); err != nil {
		t.Fatal(err)
	}
	return ports
}

// refuses wants an error that says so.
func refuses(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("it says %v, not %q", err, says)
	}
}

// What objects that are not there have taken is freed by a word that names just that: a word about
// what was seen before something else was lost, or a second time, frees nothing.
func TestTidyValues(t *testing.T) {
	c, ctx := startAll(t), t.Context()
	c.register(t, "h1")
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/24"}}); err != nil {
		t.Fatal(err)
	}
	ports := c.attach(t, "h1", 26)
	none, err := c.Strays(ctx)
	if err != nil || none.ID != "" || len(none.Values) != 0 || none.Taken < 26*4 {
		t.Fatalf("where nothing is left over: %+v, %v", none, err)
	}
	_, err = c.FreeStrays(ctx, "")
	refuses(t, err, "look again with `sluice tidy values`")
	for _, p := range ports[:24] {
		c.lose(t, p.Key)
	}
	before, err := c.Strays(ctx)
	if err != nil || len(before.Values) != 24*4 || before.Values[0].Owner == "" || before.Taken != none.Taken {
		t.Fatalf("%d values, %v", len(before.Values), err)
	}
	c.lose(t, ports[24].Key)
	_, err = c.FreeStrays(ctx, before.ID)
	refuses(t, err, "what is left over is not what")
	now, err := c.Strays(ctx)
	if err != nil || len(now.Values) != 25*4 || now.ID == before.ID {
		t.Fatalf("nothing was to be freed: %d values, %v", len(now.Values), err)
	}
	freed, err := c.FreeStrays(ctx, now.ID)
	if err != nil || len(freed.Values) != 25*4 {
		t.Fatalf("%d were freed, %v", len(freed.Values), err)
	}
	_, err = c.FreeStrays(ctx, now.ID)
	refuses(t, err, "what is left over is not what")
	if after, err := c.Strays(ctx); err != nil || len(after.Values) != 0 || after.Taken != none.Taken-25*3 { // numbers are tombstones
		t.Errorf("afterwards: %+v, %v", after, err)
	}
	kept := ports[25].Value.Addresses[0].Addr()
	if o, _, err := c.store.Get(ctx, store.AllocKey("addresses/alice/default", kept.String())); o == nil || err != nil {
		t.Errorf("the address of a port that is there: %v, %v", o, err)
	}
	for _, line := range []string{`"object":"100 values of no object, ` + now.ID + `","outcome":"done"`, `"object":"values of no object, ` + before.ID + `","outcome":"refused"`} {
		if !strings.Contains(c.audit.String(), line) {
			t.Errorf("the audit log does not say %s:\n%s", line, c.audit)
		}
	}
}

// The ports of hosts whose keys were lost go by a word that names just these: not those of a host that
// came back meanwhile.
func TestTidyHosts(t *testing.T) {
	c, ctx := startAll(t), t.Context()
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/24"}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"h1", "h2", "h3"} {
		c.register(t, name)
		c.attach(t, name, 12)
	}
	if none, err := c.AbsentHosts(ctx); err != nil || none.ID != "" || len(none.Hosts) != 0 {
		t.Fatalf("where none is absent: %+v, %v", none, err)
	}
	for _, name := range []string{"h1", "h2", "h3"} {
		c.lose(t, store.HostKey(name))
	}
	before, err := c.AbsentHosts(ctx)
	if err != nil || len(before.Hosts) != 3 || before.Hosts[0].Ports != 12 {
		t.Fatalf("absent: %+v, %v", before, err)
	}
	c.register(t, "h3")
	_, err = c.ClearAbsentHosts(ctx, before.ID)
	refuses(t, err, "look again with `sluice tidy hosts`")
	now, err := c.AbsentHosts(ctx)
	if err != nil || len(now.Hosts) != 2 {
		t.Fatalf("absent: %+v, %v", now, err)
	}
	if _, err := c.ClearAbsentHosts(ctx, now.ID); err != nil {
		t.Fatal(err)
	}
	left, err := c.Ports(ctx, client.PortFilter{})
	if err != nil || len(left) != 12 || left[0].Host != "h3" {
		t.Errorf("%d ports are left, %v", len(left), err)
	}
	_, err = c.ClearAbsentHosts(ctx, now.ID)
	refuses(t, err, "what is left over is not what")
	if line := `"object":"ports of 2 absent hosts, ` + now.ID + `","outcome":"done"`; !strings.Contains(c.audit.String(), line) {
		t.Errorf("the audit log does not say %s:\n%s", line, c.audit)
	}
}

// A port that cannot be read, of a host without an agent, is told, kept, and removed by a word that names
// just what was seen; what was removed is in the answer, with its value.
func TestTidyPorts(t *testing.T) {
	c, ctx := startAll(t), t.Context()
	if _, err := c.CreateTenant(ctx, client.TenantSpec{Name: "alice", Subnets: []string{"10.0.0.0/24"}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"h1", "h2", "h3"} {
		c.register(t, name)
	}
	spoilt := map[string]store.Item[store.Port]{"h1": c.attach(t, "h1", 1)[0], "h2": c.attach(t, "h2", 1)[0], "h3": c.attach(t, "h3", 2)[0]}
	for _, p := range spoilt {
		c.spoil(t, p.Key, "rubbish")
	}
	c.lose(t, store.LiveHostKey("h2")) // its agent ended
	c.lose(t, store.LiveHostKey("h3")) // so did this one's, and somebody lost its key
	c.lose(t, store.HostKey("h3"))
	c.lose(t, store.HostKey("h2"))
	now, err := c.UnreadablePorts(ctx)
	if err != nil || len(now.Ports) != 2 || now.Ports[0].Host != "h2" || now.Ports[1].Host != "h3" || string(now.Ports[0].Value) != "rubbish" {
		t.Fatalf("unreadable: %+v, %v", now, err)
	}
	st, err := c.Status(ctx)
	if err != nil || !slices.ContainsFunc(st.Problems, func(p store.Problem) bool {
		return p.Object == "hosts/h2" && strings.Contains(p.Text, "of its 1 ports none can be read")
	}) {
		t.Errorf("status does not tell of h2: %v, %v", st.Problems, err)
	}
	for _, p := range st.Problems {
		if p.Object == "hosts/h1" || p.Object == "hosts/h3" && strings.Contains(p.Text, "none can be read") {
			t.Errorf("status tells of %v", p)
		}
	}
	c.spoil(t, spoilt["h3"].Key, "other rubbish")
	_, err = c.RemoveUnreadable(ctx, now.ID)
	refuses(t, err, "look again with `sluice tidy ports`")
	if now, err = c.UnreadablePorts(ctx); err != nil {
		t.Fatal(err)
	}
	removed, err := c.RemoveUnreadable(ctx, now.ID)
	if err != nil || len(removed.Ports) != 2 || string(removed.Ports[1].Value) != "other rubbish" || removed.Ports[1].Key != spoilt["h3"].Key.String() || removed.ID != now.ID {
		t.Fatalf("removed: %+v, %v", removed, err)
	}
	left, err := c.byHand(t).Get(ctx, store.Under(store.KindPort), clientv3.WithPrefix())
	if err != nil || len(left.Kvs) != 2 || string(left.Kvs[0].Value) != "rubbish" { // h1's, whose agent runs, and one of h3's that can be read
		t.Errorf("left: %v, %v", left, err)
	}
	_, err = c.RemoveUnreadable(ctx, now.ID)
	refuses(t, err, "what is left over is not what")
	if !strings.Contains(c.audit.String(), `"object":"2 ports that cannot be read, `+now.ID+`","outcome":"done"`) {
		t.Errorf("the audit log does not say it:\n%s", c.audit)
	}
}

// spoil writes by hand over a key, and waits until the controller saw it.
func (p prepared) spoil(t *testing.T, key store.Key, value string) {
	t.Helper()
	resp, err := p.byHand(t).Put(t.Context(), key.String(), value)
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		for _, told := range p.store.Problems() {
			if told.Object == key.Short() {
				return nil
			}
		}
		return fmt.Errorf("nobody tells of %s, spoilt at %d", key.Short(), resp.Header.Revision)
	})
}
