package etcd

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Options say how to reach etcd.
type Options struct {
	Endpoints                 []string
	CAFile, CertFile, KeyFile string
	User, Password            string
	Log                       *slog.Logger
	CompareInterval           time.Duration
}

// Client talks to etcd.
type Client struct{}

func Connect(ctx context.Context, o Options) (*Client, error) { panic("skeleton") }
func (c *Client) Close() error                                { panic("skeleton") }

type EmbedOptions struct {
	Name, Dir          string
	ClientURL, PeerURL string
	Log                *slog.Logger
}
type Embedded struct{}

func StartEmbedded(ctx context.Context, o EmbedOptions) (*Embedded, error) { panic("skeleton") }
func (e *Embedded) Endpoints() []string                                    { panic("skeleton") }
func (e *Embedded) Close()                                                 {}

func (c *Client) Watch(ctx context.Context, handle func(store.Batch) error) error { panic("skeleton") }

type TenantSpec struct {
	Name         string
	Gateway      string
	Segmentation store.Segmentation
	Subnets      []netip.Prefix
	Hosts        []string
	Limits       store.Limits
	Labels       store.Labels
}

func (c *Client) CreateTenant(ctx context.Context, s TenantSpec) (store.Revision, error) {
	panic("skeleton")
}
func (c *Client) DeleteTenant(ctx context.Context, name string) (store.Revision, error) {
	panic("skeleton")
}

type NetworkSpec struct {
	Tenant, Name string
	Segmentation store.Segmentation
	Subnets      []netip.Prefix
	Gateways     []netip.Addr
	MTU          int
	Flood        store.FloodMode
}

func (c *Client) CreateNetwork(ctx context.Context, s NetworkSpec) (store.Revision, error) {
	panic("skeleton")
}
func (c *Client) DeleteNetwork(ctx context.Context, n store.NetworkName) (store.Revision, error) {
	panic("skeleton")
}

type Registration struct {
	Created store.Revision
	Host    store.Host
	Lease   *Lease
}

func (c *Client) RegisterHost(ctx context.Context, name string, h store.Host) (*Registration, error) {
	panic("skeleton")
}
func (r *Registration) Lost() <-chan struct{} { panic("skeleton") }
func (r *Registration) Err() error            { panic("skeleton") }
func (r *Registration) Close() error          { panic("skeleton") }
func (c *Client) DeleteHost(ctx context.Context, name string) (store.Revision, error) {
	panic("skeleton")
}

type PortSpec struct {
	Host                       string
	HostCreated                store.Revision
	Tenant, Network, Name, UID string
	Address                    netip.Addr
	MAC                        store.MAC
	ContainerID, Runtime       string
	Labels                     store.Labels
	Limits                     store.Limits
}

func (c *Client) CreatePort(ctx context.Context, s PortSpec) (store.Item[store.Port], error) {
	panic("skeleton")
}
func (c *Client) DeletePort(ctx context.Context, key store.Key, hostCreated store.Revision) (store.Revision, error) {
	panic("skeleton")
}
func (c *Client) Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error) {
	panic("skeleton")
}
func (c *Client) List(ctx context.Context, kind store.Kind, prefix ...string) ([]store.Event, store.Revision, error) {
	panic("skeleton")
}
func (c *Client) PutIf(ctx context.Context, key store.Key, o store.Object, modified store.Revision, lease clientv3.LeaseID) (store.Revision, error) {
	panic("skeleton")
}
func (c *Client) Delete(ctx context.Context, key store.Key) (store.Revision, error) {
	panic("skeleton")
}
func (c *Client) PutStatus(ctx context.Context, events []store.Event) error { panic("skeleton") }
func (c *Client) ReleaseTombstones(ctx context.Context, realized store.Revision) (int, error) {
	panic("skeleton")
}

type Lease struct{ ID clientv3.LeaseID }

func (c *Client) GrantLease(ctx context.Context, ttlSeconds int) (*Lease, error) { panic("skeleton") }
func (l *Lease) Lost() <-chan struct{}                                           { panic("skeleton") }
func (l *Lease) Close() error                                                    { panic("skeleton") }
func (c *Client) Elect(ctx context.Context, name, id string) (leader <-chan bool) {
	panic("skeleton")
}
func (c *Client) WaitHost(ctx context.Context, host string, rev store.Revision, port store.Key) error {
	panic("skeleton")
}
func (c *Client) WaitAll(ctx context.Context, rev store.Revision, hosts []string) (behind []string, err error) {
	panic("skeleton")
}
