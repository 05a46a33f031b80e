package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func authorityIn(t *testing.T, dir string) *Authority {
	t.Helper()
	a, err := CreateAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signed is the certificate that a makes for who.
func signed(t *testing.T, a *Authority, who Identity, names ...string) *x509.Certificate {
	t.Helper()
	r, err := NewRequest(who)
	must(t, err)
	text, err := a.Sign(r.PEM, who, names, Lifetime)
	must(t, err)
	all, err := decodeCertificates(text)
	must(t, err)
	return all[0]
}

func TestIdentities(t *testing.T) {
	for text, want := range map[string]struct {
		identity Identity
		file     string
		wrong    string
	}{
		"host:h1":            {identity: Host("h1"), file: "host-h1.pem"},
		"controller:c1.site": {identity: Controller("c1.site"), file: "controller-c1.site.pem"},
		"etcd:e1":            {identity: Identity{RoleEtcd, "e1"}, file: "etcd-e1.pem"},
		"person:alice":       {identity: Person("alice"), file: "person-alice.pem"},
		"h1":                 {wrong: "write it as host:h1"},
		"admin:alice":        {wrong: `role "admin"`},
		"host:":              {wrong: `name ""`},
		"host:../h1":         {wrong: `name "../h1"`},
		"host:a/b":           {wrong: `name "a/b"`},
	} {
		got, err := Parse(text)
		if want.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), want.wrong) {
				t.Errorf("Parse(%q) = %v, %v; want an error with %q", text, got, err, want.wrong)
			}
			continue
		}
		if err != nil || got != want.identity || got.String() != text || got.File() != want.file {
			t.Errorf("Parse(%q) = %v in %s, %v", text, got, got.File(), err)
		}
	}
}

// TestWhatIsSigned: what a certificate says is its identity's alone, whatever the request had.
func TestWhatIsSigned(t *testing.T) {
	a := authorityIn(t, t.TempDir())
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	own := []string{"localhost", "127.0.0.1", "::1"}
	for _, c := range []struct {
		who    Identity
		names  []string
		usages []x509.ExtKeyUsage
		all    []string
	}{
		{Host("h1"), nil, client, nil},
		{Person("alice"), nil, client, nil},
		{Controller("c1"), []string{"192.0.2.1", "c1.example"}, both, append(own, "192.0.2.1", "c1.example")},
		{Identity{RoleEtcd, "e1"}, nil, both, own},
	} {
		cert := signed(t, a, c.who, c.names...)
		var all []string
		all = append(all, cert.DNSNames...)
		for _, ip := range cert.IPAddresses {
			all = append(all, ip.String())
		}
		sorted := cmp.Transformer("set", func(s []string) map[string]bool {
			m := map[string]bool{}
			for _, v := range s {
				m[v] = true
			}
			return m
		})
		if diff := cmp.Diff(c.all, all, sorted); diff != "" {
			t.Errorf("%s: names (-want +got):\n%s", c.who, diff)
		}
		if diff := cmp.Diff(c.usages, cert.ExtKeyUsage); diff != "" {
			t.Errorf("%s: usages (-want +got):\n%s", c.who, diff)
		}
		if diff := cmp.Diff(c.names, NamesOf(cert), sorted); diff != "" {
			t.Errorf("%s: NamesOf (-want +got):\n%s", c.who, diff)
		}
		if who, err := Of(cert); err != nil || who != c.who || cert.Subject.CommonName != c.who.String() {
			t.Errorf("Of(certificate of %s) = %s, %v", c.who, who, err)
		}
		if cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature {
			t.Errorf("%s: may sign others", c.who)
		}
		if err := verify(cert, poolOf(a), x509.ExtKeyUsageClientAuth); err != nil {
			t.Errorf("%s: %v", c.who, err)
		}
	}
}

func poolOf(a *Authority) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate())
	return pool
}

// TestNotSigned: requests that get no certificate.
func TestNotSigned(t *testing.T) {
	a := authorityIn(t, t.TempDir())
	good, err := NewRequest(Host("h1"))
	must(t, err)
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	weak, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	must(t, err)
	forged := blocks(good.PEM, requestBlock)[0]
	forged = append([]byte(nil), forged...)
	forged[len(forged)-1] ^= 1 // of the signature
	for name, c := range map[string]struct {
		request  []byte
		who      Identity
		names    []string
		lifetime time.Duration
		wrong    string
	}{
		"a host with a server's name": {good.PEM, Host("h1"), []string{"c1"}, Lifetime, "serves nobody"},
		"no role":                     {good.PEM, Identity{"admin", "x"}, nil, Lifetime, "role"},
		"no name":                     {good.PEM, Host(""), nil, Lifetime, "name"},
		"no life":                     {good.PEM, Host("h1"), nil, 0, "lifetime"},
		"no request":                  {a.PEM(), Host("h1"), nil, Lifetime, "found 0"},
		"two requests":                {append(append([]byte(nil), good.PEM...), good.PEM...), Host("h1"), nil, Lifetime, "found 2"},
		"another's request":           {encodeRequest(forged), Host("h1"), nil, Lifetime, "not signed with its own key"},
		"RSA":                         {requestOf(t, old), Host("h1"), nil, Lifetime, "neither ECDSA"},
		"a weak curve":                {requestOf(t, weak), Host("h1"), nil, Lifetime, "neither ECDSA"},
	} {
		if _, err := a.Sign(c.request, c.who, c.names, c.lifetime); err == nil || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v; want an error with %q", name, err, c.wrong)
		}
	}
}

