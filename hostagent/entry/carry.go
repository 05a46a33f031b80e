package entry

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
)

// forwarded are the headers by which the entry tells a container of its client. What clients set of them is dropped, as all that
// begins with one of ownPrefixes.
const (
	headerFor    = "X-Forwarded-For"
	headerHost   = "X-Forwarded-Host"
	headerProto  = "X-Forwarded-Proto"
	headerPrefix = "X-Forwarded-Prefix"
	headerRealIP = "X-Real-Ip"
)

var (
	ownPrefixes = []string{"X-Forwarded", "X-Real-", "X-Original-", "X-Sluice-"}
	ownHeaders  = []string{"Forwarded", "Http2-Settings", "Proxy", "Proxy-Authorization"}
)

// DefaultIdentity are the headers by which a login tells a container who asks, where nobody says others.
var DefaultIdentity = []string{"Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email"}

// sanitize drops what a client must not say to a container: who it is, where it comes from, and what may be read as that. Many
// programs take "_" in a header's name for "-".
func sanitize(h http.Header, identity []string) {
	for name := range h {
		if strings.Contains(name, "_") || slices.Contains(ownHeaders, name) || slices.Contains(identity, name) ||
			slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			delete(h, name)
		}
	}
}

// wantsWebSocket reports whether a request asks for a WebSocket, and for nothing else beside.
func wantsWebSocket(r *http.Request) bool {
	upgrade := r.Header.Values("Upgrade")
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && len(upgrade) == 1 && strings.EqualFold(upgrade[0], "websocket")
}

// tell says to a container who asks, by which name and path.
func (s *standing) tell(in *http.Request, h http.Header) {
	address, _, err := net.SplitHostPort(in.RemoteAddr)
	if err != nil {
		address = in.RemoteAddr
	}
	h.Set(headerFor, address)
	h.Set(headerRealIP, address)
	h.Set(headerHost, in.Host)
	h.Set(headerProto, scheme(in))
	if s.Strip {
		h.Set(headerPrefix, strings.TrimSuffix(s.Path, "/"))
	}
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// rewrite makes the request for the container of the one that came in.
func (e *Entry) rewrite(p *httputil.ProxyRequest) {
	v := visitOf(p.In)
	p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", v.route.way(), p.In.Host
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Trailer = nil // they would come behind what was looked at
	v.route.tell(p.In, p.Out.Header)
	for name, values := range v.identity {
		p.Out.Header[name] = values
	}
	withoutCookies(p.Out.Header, e.o.Login.cookies())
	if v.route.Strip {
		p.Out.URL.Path = "/" + strings.TrimPrefix(p.In.URL.Path, v.route.Path)
		p.Out.URL.RawPath = "/" + strings.TrimPrefix(p.In.URL.EscapedPath(), v.route.Path)
	}
}

// harmful are headers of answers by which a container would speak for more than its path, or send browsers elsewhere under the name.
var harmful = []string{"Alt-Svc", "Service-Worker-Allowed", "Clear-Site-Data"}

// answered looks at the answer of a container before the browser gets it.
func (e *Entry) answered(resp *http.Response) error {
	v := visitOf(resp.Request)
	if resp.StatusCode == http.StatusSwitchingProtocols && !v.webSocket {
		return fmt.Errorf("%w: it speaks another protocol that nobody asked for", errNoHTTP)
	}
	resp.Header.Del("Alt-Svc")
	if v.route.Path != "/" {
		for _, name := range harmful {
			resp.Header.Del(name)
		}
	}
	confineCookies(resp.Header, v.route, e.o.Login.cookies())
	for _, cookie := range v.setCookies {
		resp.Header.Add("Set-Cookie", cookie)
	}
	if at := resp.Header.Get("Location"); v.route.Strip && at != "" {
		resp.Header.Set("Location", v.route.relocated(at, v.host))
	}
	return nil
}

// relocated is where an answer sends the browser, of a container that does not know its path.
func (s *standing) relocated(location, host string) string {
	u, err := url.Parse(location)
	if err != nil || u.Opaque != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, s.Path) ||
		u.Host != "" && !strings.EqualFold(u.Host, host) {
		return location
	}
	prefix := strings.TrimSuffix(s.Path, "/")
	if u.RawPath != "" {
		u.RawPath = prefix + u.RawPath
	}
	u.Path = prefix + u.Path
	return u.String()
}
