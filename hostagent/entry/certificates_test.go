package entry

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificate writes NAME.crt and NAME.key for names, valid for some hours.
func certificate(t *testing.T, dir, name string, hours int, names ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(int64(hours)), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Duration(hours) * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// By TLS browsers speak HTTP/2 to the entry, and containers are told so.
func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir, "a", 2, "alice.example")
	certificates, err := OpenCertificates(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	w.publish(t, "alice", all("alice.example"), told("alice"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := w.o
	options.Certificates = certificates
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- New(options).Serve(ctx, l) }()
	defer func() {
		end()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	roots := x509.NewCertPool()
	text, err := os.ReadFile(filepath.Join(dir, "a.crt"))
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://alice.example/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s seen
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || resp.ProtoMajor != 2 || s.Host != "alice.example" || s.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("by %s the container is told %+v, %v", resp.Proto, s, err)
	}
	if resp, err := client.Get("https://bob.example/x"); err == nil {
		resp.Body.Close()
		t.Error("a name without a certificate is served")
	}
}

// serial is that of the certificate for a name, looked at anew; 0: there is none.
func serial(c *Certificates, name string) int64 {
	c.mu.Lock()
	c.looked = time.Time{}
	c.mu.Unlock()
	found, err := c.get(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		return 0
	}
	return found.Leaf.SerialNumber.Int64()
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenCertificates(dir, quiet); err == nil {
		t.Error("a directory without certificates is taken")
	}
	if _, err := OpenCertificates(filepath.Join(dir, "none"), quiet); err == nil {
		t.Error("no directory is taken")
	}
	certificate(t, dir, "a", 2, "alice.example")
	certificate(t, dir, "wild", 3, "*.example")
	certificate(t, dir, "older", 1, "alice.example")
	c, err := OpenCertificates(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	wants := func(when string, want map[string]int64) {
		t.Helper()
		for name, serialNumber := range want {
			if got := serial(c, name); got != serialNumber {
				t.Errorf("%s %s has certificate %d, want %d", when, name, got, serialNumber)
			}
		}
	}
	wants("at first", map[string]int64{"alice.example": 2, "ALICE.example": 2, "bob.example": 3, "x.bob.example": 0, "example": 0, "": 0})
	certificate(t, dir, "a", 5, "alice.example")
	certificate(t, dir, "c", 6, "carol.test")
	wants("renewed", map[string]int64{"alice.example": 5, "carol.test": 6})
	write(t, filepath.Join(dir, "c.crt"), []byte("half a fi"))
	wants("spoilt", map[string]int64{"alice.example": 5, "carol.test": 6})
	for _, file := range []string{"a.crt", "a.key"} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	wants("removed", map[string]int64{"alice.example": 1, "carol.test": 6})
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	wants("without the directory", map[string]int64{"carol.test": 6})
}
