package api_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"sluice/controller/client"
	"sluice/pki"
)

// A person's certificate stands for a token that says so; a certificate of anybody else, of another
// authority, or of a person whom no token names, stands for nothing.
func TestCertificates(t *testing.T) {
	c, ctx := start(t), t.Context()
	ours, theirs := t.TempDir(), t.TempDir()
	for _, dir := range []string{ours, theirs} {
		authority, err := pki.CreateAuthority(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range []pki.Identity{pki.Controller("c1"), pki.Person("alice"), pki.Person("eve"), pki.Host("alice")} {
			if err := authority.Issue(dir, who, nil, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	source := func(dir string, who pki.Identity) *pki.Source {
		s, err := pki.Open(dir, who, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	at := serve(t, c.handler, source(ours, pki.Controller("c1")).Server(tls.VerifyClientCertIfGiven))
	as := func(config *tls.Config, options ...client.Option) error {
		client, err := client.Dial("https://"+at, append(options, client.WithTLS(config))...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Tenants(ctx)
		return err
	}
	alice := source(ours, pki.Person("alice")).Client()
	checkProblem(t, as(alice), http.StatusUnauthorized, "alice", "sluice token create alice --person")
	secret := c.make(t, client.TokenSpec{Name: "eve", Role: "viewer"})
	c.make(t, client.TokenSpec{Name: "alice", Role: "viewer", Person: true})
	if err := as(alice); err != nil {
		t.Errorf("alice: %v", err)
	}
	eve := source(ours, pki.Person("eve")).Client()
	checkProblem(t, as(eve), http.StatusUnauthorized, "eve") // the token of that name has a secret
	if err := as(eve, client.WithToken(secret)); err != nil {
		t.Errorf("eve with the secret: %v", err)
	}
	checkProblem(t, as(alice, client.WithToken("wrong")), http.StatusUnauthorized, "not known")
	checkProblem(t, as(source(ours, pki.Host("alice")).Client()), http.StatusUnauthorized, "host:alice")
	foreign := source(theirs, pki.Person("alice")).Client()
	foreign.VerifyConnection = nil // it believes any server
	if err := as(foreign); err == nil {
		t.Error("another authority's alice is believed")
	}
	if _, err := c.RevokeToken(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, as(alice), http.StatusUnauthorized, "alice")
}
