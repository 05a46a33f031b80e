package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"sluice/pki"
)

const (
	// quotaBytes bounds the embedded server's database: 100,000 ports need 90 MB.
	quotaBytes = 4 << 30
	// compactionRetention is how long old revisions stay: a watcher that was cut off for
	// longer lists again.
	compactionRetention = 10 * time.Minute
	// slowRequest is when the server logs a request.
	slowRequest = time.Second
)

// EmbedOptions say where the embedded server keeps its data and listens.
type EmbedOptions struct {
	Name, Dir          string // Name empty: "sluice"
	ClientURL, PeerURL string // such as https://127.0.0.1:2379; nothing dials PeerURL
	// PKI is this controller's certificate. With it the server asks clients for theirs, and lets each
	// do what it may; the URLs are https. Without it the server serves everybody who reaches it.
	PKI *pki.Source
	// Open serves everybody although the server asked for certificates before.
	Open bool
	// History is for how long what was overwritten or deleted can be read; 0: 10 minutes.
	History time.Duration
	Log     *slog.Logger
}

// Embedded is a running etcd server of one node.
type Embedded struct {
	server *embed.Etcd
	log    *gate
	end    context.CancelFunc // of every stream
	close  sync.Once
}

// StartEmbedded starts a server and returns when it answers.
func StartEmbedded(ctx context.Context, o EmbedOptions) (*Embedded, error) {
	log := &gate{}
	config, err := o.config(log)
	if err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	if err := unlocked(o.Dir); err != nil {
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	door := &door{}
	config.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.ChainStreamInterceptor(endWith(serving))}
	if o.PKI != nil {
		config.GRPCAdditionalServerOptions = append(config.GRPCAdditionalServerOptions, door.options()...)
	}
	server, err := embed.StartEtcd(config)
	if err != nil {
		end()
		return nil, fmt.Errorf("embedded etcd: %w", explain(err, o))
	}
	if err := o.ready(ctx, server); err != nil {
		end()
		server.Close()
		return nil, fmt.Errorf("embedded etcd: %w", err)
	}
	door.server.Store(server.Server)
	log.open.Store(true)
	return &Embedded{server: server, log: log, end: end}, nil
}

// ready waits until the server answers, and settles whom it serves.
func (o EmbedOptions) ready(ctx context.Context, server *embed.Etcd) error {
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return err
	case <-ctx.Done():
		return fmt.Errorf("not ready in time: %w", ctx.Err())
	}
	switch asks := server.Server.AuthStore().IsAuthEnabled(); {
	case o.PKI != nil:
		return learnUsers(ctx, server.Server, o.PKI.Identity())
	case asks && !o.Open:
		return errors.New("it asked for certificates until now, and has none itself: give the controller its own, or, to serve everybody again, --insecure")
	case asks:
		return forgetUsers(ctx, server.Server)
	}
	return nil
}

func explain(err error, o EmbedOptions) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: another etcd, or another controller, listens there: stop it, choose other URLs than %s and %s, or use it by --etcd-endpoints", err, o.ClientURL, o.PeerURL)
	}
	return err
}

func (o EmbedOptions) config(log *gate) (*embed.Config, error) {
	client, err := url.Parse(o.ClientURL)
	if err != nil {
		return nil, fmt.Errorf("client URL: %w", err)
	}
	peer, err := url.Parse(o.PeerURL)
	if err != nil {
		return nil, fmt.Errorf("peer URL: %w", err)
	}
	if o.PKI != nil && (client.Scheme == "http" || peer.Scheme == "http") {
		return nil, fmt.Errorf("URLs %s and %s: with certificates both begin with https://", o.ClientURL, o.PeerURL)
	}
	c := embed.NewConfig()
	c.Name, c.Dir = o.Name, o.Dir
	if c.Name == "" {
		c.Name = "sluice"
	}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, cmp.Or(o.History, compactionRetention).String()
	c.QuotaBackendBytes = quotaBytes
	c.WarningUnaryRequestDuration = slowRequest
	// One node elects itself: short ticks bring it up after a restart in a fraction of the
	// second that they would take by default.
	c.TickMs, c.ElectionMs = 20, 200
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(forward(o.Log, log)))
	if o.PKI != nil {
		secure(c, o.PKI)
	}
	return c, nil
}

// unlocked refuses a directory that another process serves: etcd would wait for it.
func unlocked(dir string) error {
	file, err := os.Open(filepath.Join(dir, "member", "snap", "db"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close() // and the lock with it
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("data directory %s is in use by another process (%w): stop that controller, or choose another --data-dir", dir, err)
	}
	return nil
}

// Endpoints are what a client passes to Connect.
func (e *Embedded) Endpoints() []string {
	out := make([]string, 0, len(e.server.Config().AdvertiseClientUrls))
	for _, u := range e.server.Config().AdvertiseClientUrls {
		out = append(out, u.String())
	}
	return out
}

// Close stops the server; what was acknowledged is on disk.
func (e *Embedded) Close() {
	e.close.Do(func() {
		e.log.open.Store(false)
		e.end()
		e.server.Close()
	})
}

// endWith ends streams, which are watches and leases, when ctx does. Closing etcd waits
// five seconds for them otherwise, and clients never end theirs.
func endWith(ctx context.Context) grpc.StreamServerInterceptor {
	return func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		own, cancel := context.WithCancel(s.Context())
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		return handle(srv, endingStream{s, own})
	}
}

// endingStream is a stream with a context that ends earlier.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s endingStream) Context() context.Context { return s.ctx }
