package etcd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/pki"
	"sluice/store"
)

const (
	// requestTimeout bounds one request, so that a caller without a deadline learns that
	// etcd is away.
	requestTimeout = 10 * time.Second
	// dialTimeout bounds one attempt of Connect.
	dialTimeout = 3 * time.Second
	// maxRedial bounds the pause between attempts to reconnect: gRPC's own is two minutes.
	maxRedial = 3 * time.Second
	// keepAlive finds a dead connection under an idle watch. etcd refuses less than 5 s.
	keepAlive = 10 * time.Second
	// defaultCompare is how often Watch compares what it yielded with a fresh list.
	defaultCompare = 10 * time.Minute
)

// Options say how to reach etcd. The zero value of each field but Endpoints is usable.
type Options struct {
	Endpoints []string // URLs: http://127.0.0.1:2379; https:// with the files below
	// CAFile is who signed the servers' certificates (empty: the system's authorities);
	// CertFile and KeyFile are the client's own, both or neither. PEM.
	CAFile, CertFile, KeyFile string
	User, Password            string
	// PKI is the client's certificate and the authority of the servers', instead of these files.
	PKI *pki.Source
	Log *slog.Logger // nil: silent
	// CompareInterval is how often Watch looks for events that the watch lost; 0: 10 minutes.
	CompareInterval time.Duration
	// Version is the program's, which RegisterHost tells the cluster; empty: it is not told.
	Version string
}

// Client talks to one etcd cluster. It is safe for concurrent use.
type Client struct {
	etcd      *clientv3.Client
	log       *slog.Logger
	endpoints string // for messages
	compare   time.Duration
	version   string
	settle    time.Duration // how long Watch lets events arrive before it calls them lost
	links     *links        // that lead to etcd
	trust     *Trust        // nil: whatever etcd holds is believed
	crowds    crowds

	mu       sync.Mutex
	problems map[string]store.Problem // path -> why its value cannot be read
	// unknown are the paths of each kind that this version does not know.
	unknown map[string]map[string]bool
}

// Connect dials until etcd answers, ctx ends, or etcd refuses user or password.
func Connect(ctx context.Context, o Options) (*Client, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	links := newLinks()
	config, err := o.config(links)
	if err != nil {
		return nil, err
	}
	endpoints := strings.Join(o.Endpoints, ", ")
	var last error
	dial := func() (*clientv3.Client, error) {
		client, err := dialOnce(ctx, config)
		if err != nil && ctx.Err() == nil {
			last = err
		}
		return client, err
	}
	client, err := backoff.Retry(ctx, dial,
		backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 100 * time.Millisecond,
			RandomizationFactor: 0.3, Multiplier: 1.6, MaxInterval: 5 * time.Second}),
		backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, next time.Duration) {
			o.Log.Warn("etcd does not answer", "endpoints", endpoints, "err", err, "retry", next.Round(time.Millisecond))
		}))
	if err != nil {
		if last != nil && !errors.Is(last, err) {
			err = fmt.Errorf("%w: %w", last, err)
		}
		return nil, fmt.Errorf("connect to etcd at %s: %w", endpoints, err)
	}
	return o.client(client, links), nil
}

// Open is Connect for who has work to do without etcd: it dials once, and where etcd is away it
// returns a client whose requests fail with store.ErrUnavailable until etcd is there. It waits as Connect
// does where a password is given, for which etcd is needed first.
func Open(ctx context.Context, o Options) (*Client, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.User != "" {
		return Connect(ctx, o)
	}
	links := newLinks()
	config, err := o.config(links)
	if err != nil {
		return nil, err
	}
	endpoints := strings.Join(o.Endpoints, ", ")
	client, err := dialOnce(ctx, config)
	var no *backoff.PermanentError
	switch {
	case err == nil:
		return o.client(client, links), nil
	case errors.As(err, &no) && !wiped(err) || ctx.Err() != nil:
		return nil, fmt.Errorf("connect to etcd at %s: %w", endpoints, err)
	}
	o.Log.Warn("etcd does not answer: going on without it until it does", "endpoints", endpoints, "err", err)
	if client, err = clientv3.New(config); err != nil {
		return nil, fmt.Errorf("make a client of etcd at %s: %w", endpoints, err)
	}
	return o.client(client, links), nil
}

