package etcd

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"sluice/pki"
	"sluice/store"
	"sluice/store/etcd/freeport"
)

// serveOwn runs the distribution's etcd as an operator does who has certificates of Sluice's authority.
func serveOwn(t *testing.T, s *secured) (endpoint string) {
	t.Helper()
	binary, err := exec.LookPath("etcd")
	if err != nil {
		if os.Getenv("SLUICE_REQUIRE_OVS") == "1" {
			t.Fatal("no etcd binary: install etcd-server")
		}
		t.Skip("no etcd binary: install etcd-server")
	}
	self := s.source(pki.Identity{Role: pki.RoleEtcd, Name: "e1"})
	endpoint = secureURL(t)
	peer := freeport.URL(t)
	cmd := exec.Command(binary, "--name=e1", "--data-dir="+t.TempDir(), "--log-level=error",
		"--listen-client-urls="+endpoint, "--advertise-client-urls="+endpoint,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=e1="+peer,
		"--trusted-ca-file="+self.AuthorityFile(), "--cert-file="+self.File(), "--key-file="+self.File(), "--client-cert-auth")
	cmd.Stderr = nil // it tells of its start in spite of --log-level
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return endpoint
}

func TestVersionsOfEtcdThatAreSure(t *testing.T) {
	for version, want := range map[string]bool{
		"3.6.16": true, "3.6.17": true, "3.7.0": true, "3.10.0": true, "4.0.0": true,
		"3.6.15": false, "3.5.99": false, "3.4.23": false, "2.9.20": false, "": false, "3.7": false, "new": false,
	} {
		if sure(version) != want {
			t.Errorf("%q is sure: %v", version, !want)
		}
	}
}

// An etcd of the operator's own is confined by one call; controllers keep the users of hosts then, and
// a host does its work and nothing else. (What else etcd lets every user do depends on its version: see
// docs/operations.md.)
func TestOwnEtcdIsConfined(t *testing.T) {
	s := &secured{t: t}
	var err error
	if s.authority, err = pki.CreateAuthority(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	endpoint := serveOwn(t, s)
	as := func(who pki.Identity) (*Client, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c, err := Connect(ctx, Options{Endpoints: []string{endpoint}, PKI: s.source(who), Log: testLog(t)})
		if err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return c, err
	}
	controller, err := as(pki.Controller("c1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := controller.Confine(testContext(t), []string{"c1", "c/2"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a name that is none: %v", err)
	}
	for range 2 { // again changes nothing
		if err := controller.Confine(testContext(t), []string{"c1", "c2"}); err != nil {
			t.Fatal(err)
		}
	}
	if members, err := controller.Doubtful(testContext(t)); err != nil || len(members) > 1 || len(members) == 1 && !strings.Contains(members[0], endpoint+" (etcd 3.") {
		t.Errorf("members of a doubtful version: %v, %v", members, err)
	}
	enrol(t, controller, "h1", "h2")
	if c2, err := as(pki.Controller("c2")); err != nil {
		t.Error(err)
	} else {
		createTenant(t, c2, store.TenantSpec{Name: "alice"})
	}
	for _, who := range []pki.Identity{pki.Controller("c3"), pki.Person("alice"), pki.Host("h3")} {
		if _, err := as(who); err == nil {
			t.Errorf("%s is let in", who)
		}
	}
	h1, err := as(pki.Host("h1"))
	if err != nil {
		t.Fatal(err)
	}
	register(t, h1, "h1")
	createPort(t, h1, portSpec("h1", "alice", "a1"))
	for _, path := range []string{"hosts/h2", "ports/h2/alice/default/a1", "tenants/alice", "masters/h1", "enrolled/h1"} {
		for _, a := range []attempt{write(path), remove(path)} {
			if err := a.try(testContext(t), h1.etcd); !refusedBy(err) {
				t.Errorf("%s: %v", a.what, err)
			}
		}
	}
	if err := controller.KeepUsers(testContext(t), []string{"h2"}); err != nil {
		t.Fatal(err)
	}
	get[store.Enrolment](t, controller, store.EnrolmentKey("h1")) // it is enrolled: its user stays
	if err := second(h1.etcd.Get(testContext(t), store.TenantKey("alice").String())); err != nil {
		t.Errorf("an enrolled host was removed: %v", err)
	}
	if _, err := controller.DeleteHost(testContext(t), "h1"); err != nil {
		t.Fatal(err)
	}
	if err := controller.KeepUsers(testContext(t), []string{"h2"}); err != nil {
		t.Fatal(err)
	}
	if err := second(h1.etcd.Get(testContext(t), store.TenantKey("alice").String())); !refusedBy(err) {
		t.Errorf("a deleted host reads: %v", err)
	}
}
