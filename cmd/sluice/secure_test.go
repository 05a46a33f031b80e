package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecureController: with a certificate a controller speaks TLS, and the command line knows it by
// the authority of the machine; a person's certificate says who asks.
func TestSecureController(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	done(t, "pki", "init", "--pki", dir)
	done(t, "pki", "issue", "controller", "c1", "--pki", dir)
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	t.Setenv(pkiEnv, dir)
	url := "https://127.0.0.1:" + port
	launchController(t, url, "--name", "c1", "--pki", dir, "--data-dir", t.TempDir(), "--listen-api", ":"+port, "--local-token-file", token,
		"--embedded-etcd-client-url", "https://"+freeAddress(t), "--embedded-etcd-peer-url", "https://"+freeAddress(t))
	r := sluice(t, "tenant", "create", "alice", "--api", url, "--token", "@"+token)
	if r.status != statusDone {
		t.Fatalf("with the authority's certificate and a token: %s", r.err)
	}
	if r := sluice(t, "tenant", "list", "--api", "http://127.0.0.1:"+port, "--token", "@"+token); r.status == statusDone {
		t.Error("it answers in the clear")
	}
	if r := sluice(t, "tenant", "list", "--api", url); r.status == statusDone {
		t.Error("it answers to nobody")
	}

	done(t, "token", "create", "bob", "--role", "viewer", "--person", "--api", url, "--token", "@"+token)
	done(t, "pki", "issue", "person", "bob", "--pki", dir)
	if out := done(t, "tenant", "list", "--api", url); !strings.Contains(out, "alice") {
		t.Errorf("bob sees %s", out)
	}
	if r := sluice(t, "tenant", "delete", "alice", "--api", url); r.status != statusFailed || !strings.Contains(r.err, "person bob has role viewer") {
		t.Errorf("bob, who may look, deletes: %d %s", r.status, r.err)
	}

	foreign := filepath.Join(t.TempDir(), "pki")
	done(t, "pki", "init", "--pki", foreign)
	t.Setenv(pkiEnv, foreign)
	if r := sluice(t, "tenant", "list", "--api", url, "--token", "@"+token); r.status != statusFailed || !strings.Contains(r.err, "unknown authority") {
		t.Errorf("a client with another authority: %d %s", r.status, r.err)
	}
}