func encodeRequest(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: requestBlock, Bytes: der})
}

func requestOf(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	must(t, err)
	return encodeRequest(der)
}

// TestLifetimes: renewal comes at two thirds; nothing outlives the authority.
func TestLifetimes(t *testing.T) {
	a := authorityIn(t, t.TempDir())
	r, err := NewRequest(Host("h1"))
	must(t, err)
	text, err := a.Sign(r.PEM, Host("h1"), nil, 3*AuthorityLifetime)
	must(t, err)
	all, err := decodeCertificates(text)
	must(t, err)
	if !all[0].NotAfter.Equal(a.Certificate().NotAfter) {
		t.Errorf("it lives until %s, its authority until %s", all[0].NotAfter, a.Certificate().NotAfter)
	}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &x509.Certificate{NotBefore: begin, NotAfter: begin.AddDate(0, 0, 90)}
	if got, want := RenewAt(c), begin.AddDate(0, 0, 60); !got.Equal(want) {
		t.Errorf("RenewAt = %s, want %s", got, want)
	}
}

// TestNoKeyTravels: the request has no key in it, and files with keys are their owner's alone.
func TestNoKeyTravels(t *testing.T) {
	dir, machine := t.TempDir(), filepath.Join(t.TempDir(), "pki")
	a := authorityIn(t, dir)
	r, err := NewRequest(Host("h1"))
	must(t, err)
	must(t, r.Keep(machine))
	if kinds := blockKinds(r.PEM); !cmp.Equal(kinds, []string{requestBlock}) {
		t.Errorf("the request holds %v", kinds)
	}
	r, err = LoadRequest(machine, Host("h1"))
	must(t, err)
	text, err := a.Sign(r.PEM, Host("h1"), nil, Lifetime)
	must(t, err)
	must(t, r.Install(machine, text, a.PEM()))
	modes := map[string]fs.FileMode{}
	for _, d := range []string{dir, machine} {
		entries, err := os.ReadDir(d)
		must(t, err)
		for _, e := range entries {
			info, err := e.Info()
			must(t, err)
			modes[filepath.Base(d)[:1]+"/"+e.Name()] = info.Mode()
		}
	}
	want := map[string]fs.FileMode{"0/ca.crt": 0o644, "0/ca.key": 0o600, "p/ca.crt": 0o644, "p/host-h1.pem": 0o600}
	if diff := cmp.Diff(want, modes); diff != "" {
		t.Errorf("files and modes (-want +got):\n%s", diff)
	}
}

func blockKinds(text []byte) (kinds []string) {
	for {
		var b *pem.Block
		if b, text = pem.Decode(text); b == nil {
			return kinds
		}
		kinds = append(kinds, b.Type)
	}
}

// TestNotInstalled: a certificate that is not this request's leaves all as it was.
func TestNotInstalled(t *testing.T) {
	dir := t.TempDir()
	a := authorityIn(t, dir)
	must(t, a.Issue(dir, Host("h1"), nil, Lifetime))
	before, err := os.ReadFile(filepath.Join(dir, "host-h1.pem"))
	must(t, err)
	r, err := NewRequest(Host("h1"))
	must(t, err)
	for name, certificate := range map[string][]byte{
		"nothing":              nil,
		"of another":           encodeCertificate(signed(t, a, Host("h2")).Raw),
		"of another key":       encodeCertificate(signed(t, a, Host("h1")).Raw),
		"of the authority":     a.PEM(),
		"what is no such text": []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
	} {
		if err := r.Install(dir, certificate, nil); err == nil {
			t.Errorf("a certificate %s was installed", name)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, "host-h1.pem"))
	must(t, err)
	if !cmp.Equal(before, after) {
		t.Error("the file changed")
	}
}

func TestAuthorityIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	a := authorityIn(t, dir)
	if _, err := CreateAuthority(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	again, err := OpenAuthority(dir)
	must(t, err)
	if !again.Certificate().Equal(a.Certificate()) {
		t.Error("another authority than was made")
	}
	must(t, os.Rename(filepath.Join(dir, "ca.key"), filepath.Join(dir, "elsewhere")))
	if _, err := OpenAuthority(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without its key: %v", err)
	}
	if _, err := CreateAuthority(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("where only the certificate is: %v", err)
	}
	authorityIn(t, filepath.Join(dir, "other"))
	must(t, os.Rename(filepath.Join(dir, "other", "ca.key"), filepath.Join(dir, "ca.key")))
	if _, err := OpenAuthority(dir); err == nil {
		t.Error("opened with another's key")
	}
}