func (o Options) client(client *clientv3.Client, links *links) *Client {
	return &Client{
		etcd: client, log: o.Log, endpoints: strings.Join(o.Endpoints, ", "), links: links, problems: map[string]store.Problem{}, unknown: map[string]map[string]bool{}, version: o.Version,
		compare: cmp.Or(o.CompareInterval, defaultCompare), settle: 5 * time.Second,
	}
}

// dialOnce connects and reads one key, so that a client that comes back works.
func dialOnce(ctx context.Context, config clientv3.Config) (*clientv3.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	client, err := clientv3.New(config)
	if err == nil {
		if _, err = client.Get(ctx, store.TenantKey("probe").String(), clientv3.WithKeysOnly()); err == nil {
			return client, nil
		}
		client.Close()
	}
	if refused(err) {
		return nil, backoff.Permanent(err)
	}
	return nil, err
}

// refused reports whether trying again cannot help: etcd answered, and said no.
func refused(err error) bool {
	for _, e := range []error{rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty, rpctypes.ErrPermissionDenied, rpctypes.ErrAuthNotEnabled} {
		if errors.Is(rpctypes.Error(err), e) {
			return true
		}
	}
	return codeOf(err) == codes.PermissionDenied || wiped(err) // by an embedded server's door, which says why
}

// wiped reports whether an embedded server's door says that its etcd holds no store. The right one may come back.
func wiped(err error) bool { return codeOf(err) == codes.FailedPrecondition }

func (o Options) config(links *links) (clientv3.Config, error) {
	if len(o.Endpoints) == 0 {
		return clientv3.Config{}, fmt.Errorf("no etcd endpoint given: %w", store.ErrInvalid)
	}
	security, err := o.tls()
	if err != nil {
		return clientv3.Config{}, err
	}
	return clientv3.Config{
		Endpoints: o.Endpoints, Username: o.User, Password: o.Password, TLS: security,
		DialTimeout: dialTimeout, DialKeepAliveTime: keepAlive, DialKeepAliveTimeout: keepAlive,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           grpcbackoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: maxRedial},
			MinConnectTimeout: dialTimeout,
		}), grpc.WithStatsHandler(links)},
		// The client's own warnings repeat the errors that its calls return.
		Logger: zap.NewNop(),
	}, nil
}

func (o Options) tls() (*tls.Config, error) {
	secure := false
	for _, e := range o.Endpoints {
		secure = secure || strings.HasPrefix(e, "https://")
	}
	given := o.CAFile != "" || o.CertFile != "" || o.KeyFile != ""
	switch {
	case given && !secure:
		return nil, fmt.Errorf("etcd certificates are given but no endpoint begins with https://: %w", store.ErrInvalid)
	case !secure:
		return nil, nil
	case o.PKI != nil && !given:
		return o.PKI.Client(), nil
	}
	info := transport.TLSInfo{TrustedCAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile, Logger: zap.NewNop()}
	config, err := info.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("etcd certificates: %w", err)
	}
	return config, nil
}

// Close ends the connection; watches, waits and leases of this client end with it.
func (c *Client) Close() error {
	if err := c.etcd.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close etcd client: %w", err)
	}
	return nil
}

// Problems are the keys whose values cannot be read; Watch treats them as absent.
func (c *Client) Problems() []store.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	problems := make([]store.Problem, 0, len(c.problems))
	for _, p := range c.problems {
		problems = append(problems, p)
	}
	return problems
}

// failed says for a user what an error of the client's means.
func (c *Client) failed(err error) error {
	err = rpctypes.Error(err)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), codeOf(err) == codes.Unavailable:
		return fmt.Errorf("%w: etcd at %s did not answer: %w", store.ErrUnavailable, c.endpoints, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("etcd at %s is full: compact and defragment it, then disarm its alarm: %w", c.endpoints, err)
	}
	return fmt.Errorf("etcd at %s: %w", c.endpoints, err)
}

