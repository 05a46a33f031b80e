package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/etcd/freeport"
)

// authority signs certificates for one test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.issue("ca", a.cert, nil)
	return a
}

// issue writes NAME.pem and NAME-key.pem; without a signer the certificate signs itself.
func (a *authority) issue(name string, cert *x509.Certificate, signer *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+"-key.pem", "EC PRIVATE KEY", secret)
	return key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// leaf issues a certificate for a loopback server or a client.
func (a *authority) leaf(name string) {
	a.t.Helper()
	a.issue(name, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.key)
}

// options are those of a client with a certificate.
func (a *authority) options(endpoint, user, password string) Options {
	return Options{
		Endpoints: []string{endpoint}, CAFile: a.file("ca.pem"), CertFile: a.file("client.pem"), KeyFile: a.file("client-key.pem"),
		User: user, Password: password, Log: testLog(a.t),
	}
}

// serveDebian runs the distribution's etcd with TLS in both directions.
func serveDebian(t *testing.T, a *authority) (endpoint string) {
	t.Helper()
	binary, err := exec.LookPath("etcd")
	if err != nil {
		if os.Getenv("SLUICE_REQUIRE_OVS") == "1" {
			t.Fatal("no etcd binary: install etcd-server")
		}
		t.Skip("no etcd binary: install etcd-server")
	}
	endpoint = strings.Replace(freeport.URL(t), "http:", "https:", 1)
	peer := freeport.URL(t)
	cmd := exec.Command(binary, "--name=sluice-test", "--data-dir="+t.TempDir(), "--log-level=error",
		"--listen-client-urls="+endpoint, "--advertise-client-urls="+endpoint,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=sluice-test="+peer,
		"--trusted-ca-file="+a.file("ca.pem"), "--cert-file="+a.file("server.pem"), "--key-file="+a.file("server-key.pem"), "--client-cert-auth")
	cmd.Stderr = testWriter{t.Context(), t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return endpoint
}

// enableAuth makes root, and a user who may touch Sluice's keys alone.
func enableAuth(t *testing.T, c *Client) {
	t.Helper()
	ctx := testContext(t)
	end := prefixRange(store.Prefix).to
	for _, step := range []func() error{
		func() error { return second(c.etcd.UserAdd(ctx, "root", "rootpw")) },
		func() error { return second(c.etcd.UserGrantRole(ctx, "root", "root")) },
		func() error { return second(c.etcd.RoleAdd(ctx, "sluice")) },
		func() error {
			return second(c.etcd.RoleGrantPermission(ctx, "sluice", store.Prefix, end, 2)) // read and write
		},
		func() error { return second(c.etcd.UserAdd(ctx, "sluice", "pw")) },
		func() error { return second(c.etcd.UserGrantRole(ctx, "sluice", "sluice")) },
		func() error { return second(c.etcd.AuthEnable(ctx)) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDebianEtcdWithTLSAndUsers(t *testing.T) {
	a := newAuthority(t)
	a.leaf("server")
	a.leaf("client")
	endpoint := serveDebian(t, a)
	open, err := Connect(testContext(t), a.options(endpoint, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	enableAuth(t, open)
	open.Close()

	c, err := Connect(testContext(t), a.options(endpoint, "sluice", "pw"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	register(t, c, "h1")
	f := follow(t, c.Watch)
	f.next()
	createTenant(t, c, store.TenantSpec{Name: "alice", Segmentation: store.SegmentationVLAN})
	port := createPort(t, c, portSpec("h1", "alice", "a1"))
	f.until(port.Created)
	f.agrees(c)
	_, err = c.DeleteTenant(testContext(t), "alice")
	expect(t, err, store.ErrInUse, "alice/default/a1")

	for name, o := range map[string]Options{
		"wrong password": a.options(endpoint, "sluice", "no"),
		"no user":        a.options(endpoint, "", ""),
	} {
		if refused, err := Connect(testContext(t), o); err == nil {
			refused.Close()
			t.Errorf("%s: it connected", name)
		} else if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: it went on trying: %v", name, err)
		}
	}
	stranger := a.options(endpoint, "sluice", "pw")
	stranger.CAFile = ""
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if c, err := Connect(ctx, stranger); err == nil {
		c.Close()
		t.Error("it trusts a server that nobody known signed")
	}
}
