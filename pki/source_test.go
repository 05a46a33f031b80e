package pki

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func open(t *testing.T, dir string, who Identity) *Source {
	t.Helper()
	s, err := Open(dir, who, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	return s
}

// issued is a new identity's source.
func issued(t *testing.T, a *Authority, who Identity) *Source {
	t.Helper()
	dir := t.TempDir()
	must(t, a.Issue(dir, who, nil, Lifetime))
	return open(t, dir, who)
}

// meet has a client and a server shake hands and speak, and returns both ends, or the first error.
func meet(t *testing.T, server, client *tls.Config) (s, c *tls.Conn, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	accepted := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			s = tls.Server(conn, server)
			_, err = s.Write([]byte{1})
		}
		accepted <- err
	}()
	plain, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	t.Cleanup(func() { plain.Close() })
	c = tls.Client(plain, client)
	_, err = c.Read(make([]byte, 1))
	if err != nil {
		plain.Close()
	}
	err = errors.Join(<-accepted, err)
	if s != nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, c, err
}

// TestWhoBelievesWhom: a thief has every certificate and key, and a client of Go, as the API's and
// etcd's are.
func TestWhoBelievesWhom(t *testing.T) {
	a, other := authorityIn(t, t.TempDir()), authorityIn(t, t.TempDir())
	host, person, controller := issued(t, a, Host("h1")), issued(t, a, Person("alice")), issued(t, a, Controller("c1"))
	foreign, second := issued(t, other, Controller("c1")), issued(t, a, Controller("c2"))
	token, err := ClientOf(a.PEM())
	must(t, err)
	old := controller.Client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	must2 := tls.RequireAndVerifyClientCert
	for name, c := range map[string]struct {
		server, client *tls.Config
		believed       bool
	}{
		"a host at a controller":                        {controller.Server(must2), host.Client(), true},
		"a person at a controller":                      {controller.Server(must2), person.Client(), true},
		"a controller at another":                       {controller.Server(must2), controller.Client(), true},
		"one without a certificate":                     {controller.Server(must2), token, false},
		"one without, where none is needed":             {controller.Server(tls.VerifyClientCertIfGiven), token, true},
		"another authority's at a controller":           {controller.Server(must2), withRoots(foreign.Client()), false},
		"the same where no certificate is needed":       {controller.Server(tls.VerifyClientCertIfGiven), withRoots(foreign.Client()), false},
		"a host at a thief with a host's certificate":   {host.Server(tls.NoClientCert), host.Client(), false},
		"a token at a thief with a host's certificate":  {host.Server(tls.NoClientCert), token, false},
		"a host at a thief with a person's certificate": {person.Server(tls.NoClientCert), host.Client(), false},
		"a host at another authority's controller":      {foreign.Server(tls.NoClientCert), host.Client(), false},
		"one that asks for this controller":             {controller.Server(must2), second.ClientOfController("c1"), true},
		"one that asks for another controller":          {controller.Server(must2), second.ClientOfController("c2"), false},
		"one that asks for another authority's":         {foreign.Server(tls.NoClientCert), second.ClientOfController("c1"), false},
		"one that asks for a controller, at a host":     {issued(t, a, Host("c1")).Server(tls.NoClientCert), second.ClientOfController("c1"), false},
		"TLS 1.2": {controller.Server(must2), old, false},
	} {
		s, _, err := meet(t, c.server, c.client)
		if (err == nil) != c.believed {
			t.Errorf("%s: believed %v, want %v: %v", name, err == nil, c.believed, err)
		}
		if err == nil && s.ConnectionState().Version != tls.VersionTLS13 {
			t.Errorf("%s: TLS version %x", name, s.ConnectionState().Version)
		}
	}
}

// withRoots is a client that believes whom it dials.
func withRoots(c *tls.Config) *tls.Config {
	c.VerifyConnection = nil
	return c
}