func codeOf(err error) codes.Code {
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		return e.Code()
	}
	return status.Code(err)
}

// txn commits one transaction. It refuses names that are not valid: every request by name comes
// through here or through list.
func (c *Client) txn(ctx context.Context, cmps []clientv3.Cmp, then, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	for _, ops := range [][]clientv3.Op{then, otherwise} {
		if err := checkOps(ops); err != nil {
			return nil, err
		}
	}
	return c.txnAsRead(ctx, cmps, then, otherwise)
}

// checkOps refuses operations on paths that were made of names which are not valid.
func checkOps(ops []clientv3.Op) error {
	for _, op := range ops {
		if op.IsTxn() {
			_, then, otherwise := op.Txn()
			if err := errors.Join(checkOps(then), checkOps(otherwise)); err != nil {
				return err
			}
			continue
		}
		if err := store.CheckPath(string(op.KeyBytes())); err != nil {
			return err
		}
	}
	return nil
}

// txnAsRead commits one transaction, on paths that etcd itself told, whatever they look like, if
// it meets the store that this client believes.
func (c *Client) txnAsRead(ctx context.Context, cmps []clientv3.Cmp, then, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for again := true; ; again = false {
		proof, err := c.trust.proven(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := c.tryTxn(ctx, proof, cmps, then, otherwise)
		if err == nil || !errors.Is(err, errStale) {
			return resp, err
		}
		if err := c.trust.Judge(ctx); err != nil {
			return nil, err
		}
		if !again {
			return nil, fmt.Errorf("%w: etcd holds now one store and now another: do its endpoints (%s) belong together?", store.ErrHeld, c.endpoints)
		}
	}
}

// tryTxn fails with errStale where etcd's store is not the one that the proof is of: nothing was
// read or written then.
func (c *Client) tryTxn(ctx context.Context, proof []guard, cmps []clientv3.Cmp, then, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	own := len(otherwise)
	for _, g := range proof {
		cmps, otherwise = append(cmps[:len(cmps):len(cmps)], g.cmp), append(otherwise[:len(otherwise):len(otherwise)], g.get)
	}
	resp, err := c.etcd.Txn(ctx).If(cmps...).Then(then...).Else(otherwise...).Commit()
	if err != nil {
		return nil, c.failed(err)
	}
	if resp.Succeeded {
		if slices.ContainsFunc(then, writes) {
			c.trust.saw(store.Revision(resp.Header.Revision))
		}
		return resp, nil
	}
	got := ranges(resp)
	for i, g := range proof {
		if err := g.explain(got[own+i]); err != nil {
			return nil, err
		}
	}
	resp.Responses = resp.Responses[:own]
	return resp, nil
}

// writes reports whether an operation is not just a read.
func writes(op clientv3.Op) bool { return !op.IsGet() }

// read gets several keys or ranges at one revision.
func (c *Client) read(ctx context.Context, gets ...clientv3.Op) ([]*clientv3.GetResponse, store.Revision, error) {
	if err := checkOps(gets); err != nil {
		return nil, 0, err
	}
	return c.readAsRead(ctx, gets...)
}

// readAsRead gets keys or ranges that etcd itself told, or that hold several kinds.
func (c *Client) readAsRead(ctx context.Context, gets ...clientv3.Op) ([]*clientv3.GetResponse, store.Revision, error) {
	resp, err := c.txnAsRead(ctx, nil, gets, nil)
	if err != nil {
		return nil, 0, err
	}
	return ranges(resp), store.Revision(resp.Header.Revision), nil
}

// ranges are the answers to a transaction's gets; nil where the operation was another.
func ranges(resp *clientv3.TxnResponse) []*clientv3.GetResponse {
	out := make([]*clientv3.GetResponse, len(resp.Responses))
	for i, r := range resp.Responses {
		out[i] = (*clientv3.GetResponse)(r.GetResponseRange())
	}
	return out
}
