package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/auth"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver"

	"sluice/pki"
)

// rootUser and rootRole are etcd's own names for who may do everything. No certificate has that
// name: only this process acts under it.
const rootUser, rootRole = "root", "root"

// maxSocket is how long the path of a unix socket may be.
const maxSocket = 100

// secure makes a server ask for certificates, of clients and of other members.
func secure(c *embed.Config, p *pki.Source) {
	files := transport.TLSInfo{
		CertFile: p.File(), KeyFile: p.File(), TrustedCAFile: p.AuthorityFile(), ClientCertAuth: true,
	}
	c.ClientTLSInfo, c.PeerTLSInfo = files, files
	c.TlsMinVersion = "TLS1.3"
	c.EnableGRPCGateway = false // it would speak to the server as this process
	// etcd's port serves gRPC alone: with HTTP beside it both go through Go's HTTP server, and a
	// request takes half as long again. What HTTP has, health and metrics, is for who may read the directory.
	if socket := filepath.Join(c.Dir, "http.sock"); len(socket) < maxSocket {
		c.ListenClientHttpUrls = []url.URL{{Scheme: "unix", Path: socket}}
	}
}

// learnUsers makes etcd confine its users: a controller's certificate may do everything, a host's
// what store says. It changes nothing where etcd knows that. The caller lets nobody in before.
func learnUsers(ctx context.Context, server *etcdserver.EtcdServer, self pki.Identity) error {
	if err := ensureRoot(ctx, server, rootUser); err != nil {
		return err
	}
	if err := ensureRoot(ctx, server, self.String()); err != nil {
		return err
	}
	if server.AuthStore().IsAuthEnabled() {
		return nil
	}
	if _, err := server.AuthEnable(ctx, &pb.AuthEnableRequest{}); err != nil {
		return fmt.Errorf("enable etcd's users: %w", err)
	}
	return nil
}

// letIn sees to it that etcd knows a controller: its certificate is from the authority, and that
// is all it takes.
func letIn(ctx context.Context, server *etcdserver.EtcdServer, who pki.Identity) error {
	if err := ensureRoot(context.WithoutCancel(ctx), server, who.String()); err != nil {
		return fmt.Errorf("let %s in: %w", who, err)
	}
	return nil
}

// ensureRoot makes a user without a password who may do everything.
func ensureRoot(ctx context.Context, server *etcdserver.EtcdServer, user string) error {
	users := server.AuthStore()
	known, err := users.UserGet(&pb.AuthUserGetRequest{Name: user})
	if err == nil && len(known.Roles) > 0 {
		return nil
	}
	ctx = users.WithRoot(ctx)
	_, err = server.UserAdd(ctx, &pb.AuthUserAddRequest{Name: user, Options: &authpb.UserAddOptions{NoPassword: true}})
	if err != nil && !errors.Is(err, auth.ErrUserAlreadyExist) {
		return fmt.Errorf("add the user %s to etcd: %w", user, err)
	}
	if _, err := server.UserGrantRole(users.WithRoot(ctx), &pb.AuthUserGrantRoleRequest{User: user, Role: rootRole}); err != nil {
		return fmt.Errorf("grant the role %s to the user %s of etcd: %w", rootRole, user, err)
	}
	return nil
}

// forgetUsers makes a server serve everybody again.
func forgetUsers(ctx context.Context, server *etcdserver.EtcdServer) error {
	if _, err := server.AuthDisable(server.AuthStore().WithRoot(ctx), &pb.AuthDisableRequest{}); err != nil {
		return fmt.Errorf("disable etcd's users: %w", err)
	}
	return nil
}