// TestReload: a renewed certificate is used for new connections, and those that are there go on.
func TestReload(t *testing.T) {
	a := authorityIn(t, t.TempDir())
	host, controller := issued(t, a, Host("h1")), issued(t, a, Controller("c1"))
	server, client := controller.Server(tls.RequireAndVerifyClientCert), host.Client()
	s, c, err := meet(t, server, client)
	must(t, err)
	before := [2]string{serial(s), serial(c)}
	for _, source := range []*Source{host, controller} {
		must(t, source.Renew(t.Context(), func(_ context.Context, request []byte) ([]byte, error) {
			return a.Sign(request, source.Identity(), nil, Lifetime)
		}))
	}
	s2, c2, err := meet(t, server, client)
	must(t, err)
	if after := [2]string{serial(s2), serial(c2)}; after[0] == before[0] || after[1] == before[1] {
		t.Errorf("certificates %v before, %v after", before, after)
	}
	if _, err := s.Write([]byte("still")); err != nil {
		t.Error(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "still" {
		t.Errorf("the connection from before says %q, %v", got, err)
	}
}

// serial is that of the peer's certificate.
func serial(c *tls.Conn) string { return c.ConnectionState().PeerCertificates[0].SerialNumber.String() }

// TestReloadOfAuthority: one authority follows another without a restart.
func TestReloadOfAuthority(t *testing.T) {
	a, next := authorityIn(t, t.TempDir()), authorityIn(t, t.TempDir())
	host, controller := issued(t, a, Host("h1")), issued(t, next, Controller("c1"))
	server, client := controller.Server(tls.RequireAndVerifyClientCert), host.Client()
	if _, _, err := meet(t, server, client); err == nil {
		t.Fatal("they believe each other without a common authority")
	}
	for _, s := range []*Source{host, controller} {
		must(t, writeFile(s.AuthorityFile(), slices.Concat(a.PEM(), next.PEM()), public))
	}
	if _, _, err := meet(t, server, client); err != nil {
		t.Error(err)
	}
}

// TestGoesOnWithWhatItHad: a file that is spoilt or missing does not end the service.
func TestGoesOnWithWhatItHad(t *testing.T) {
	a := authorityIn(t, t.TempDir())
	for name, spoil := range map[string]func(path string) error{
		"empty":      func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"missing":    os.Remove,
		"another's":  func(path string) error { return copyFile(issued(t, a, Host("h2")).File(), path) },
		"no keypair": func(path string) error { return os.WriteFile(path, a.PEM(), 0o600) },
	} {
		s := issued(t, a, Host("h1"))
		want := s.Certificate().SerialNumber
		must(t, spoil(s.File()))
		if got := s.Certificate(); got.SerialNumber.Cmp(want) != 0 {
			t.Errorf("%s: certificate %s, want %s", name, got.SerialNumber, want)
		}
		if _, err := Open(filepath.Dir(s.File()), Host("h1"), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// TestOpenRefusesExpired: whoever starts with it is told, not everyone who is dialled.
func TestOpenRefusesExpired(t *testing.T) {
	a := authorityIn(t, t.TempDir())
	dir := t.TempDir()
	must(t, a.Issue(dir, Host("h1"), nil, 1)) // one nanosecond; certificates count in seconds
	if _, err := Open(dir, Host("h1"), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired certificate: %v", err)
	}
}

// TestTellsOnce: the log has a line for each change of the files, and not for each connection.
func TestTellsOnce(t *testing.T) {
	a := authorityIn(t, t.TempDir())
	dir := t.TempDir()
	must(t, a.Issue(dir, Host("h1"), nil, Lifetime))
	var log strings.Builder
	s, err := Open(dir, Host("h1"), slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	use := func(what string, want ...string) {
		t.Helper()
		log.Reset()
		for range 3 {
			s.Certificate()
		}
		lines := slices.Collect(strings.Lines(log.String()))
		if len(lines) != len(want) {
			t.Fatalf("%s: the log says %q", what, lines)
		}
		for i, text := range want {
			if !strings.Contains(lines[i], text) {
				t.Errorf("%s: line %q, want %q in it", what, lines[i], text)
			}
		}
	}
	spoil := func(text string) {
		t.Helper()
		must(t, os.WriteFile(s.File(), []byte(text), 0o600))
	}
	use("nothing changed")
	must(t, Renew(t.Context(), dir, Host("h1"), a.RenewalOf(s.Certificate())))
	use("renewed", "certificate read again")
	spoil("no certificate")
	use("spoilt", "of no use")
	must(t, os.Remove(s.AuthorityFile()))
	use("spoilt otherwise", "no such file")
	must(t, a.Issue(dir, Host("h1"), nil, Lifetime))
	use("mended", "certificate read again")
	spoil("no certificate")
	use("spoilt again", "of no use")
}

// TestNotAccepted: what is no answer to a request of this machine is refused, and what is there stays.
func TestNotAccepted(t *testing.T) {
	a, dir := authorityIn(t, t.TempDir()), t.TempDir()
	if err := Accept(dir, Host("h1"), a.PEM()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a request: %v", err)
	}
	r, err := NewRequest(Host("h1"))
	must(t, err)
	must(t, r.Keep(dir))
	good, err := a.Sign(r.PEM, Host("h1"), nil, Lifetime)
	must(t, err)
	for name, answer := range map[string][]byte{
		"nothing": nil, "the authority alone": a.PEM(), "another's": encodeCertificate(signed(t, a, Host("h1")).Raw),
		"a certificate cut short": []byte("-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"),
	} {
		if err := Accept(dir, Host("h1"), answer); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	must(t, Accept(dir, Host("h1"), slices.Concat(good, a.PEM())))
	open(t, dir, Host("h1"))
	if _, err := ReadAuthority(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no authority: %v", err)
	}
	if _, err := a.Sign([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMAAA\n-----END CERTIFICATE REQUEST-----\n"), Host("h1"), nil, Lifetime); err == nil {
		t.Error("a request cut short was signed")
	}
}
