package entry

import (
	"context"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"time"
)

// Login is asked before each request whether it may pass, as nginx's auth_request asks.
type Login struct {
	URL *url.URL
	// Identity are the headers of its answer by which it says who asks. They reach the container, and nobody else can set them.
	Identity []string
	// Cookies are the names of its own cookies, which no container gets to see or to set.
	Cookies []string

	client http.Client
}

const (
	loginTime    = 10 * time.Second
	maxLoginPage = 1 << 20
)

// NewLogin asks at a URL. No headers given: DefaultIdentity.
func NewLogin(at *url.URL, identity, cookies []string) *Login {
	if len(identity) == 0 {
		identity = DefaultIdentity
	}
	names := make([]string, len(identity))
	for i, name := range identity {
		names[i] = textproto.CanonicalMIMEHeaderKey(name)
	}
	return &Login{URL: at, Identity: names, Cookies: cookies, client: http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxHeader},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// identity are the headers that clients cannot set. Without a login they are those that one would set.
func (l *Login) identity() []string {
	if l == nil {
		return DefaultIdentity
	}
	return l.Identity
}

func (l *Login) cookies() []string {
	if l == nil {
		return nil
	}
	return l.Cookies
}

// lets reports whether a request may pass, and notes who asks. One that may not has the login's answer, such as a redirect to where
// one logs in.
func (l *Login) lets(w http.ResponseWriter, r *http.Request, v *visit) bool {
	if l == nil {
		return true
	}
	ctx, end := context.WithTimeout(r.Context(), loginTime)
	defer end()
	resp, err := l.client.Do(l.question(ctx, r, v))
	if err != nil {
		page(w, http.StatusServiceUnavailable, textLogin)
		return false
	}
	defer resp.Body.Close()
	switch class := resp.StatusCode / 100; {
	case class == 2:
		v.identity = make(http.Header)
		for _, name := range l.Identity {
			if values := resp.Header.Values(name); len(values) > 0 {
				v.identity[name] = values
			}
		}
		v.setCookies = resp.Header.Values("Set-Cookie")
		return true
	case class == 3, resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		refuse(w, resp)
	default:
		page(w, http.StatusServiceUnavailable, textLogin)
	}
	return false
}

// question is what the login is asked: the headers of the request, without its body, and what it is for.
func (l *Login) question(ctx context.Context, r *http.Request, v *visit) *http.Request {
	q := (&http.Request{Method: http.MethodGet, URL: l.URL, Host: l.URL.Host, Header: r.Header.Clone()}).WithContext(ctx)
	for name := range q.Header {
		if slices.Contains(notAsked, name) {
			delete(q.Header, name)
		}
	}
	v.route.tell(r, q.Header)
	q.Header.Set("X-Original-Method", r.Method)
	q.Header.Set("X-Original-Uri", r.URL.RequestURI())
	q.Header.Set("X-Original-Url", scheme(r)+"://"+r.Host+r.URL.RequestURI())
	q.Header.Set("X-Forwarded-Method", r.Method)
	q.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
	q.Header.Set("X-Sluice-Tenant", v.route.Tenant)
	q.Header.Set("X-Sluice-Publication", v.route.Name)
	return q
}

// notAsked are headers that speak of the request's body and connection.
var notAsked = []string{
	"Connection", "Upgrade", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Content-Length", "Content-Type", "Content-Encoding", "Expect",
	"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range",
	"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "Accept-Encoding",
}

// refuse gives the login's own answer.
func refuse(w http.ResponseWriter, resp *http.Response) {
	for _, name := range []string{"Location", "Www-Authenticate", "Set-Cookie", "Content-Type", "Cache-Control", "Content-Security-Policy"} {
		for _, value := range resp.Header.Values(name) {
			w.Header().Add(name, value)
		}
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, io.LimitReader(resp.Body, maxLoginPage))
}
