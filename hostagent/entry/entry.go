package entry

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Options say how an entry carries requests. Table, Reach and Log are required.
type Options struct {
	Table *Table
	// Reach opens a connection to what a route leads to.
	Reach func(ctx context.Context, r Route) (net.Conn, error)
	// Dead reports whether this host's probes find a gateway host dead; nil: nobody probes.
	Dead func(host string) bool
	// Login is asked first whether a request may pass; nil: all may.
	Login *Login
	// Certificates are those of the names; nil: the entry speaks in the clear.
	Certificates *Certificates
	Log          *slog.Logger
}

// Entry carries requests to what tenants publish by routes.
type Entry struct {
	o     Options
	proxy *httputil.ReverseProxy
	crowd *crowd
	wires *wires
	count counts
}

const (
	// maxRequests bounds the requests and streams of one tenant that are under way at one entry.
	maxRequests = 2048
	// maxIdle bounds the connections to one container that wait for a next request, and idleTime how long they do.
	maxIdle  = 16
	idleTime = 30 * time.Second
	// headerTime bounds how long a client may take to say what it asks for. What is asked for may take as long as it takes.
	headerTime = 20 * time.Second
	maxHeader  = 64 << 10
	// maxConnections bounds the clients that are connected: the agent has other things to do with its files.
	maxConnections = 8192
)

// New makes an entry.
func New(o Options) *Entry {
	e := &Entry{o: o, crowd: newCrowd(maxRequests), wires: &wires{open: map[*noted]wire{}}}
	e.proxy = &httputil.ReverseProxy{
		Rewrite: e.rewrite, ModifyResponse: e.answered, ErrorHandler: e.failed,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		Transport: &http.Transport{
			DialContext: e.dial, DisableCompression: true, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleTime,
			ExpectContinueTimeout: time.Second, MaxResponseHeaderBytes: maxHeader,
		},
	}
	return e
}

// Serve serves until ctx ends. It closes the listener.
func (e *Entry) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: e, ReadHeaderTimeout: headerTime, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(e.o.Log.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	go e.watch(ctx)
	l = netutil.LimitListener(l, maxConnections)
	var err error
	if e.o.Certificates == nil {
		err = server.Serve(l)
	} else {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: e.o.Certificates.get}
		err = server.ServeTLS(l, "", "")
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// visit is one request while it is carried.
type visit struct {
	route     *standing
	host      string // as the client wrote it
	webSocket bool
	// What the login said of who asks.
	identity   http.Header
	setCookies []string
}

type visitKey struct{}

func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

// ServeHTTP implements http.Handler.
func (e *Entry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{host: r.Host, webSocket: wantsWebSocket(r)}
	seen := &answer{ResponseWriter: w, status: http.StatusOK, switched: func() { e.count.add(v.route, http.StatusSwitchingProtocols) }}
	defer func() { e.count.add(v.route, seen.status) }()
	if !v.webSocket {
		r.Header.Del("Upgrade") // such as h2c: nothing else is passed
	}
	if v.route = e.routeOf(seen, r); v.route == nil {
		return
	}
	leave, ok := e.crowd.enter(v.route.Tenant)
	if !ok {
		page(seen, http.StatusServiceUnavailable, textBusy)
		return
	}
	defer leave()
	sanitize(r.Header, e.o.Login.identity())
	if !e.o.Login.lets(seen, r, v) {
		return
	}
	v.route.visits.note()
	ctx, end := context.WithCancel(context.WithValue(r.Context(), visitKey{}, v))
	defer end()
	defer context.AfterFunc(v.route.visits.ctx, end)()
	e.proxy.ServeHTTP(seen, r.WithContext(ctx))
}

// routeOf is the route of a request. Where it is nil the request has its answer.
func (e *Entry) routeOf(w http.ResponseWriter, r *http.Request) *standing {
	routes, host, path := e.o.Table.now.Load(), nameOf(r.Host), r.URL.EscapedPath()
	route, below := routes.find(host, path), routes.find(host, path+"/")
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		page(w, http.StatusMethodNotAllowed, textMethod)
	case !strings.HasPrefix(path, "/") || dotted(r.URL.Path) || route != routes.find(host, r.URL.Path):
		page(w, http.StatusBadRequest, textPath)
	case below != route && below.Path == path+"/":
		http.Redirect(w, r, withQuery(below.Path, r.URL.RawQuery), http.StatusPermanentRedirect)
	case route == nil:
		page(w, http.StatusNotFound, textUnknown)
	default:
		return route
	}
	return nil
}

func withQuery(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}

// nameOf is the name in a Host header: in lower case, without a port and without a last dot.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// dotted reports whether a path, decoded, has a segment that some programs take for the one above it, or for nothing.
func dotted(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

var (
	errNoRoute = errors.New("nothing is published there any more")
	errNoHTTP  = errors.New("it does not answer in HTTP")
)

// dial opens a connection for a way of a route, which is the name of a host to the transport.
func (e *Entry) dial(ctx context.Context, _, address string) (net.Conn, error) {
	way, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	route := e.o.Table.now.Load().byWay[way]
	if route == nil {
		return nil, errNoRoute
	}
	route = e.o.Table.led(ctx, route, "")
	conn, err := e.o.Reach(ctx, route.Route)
	if err != nil {
		return nil, err
	}
	noted, its := newNoted(conn, route.visits, e.wires), wire{publication: route.key(), by: route.Gateway}
	if c, ok := conn.(*lent); ok {
		its.from, its.dead = c.from, c.dead
		if c.from != "" {
			its.by = route.Backup
		}
	}
	e.wires.add(noted, its)
	return noted, nil
}

// noted is a connection that notes when something passes, and that ends with its publication.
type noted struct {
	net.Conn
	visits *visits
	wires  *wires
	stay   func() bool
}

func newNoted(conn net.Conn, v *visits, w *wires) *noted {
	return &noted{conn, v, w, context.AfterFunc(v.ctx, func() { _ = conn.Close() })}
}

func (n *noted) Read(b []byte) (int, error) {
	read, err := n.Conn.Read(b)
	if read > 0 {
		n.visits.note()
	}
	return read, err
}

func (n *noted) Write(b []byte) (int, error) {
	n.visits.note()
	return n.Conn.Write(b)
}

func (n *noted) Close() error {
	n.stay()
	n.wires.remove(n)
	return n.Conn.Close()
}

// failed answers where a container gave no answer.
func (e *Entry) failed(w http.ResponseWriter, r *http.Request, err error) {
	e.o.Log.Debug("a request was not answered", "tenant", visitOf(r).route.Tenant, "publication", visitOf(r).route.Name, "err", err)
	var failure net.Error
	switch {
	case errors.Is(err, errNoRoute) || visitOf(r).route.visits.ctx.Err() != nil:
		page(w, http.StatusNotFound, textUnknown)
	case errors.As(err, &failure) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errNotReached) || errors.Is(err, context.Canceled):
		page(w, http.StatusServiceUnavailable, textDown)
	default:
		page(w, http.StatusBadGateway, textBroken)
	}
}

// answer knows the status of what it answered. What a container sends before its answer, such as hints with headers that nobody
// looked at, is left out.
type answer struct {
	http.ResponseWriter
	status   int // 0: it was counted already
	switched func()
}

func (a *answer) WriteHeader(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols {
		return
	}
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Hijack implements http.Hijacker. A WebSocket counts when it opens.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, both, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.status = 0
		a.switched()
	}
	return conn, both, err
}

// Unwrap lets http.ResponseController flush.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
