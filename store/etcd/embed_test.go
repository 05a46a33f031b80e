package etcd

import (
	"errors"
	"strings"
	"testing"

	"sluice/store"
	"sluice/store/etcd/freeport"
)

func TestEmbeddedKeepsWhatItHolds(t *testing.T) {
	dir := t.TempDir()
	first := serveIn(t, dir)
	c := connect(t, first.Endpoints()...)
	createTenant(t, c, store.TenantSpec{Name: "alice"})
	c.Close()
	first.Close()

	again := connect(t, serveIn(t, dir).Endpoints()...)
	if tenant := get[store.Tenant](t, again, store.TenantKey("alice")); tenant.Number == 0 {
		t.Errorf("after a restart: %+v", tenant)
	}
}

func TestEmbeddedRefusals(t *testing.T) {
	dir := t.TempDir()
	running := serveIn(t, dir)
	busy := running.Endpoints()[0]
	for name, tc := range map[string]struct {
		options EmbedOptions
		want    string
	}{
		"port taken": {EmbedOptions{Dir: t.TempDir(), ClientURL: busy, PeerURL: freeport.URL(t)}, "--etcd-endpoints"},
		"dir locked": {EmbedOptions{Dir: dir, ClientURL: freeport.URL(t), PeerURL: freeport.URL(t)}, "in use by another process"},
		"no URL":     {EmbedOptions{Dir: t.TempDir(), ClientURL: "::", PeerURL: freeport.URL(t)}, "client URL"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := StartEmbedded(testContext(t), tc.options)
			if err == nil {
				e.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error does not say %q: %v", tc.want, err)
			}
		})
	}
}

func TestConnectRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		options Options
		want    error
	}{
		"no endpoint":              {Options{}, store.ErrInvalid},
		"certificates without TLS": {Options{Endpoints: []string{"http://127.0.0.1:1"}, CAFile: "ca.pem"}, store.ErrInvalid},
	} {
		if _, err := Connect(testContext(t), tc.options); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConnectNamesWhatDoesNotAnswer(t *testing.T) {
	endpoint := freeport.URL(t)
	ctx, cancel := shortContext(t)
	defer cancel()
	_, err := Connect(ctx, Options{Endpoints: []string{endpoint}, Log: testLog(t)})
	if err == nil || !strings.Contains(err.Error(), endpoint) {
		t.Errorf("error does not name %s: %v", endpoint, err)
	}
}

// A client that is started first waits for its server.
func TestConnectWaits(t *testing.T) {
	client, connected := freeport.URL(t), make(chan error)
	go func() {
		c, err := Connect(testContext(t), Options{Endpoints: []string{client}})
		if err == nil {
			err = second(c.CreateTenant(testContext(t), store.TenantSpec{Name: "alice"}))
			c.Close()
		}
		connected <- err
	}()
	e, err := StartEmbedded(testContext(t), EmbedOptions{Dir: t.TempDir(), ClientURL: client, PeerURL: freeport.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if err := <-connected; err != nil {
		t.Error(err)
	}
}

// Writes to a server that went away fail with what a user can read.
func TestServerAway(t *testing.T) {
	e := serve(t)
	c := connect(t, e.Endpoints()...)
	e.Close()
	ctx, cancel := shortContext(t)
	defer cancel()
	_, err := c.CreateTenant(ctx, store.TenantSpec{Name: "alice"})
	expect(t, err, store.ErrUnavailable, e.Endpoints()[0], "alice")
}
