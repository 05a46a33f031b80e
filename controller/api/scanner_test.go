package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sluice/controller/client"
	"strings"
	"testing"
)

// raw sends bytes as they are, and returns the status of the answer; 0: the connection was closed
// without one.
func (c cluster) raw(t *testing.T, bytes string) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, bytes); err != nil {
		return 0 // it was closed before it had read everything
	}
	conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// What a port scanner sends is answered as its own mistake, never as one of the controller's, and
// leaves the controller as it was.
func TestAScannersManners(t *testing.T) {
	c := start(t)
	host := "Host: localhost\r\n"
	auth := "Authorization: Bearer " + c.token + "\r\n"
	for name, text := range map[string]string{
		"rubbish":                    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
		"zeros":                      strings.Repeat("\x00", 4096),
		"a line without end":         "GET /" + strings.Repeat("a", 1<<20),
		"another protocol":           "SSH-2.0-scanner\r\n\r\n",
		"a proxy's request":          "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"CONNECT":                    "CONNECT 198.51.100.1:22 HTTP/1.1\r\n" + host + auth + "\r\n",
		"HTTP/0.9":                   "GET /\r\n",
		"HTTP/1.0 without Host":      "GET /v1/tenants HTTP/1.0\r\n" + auth + "\r\n",
		"HTTP/1.1 without Host":      "GET /v1/tenants HTTP/1.1\r\n" + auth + "\r\n",
		"two hosts":                  "GET /v1/tenants HTTP/1.1\r\n" + host + "Host: evil.example\r\n" + auth + "\r\n",
		"HTTP/9.9":                   "GET / HTTP/9.9\r\n" + host + "\r\n",
		"HTTP/2 without asking":      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a huge header":              "GET /healthz HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"10,000 headers":             "GET /healthz HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", 10000) + "\r\n",
		"a header without colon":     "GET / HTTP/1.1\r\n" + host + "rubbish\r\n\r\n",
		"a space before the colon":   "GET / HTTP/1.1\r\n" + host + "X : y\r\n\r\n",
		"two lengths":                "POST /v1/tenants HTTP/1.1\r\n" + host + auth + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
		"a length below nothing":     "POST /v1/tenants HTTP/1.1\r\n" + host + auth + "Content-Length: -1\r\n\r\n",
		"a chunk that is no number":  "POST /v1/tenants HTTP/1.1\r\n" + host + auth + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"an unknown coding":          "POST /v1/tenants HTTP/1.1\r\n" + host + auth + "Transfer-Encoding: pigeon\r\n\r\n",
		"a body that ends too early": "POST /v1/tenants HTTP/1.1\r\n" + host + auth + "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
		"an unknown method":          "FROBNICATE /v1/tenants HTTP/1.1\r\n" + host + auth + "\r\n",
		"TRACE":                      "TRACE / HTTP/1.1\r\n" + host + auth + "\r\n",
		"PUT":                        "PUT /v1/tenants HTTP/1.1\r\n" + host + auth + "Content-Type: application/json\r\n\r\n",
		"an empty part":              "GET //v1/tenants HTTP/1.1\r\n" + host + auth + "\r\n",
		"another host in the path":   "GET //evil.example/%2e%2e HTTP/1.1\r\n" + host + auth + "\r\n",
		"dots":                       "GET /v1/../v1/tenants HTTP/1.1\r\n" + host + auth + "\r\n",
		"escaped dots":               "GET /v1/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + host + auth + "\r\n",
		"an escaped slash":           "GET /v1%2ftenants HTTP/1.1\r\n" + host + auth + "\r\n",
		"a name with a slash":        "DELETE /v1/hosts/h1%2falice HTTP/1.1\r\n" + host + auth + "\r\n",
		"a name with a zero":         "GET /v1/tenants/a%00b HTTP/1.1\r\n" + host + auth + "\r\n",
		"a name that is not UTF-8":   "GET /v1/tenants/%ff%fe HTTP/1.1\r\n" + host + auth + "\r\n",
		"a name with a line":         "GET /v1/tenants/a%0d%0aX:%20y HTTP/1.1\r\n" + host + auth + "\r\n",
		"a bad escape":               "GET /v1/tenants/%zz HTTP/1.1\r\n" + host + auth + "\r\n",
		"a query that is none":       "GET /v1/tenants?%zz&;=& HTTP/1.1\r\n" + host + auth + "\r\n",
		"a page of nothing":          "GET /v1/tenants?limit=99999999999999999999 HTTP/1.1\r\n" + host + auth + "\r\n",
		"deep JSON":                  post("/v1/tenants", strings.Repeat("[", 100000), host+auth),
		"JSON of another shape":      post("/v1/tenants", `[1,"x",null]`, host+auth),
		"null":                       post("/v1/tenants", "null", host+auth),
		"a number for a name":        post("/v1/tenants", `{"name":1e999}`, host+auth),
		"a long name":                post("/v1/tenants", `{"name":"`+strings.Repeat("a", 500000)+`"}`, host+auth),
		"numbers beyond all bounds":  post("/v1/networks", `{"tenant":"a","name":"b","subnets":["10.0.0.0/24"],"mtu":99999999999999999999}`, host+auth),
		"nothing known anywhere":     "GET /wp-login.php HTTP/1.1\r\n" + host + "\r\n",
		"a file":                     "GET /.git/config HTTP/1.1\r\n" + host + auth + "\r\n",
	} {
		status := c.raw(t, text)
		if status == http.StatusNotImplemented || status == http.StatusHTTPVersionNotSupported {
			continue // these speak of the client's protocol too (RFC 9110, 15.6.2 and 15.6.6)
		}
		if status != 0 && (status < 400 || status >= 500) {
			t.Errorf("%s: status %d", name, status)
		}
	}
	if _, err := c.CreateTenant(t.Context(), client.TenantSpec{Name: "after"}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// post is a request with a JSON body.
func post(path, body, headers string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, headers, len(body), body)
}

// Ten thousand connections that say nothing, or one byte, keep nobody from being answered; those
// beyond a bound are closed, the oldest first.
func TestTenThousandConnections(t *testing.T) {
	c := start(t)
	const many = 10000
	silent := make([]net.Conn, 0, many)
	t.Cleanup(func() {
		for _, conn := range silent {
			conn.Close()
		}
	})
	at := strings.TrimPrefix(c.URL(), "http://")
	for n := range many {
		if n == 4000 {
			for _, conn := range silent { // both ends are in this process, whose files are bounded
				conn.Close()
			}
			silent = silent[:0]
		}
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		silent = append(silent, conn)
		if n%2 == 0 {
			_, _ = io.WriteString(conn, "G") // it may be closed already
		}
		if n%1000 == 999 {
			if _, err := c.Tenants(t.Context()); err != nil {
				t.Errorf("beside %d connections: %v", n+1, err)
			}
		}
	}
	closed := 0
	for _, conn := range silent[:1000] { // the oldest
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			closed++
		}
	}
	if closed != 1000 {
		t.Errorf("of the oldest 1,000 connections %d were closed", closed)
	}
}
