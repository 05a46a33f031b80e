package etcd

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/auth"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"sluice/pki"
	"sluice/store"
)

// door is where requests enter an embedded server that asks for certificates. etcd's roles confine
// who reads and writes which keys; the door refuses hosts what etcd lets every user do: to compact,
// to raise alarms, to keep other people's leases alive. It refuses who is no longer enrolled also
// where a stream was open before.
type door struct {
	server atomic.Pointer[etcdserver.EtcdServer] // nil: closed, etcd has not learnt its users yet
}

// forHosts are the methods that an agent needs.
var forHosts = []string{
	"/etcdserverpb.KV/Range", "/etcdserverpb.KV/Put", "/etcdserverpb.KV/DeleteRange", "/etcdserverpb.KV/Txn",
	"/etcdserverpb.Watch/Watch",
	"/etcdserverpb.Lease/LeaseGrant", "/etcdserverpb.Lease/LeaseRevoke", "/etcdserverpb.Lease/LeaseKeepAlive",
}

func (d *door) options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(d.unary), grpc.ChainStreamInterceptor(d.stream)}
}

func (d *door) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if _, err := d.enter(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func (d *door) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	c, err := d.enter(s.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	if c.who.Role != pki.RoleHost {
		return handle(srv, s)
	}
	own, end := context.WithCancel(s.Context())
	defer end()
	return handle(srv, hostStream{endingStream{s, own}, c, end})
}

// enter lets a request in, or says why not.
func (d *door) enter(ctx context.Context, method string) (*caller, error) {
	server := d.server.Load()
	if server == nil {
		return nil, status.Error(codes.Unavailable, "the embedded etcd is starting")
	}
	c, err := callerOf(ctx, server)
	if err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	switch {
	case c.who.Role == pki.RoleController:
		return c, letIn(ctx, server, c.who)
	case c.who.Role != pki.RoleHost:
		return nil, status.Errorf(codes.PermissionDenied, "%s is neither a controller nor a host: use the API", c.who)
	case !slices.Contains(forHosts, method):
		return nil, status.Errorf(codes.PermissionDenied, "%s may not call %s", c.who, method)
	}
	return c, c.enrolled(ctx)
}

// caller is who sends a request.
type caller struct {
	who       pki.Identity
	validFrom time.Time // of its certificate
	server    *etcdserver.EtcdServer
}

func callerOf(ctx context.Context, server *etcdserver.EtcdServer) (*caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, errors.New("the request comes from nowhere")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil, errors.New("the request comes without a certificate")
	}
	leaf := info.State.VerifiedChains[0][0]
	who, err := pki.Of(leaf)
	if err != nil {
		return nil, err
	}
	return &caller{who, leaf.NotBefore, server}, nil
}

// enrolled asks what etcd holds at this moment.
func (c *caller) enrolled(ctx context.Context) error {
	key := store.EnrolmentKey(c.who.Name)
	got, err := c.server.KV().Range(ctx, []byte(key.String()), nil, mvcc.RangeOptions{})
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	var enrolment *store.Enrolment
	if len(got.KVs) > 0 {
		o, err := store.Decode(key, got.KVs[0].Value)
		if err != nil {
			return status.Error(codes.PermissionDenied, err.Error())
		}
		enrolment = o.(*store.Enrolment)
	}
	if enrolment.Believes(c.validFrom) {
		return nil
	}
	return c.stranger(ctx)
}

// stranger says why a host is not believed. In an etcd that was wiped nobody is enrolled: to have
// all hosts join that one would be the wrong thing to do.
func (c *caller) stranger(ctx context.Context) error {
	got, err := c.server.KV().Range(ctx, []byte(store.IdentityKey().String()), nil, mvcc.RangeOptions{})
	if err == nil && len(got.KVs) == 0 {
		return status.Errorf(codes.FailedPrecondition, "host %s is not enrolled, as nobody is: this etcd holds no store yet, or was wiped: `sluice status` says what its controller knows", c.who.Name)
	}
	return status.Errorf(codes.PermissionDenied, "host %s is not enrolled, or not with this certificate: let it join with a token of `sluice host invite %s`, "+
		"or, where its certificate was made by hand, say `sluice host enrol %s`", c.who.Name, c.who.Name, c.who.Name)
}

// mayKeep refuses to keep a lease alive that others' keys are under: that of a controller which
// died must end, and so must that of another host. Who may read a key sees its lease's number.
func (c *caller) mayKeep(ctx context.Context, id int64) error {
	for {
		l, err := c.server.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: id, Keys: true})
		switch {
		case errors.Is(err, auth.ErrAuthOldRevision): // a user came or went just now
			continue
		case errors.Is(err, lease.ErrLeaseNotFound):
			return nil
		case errors.Is(err, auth.ErrPermissionDenied):
			return status.Errorf(codes.PermissionDenied, "lease %x is not of %s", id, c.who)
		case err != nil:
			return status.Error(codes.Unavailable, err.Error())
		}
		for _, key := range l.Keys {
			if !store.HostMayWrite(c.who.Name, string(key)) {
				return status.Errorf(codes.PermissionDenied, "lease %x is not of %s: it holds %s", id, c.who, key)
			}
		}
		return nil
	}
}

// hostStream is a watch, or the renewals of leases, of a host. It ends when the host is not
// enrolled any more: etcd asks only when it begins.
type hostStream struct {
	endingStream
	*caller
	end context.CancelFunc // etcd goes on where one message cannot be sent
}

func (s hostStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if err := s.enrolled(s.Context()); err != nil {
		return err
	}
	if renewal, ok := m.(*pb.LeaseKeepAliveRequest); ok {
		return s.mayKeep(s.Context(), renewal.ID)
	}
	return nil
}

func (s hostStream) SendMsg(m any) error {
	if err := s.enrolled(s.Context()); err != nil {
		s.end()
		return err
	}
	return s.ServerStream.SendMsg(m)
}
