package hostagent

import (
	"context"
	"net/netip"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
	"sluice/store/etcd"
)

// Store is what an agent uses of etcd's client: it writes its host, its host's ports and
// its requests, and reads the rest. *etcd.Client says what each method promises.
type Store interface {
	Trust(o etcd.TrustOptions) (*etcd.Trust, error)
	Trusted() (since time.Time, right bool)
	TakePortBack(ctx context.Context, r store.Readoption) (store.Item[store.Port], error)
	PutIf(ctx context.Context, key store.Key, o store.Object, modified store.Revision, lease clientv3.LeaseID) (store.Revision, error)
	Delete(ctx context.Context, key store.Key) (store.Revision, error)
	GrantLease(ctx context.Context, ttlSeconds int) (*etcd.Lease, error)
	MayRegister(ctx context.Context, name string, h store.Host) error
	RegisterHost(ctx context.Context, name string, h store.Host) (*etcd.Registration, error)
	CreatePort(ctx context.Context, s store.PortSpec) (store.Item[store.Port], error)
	Reserve(ctx context.Context, r store.Reservation) (netip.Prefix, error)
	Unreserve(ctx context.Context, host string, network store.NetworkName, address netip.Addr) error
	UndoPort(ctx context.Context, key store.Key, uid string, hostCreated store.Revision) (store.Revision, error)
	DeletePortOf(ctx context.Context, key store.Key, uid string, hostCreated store.Revision) (store.Revision, error)
	Get(ctx context.Context, key store.Key) (store.Object, store.Revision, error)
	List(ctx context.Context, kind store.Kind, prefix ...string) ([]store.Event, store.Revision, error)
	NetworkMACs(ctx context.Context, network store.NetworkName, limit int64) ([]store.MAC, error)
	TenantHosts(ctx context.Context, tenant string, limit int64) (hosts []string, all bool, err error)
	WaitHost(ctx context.Context, host string, rev store.Revision, port store.Key) error
	WaitAll(ctx context.Context, hosts []string, rev store.Revision, port store.Key) (behind []string, err error)
	HostsChanged(ctx context.Context, after store.Revision) <-chan struct{}
	AddressesChanged(ctx context.Context, after store.Revision) <-chan struct{}
	EgressChanged(ctx context.Context, after store.Revision) <-chan struct{}
	PublishedChanged(ctx context.Context, after store.Revision) <-chan struct{}
	Follow(ctx context.Context, kind store.Kind, handle func(store.Batch) error) error
	LiveChanged(ctx context.Context, after store.Revision) <-chan struct{}
}
