package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"sluice/store"
)

// Client speaks to one controller's API. It is safe for concurrent use.
type Client struct {
	url   string // as the user gave it
	base  string
	http  *http.Client
	token func() string   // what proves who asks; empty: nothing
	asOf  *store.Revision // of the objects that it changes; nil: any
}

// AsOf is the client for changes of an object as it was at a revision, its Modified: where it is another one since, a
// change is refused with ErrChanged, and nothing is written. One that was not there, or was never written, is as of 0.
func (c *Client) AsOf(modified store.Revision) *Client {
	other := *c
	other.asOf = &modified
	return &other
}

// Option is how a client differs from one that has no token.
type Option func(*Client)

// WithToken proves by a token who asks.
func WithToken(text string) Option {
	return func(c *Client) { c.token = func() string { return text } }
}

// WithTLS says whom the client believes to be the API, and which certificate it shows.
func WithTLS(config *tls.Config) Option {
	return func(c *Client) {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = config
		c.http.Transport = transport
	}
}

// WithTransport says by what requests go and answers come, such as a handler in this process; none: by the network.
func WithTransport(t http.RoundTripper) Option {
	return func(c *Client) { c.http.Transport = t }
}

// WithTokenFile does so by the token in a file, which is read anew for each request: a controller
// makes its own one anew at each start. Without the file the client goes on without a token.
func WithTokenFile(path string) Option {
	return func(c *Client) {
		c.token = func() string {
			b, err := os.ReadFile(path)
			if err != nil {
				return "" // who has no token is told so by the answer
			}
			return strings.TrimSpace(string(b))
		}
	}
}

// Dial makes a client of the API at http://HOST:PORT, https://HOST:PORT or unix:PATH. It
// connects only when it is used.
func Dial(address string, options ...Option) (*Client, error) {
	c := &Client{url: address, base: strings.TrimRight(address, "/"), http: &http.Client{}, token: func() string { return "" }}
	for _, set := range options {
		set(c)
	}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		c.base = "http://sluice"
		c.http.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}}
		return c, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("API address %q: write it as http://HOST:PORT, https://HOST:PORT or unix:PATH", address)
	}
	return c, nil
}

// URL is the address that the client was made for.
func (c *Client) URL() string { return c.url }

// UnreachableError says that nobody answered at the API's address.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("API at %s: %v", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Problem is an error that the API answered with (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		text += "; " + strings.TrimPrefix(e.Location+": ", ": ") + e.Message
	}
	return text
}

// Kinds of refusals: errors.Is tells whether a Problem is one.
var (
	ErrForbidden   = errors.New("not for who asks")          // 401 and 403
	ErrNotFound    = errors.New("not found")                 // 404
	ErrConflict    = errors.New("the cluster is not so")     // 409
	ErrChanged     = errors.New("changed since it was read") // 412: read it again, and decide anew
	ErrGone        = errors.New("too long ago")              // 410: begin anew
	ErrUnavailable = errors.New("not now")                   // 429 and 503: ask again later
)

// Is reports whether the refusal is of a kind.
func (p *Problem) Is(kind error) bool {
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return kind == ErrForbidden
	case http.StatusNotFound:
		return kind == ErrNotFound
	case http.StatusConflict:
		return kind == ErrConflict
	case http.StatusPreconditionFailed:
		return kind == ErrChanged
	case http.StatusGone:
		return kind == ErrGone
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return kind == ErrUnavailable
	}
	return false
}

// Ready reports whether the controller has loaded its state; the error says why not.
func (c *Client) Ready(ctx context.Context) error {
	_, err := get[json.RawMessage](ctx, c, "/readyz", nil)
	return err
}

// path is /v1/ and parts, escaped.
func path(parts ...string) string {
	p := "/v1"
	for _, part := range parts {
		p += "/" + url.PathEscape(part)
	}
	return p
}

// query is the pairs whose value is not empty.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// with is a path with a query, if there is one.
func with(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (T, error) {
	return do[T](ctx, c, http.MethodGet, with(path, q), nil)
}

func do[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	answer, _, err := exchange[T](ctx, c, method, path, body)
	return answer, err
}

// request makes a request. body, where there is one, goes with it as JSON.
func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode the request to %s: %w", path, err)
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, sent)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token := c.token(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if c.asOf != nil && method != http.MethodGet {
		req.Header.Set("If-Match", tagOf(*c.asOf))
	}
	return req, nil
}

// exchange sends body, where there is one, as JSON and decodes the answer.
func exchange[T any](ctx context.Context, c *Client, method, path string, body any) (answer T, header http.Header, err error) {
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return answer, nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer, nil, &UnreachableError{URL: c.url, Err: cause(err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return answer, nil, problem(resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return answer, nil, fmt.Errorf("answer of %s to %s %s: %w", c.url, method, path, err)
	}
	return answer, resp.Header, nil
}

// cause drops the address that the caller says anyway.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// problem reads an answer that refuses. Whoever stands between may answer with no problem
// document: then the status must do.
func problem(resp *http.Response) error {
	p := &Problem{}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && json.Unmarshal(b, p) == nil && p.Detail+p.Title != "" {
		return p
	}
	p.Status, p.Title = resp.StatusCode, resp.Status
	if text := strings.TrimSpace(string(b)); text != "" && len(text) < 200 {
		p.Detail = text
	}
	return p
}

// tagOf is the ETag of an object, whatever is shown of it.
func tagOf(modified store.Revision) string { return `"` + strconv.FormatInt(int64(modified), 10) + `"` }

// TypeHeld is the type of the problem that /readyz answers with while the controller holds: etcd does not hold the
// store that it serves.
const TypeHeld = "urn:sluice:held"

// Deleted tells the revision at which something went.
type Deleted struct {
	Revision store.Revision `json:"revision"`
}
