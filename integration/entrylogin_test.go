package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"sluice/integration/lab"
)

// nameCertificate writes the certificate of a name, for some hours, as the entry finds it.
func nameCertificate(t *testing.T, dir, name string, hours int) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(int64(hours)), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Duration(hours) * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for ending, block := range map[string]*pem.Block{".key": {Type: "EC PRIVATE KEY", Bytes: secret}, ".crt": {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(filepath.Join(dir, name+ending), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serveLogin lets pass who has a cookie of the tenant whose page is asked for, and sends all others to where one logs in.
func serveLogin(t *testing.T) (url string) {
	t.Helper()
	l, err := lab.ListenIn(t.Context(), lab.InternetNS, "tcp", "172.30.0.254:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("login"); err != nil || cookie.Value != r.Header.Get("X-Sluice-Tenant") {
			http.Redirect(w, &http.Request{Method: http.MethodGet}, "https://login.example/", http.StatusFound)
			return
		}
		w.Header().Set("Remote-User", "who-owns-"+r.Header.Get("X-Sluice-Tenant"))
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return "http://" + l.Addr().String() + "/auth"
}

// entryAs restarts the agent of a host with more flags, until the test ends.
func entryAs(t *testing.T, host string, flags ...string) {
	t.Helper()
	sluice(t, "lab", "kill", "agent/"+host)
	err := lab.ReviveAs(t.Context(), "agent/"+host, func(argv []string) []string {
		if slices.Contains(argv, "agent") {
			argv = append(argv, flags...)
		}
		return argv
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sluice(t, "lab", "kill", "agent/"+host)
		sluice(t, "lab", "up") // starts it without them
	})
}

// An entry speaks TLS by certificates that are read again, and asks a login of each request, WebSockets too. What is open stays so.
func TestEntryWithLogin(t *testing.T) {
	needLab(t)
	tenant(t, "login-a", "--gateway", "h1")
	serveNotebook(t, container(t, "h2", "login-a", "login-jupyter"))
	sluice(t, "publish", "http", "login-a", "--port", "login-jupyter", "--tcp", "8888", "--host-name", "login-a.example")
	dir := t.TempDir()
	nameCertificate(t, dir, "login-a.example", 2)
	entryAs(t, "h3", "--entry-certificates", dir, "--auth-url", serveLogin(t), "--auth-cookies", "login")

	var serial int64
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "login-a.example", VerifyConnection: func(s tls.ConnectionState) error { // it signed itself
		serial = s.PeerCertificates[0].SerialNumber.Int64()
		return s.PeerCertificates[0].VerifyHostname("login-a.example")
	}}
	ask := func(cookie string) (int, string, http.Header) {
		client := http.Client{Transport: &http.Transport{DialContext: entryOf("h3"), TLSClientConfig: config, DisableKeepAlives: true}, Timeout: 10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://login-a.example/headers", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Remote-User", "root")
		req.Header.Set("Cookie", "own=1; "+cookie)
		resp, err := client.Do(req)
		if err != nil {
			return 0, err.Error(), nil
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b), resp.Header
	}
	const own = "login=login-a"
	eventually(t, "who logged in sees the page", func() error {
		if status, body, _ := ask(own); status != http.StatusOK || !strings.Contains(body, `"Remote-User":["who-owns-login-a"]`) || !strings.Contains(body, `"Cookie":["own=1"]`) || !strings.Contains(body, `"X-Forwarded-Proto":["https"]`) {
			return fmt.Errorf("%d, %s", status, body)
		}
		return nil
	})
	for _, cookie := range []string{"x=1", "login=login-b"} {
		if status, body, h := ask(cookie); status != http.StatusFound || h.Get("Location") != "https://login.example/" || strings.Contains(body, "login-jupyter") {
			t.Errorf("with the cookie %s: %d, %s", cookie, status, body)
		}
	}
	open := func(cookie string) (channel, error) {
		d := ws.Dialer{NetDial: entryOf("h3"), TLSConfig: config, Timeout: 5 * time.Second, Header: ws.HandshakeHeaderHTTP{"Cookie": {cookie}}}
		conn, _, _, err := d.Dial(context.WithoutCancel(t.Context()), "wss://login-a.example/channels")
		return channel{conn}, err
	}
	if _, err := open("login=login-b"); !errors.As(err, new(ws.StatusError)) {
		t.Errorf("a WebSocket of somebody else: %v", err)
	}
	c, err := open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	nameCertificate(t, dir, "login-a.example", 5)
	eventually(t, "the new certificate is in use", func() error {
		if status, _, _ := ask(own); status != http.StatusOK || serial != 5 {
			return fmt.Errorf("%d with certificate %d", status, serial)
		}
		return nil
	})
	if err := c.says("login-jupyter", "still here"); err != nil {
		t.Errorf("the WebSocket of before: %v", err)
	}
}
