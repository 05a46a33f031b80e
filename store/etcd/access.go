package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"sluice/pki"
	"sluice/store"
)

// roleHosts is the role in etcd that each host has, beside one of its own, which is called as its
// user is: that is the name in its certificate.
const roleHosts = "sluice-hosts"

// hostPrefix is how the names of hosts' users and roles begin.
var hostPrefix = pki.Host("").String()

// Confines reports whether etcd asks who somebody is. Where it does not there are no users to keep.
func (c *Client) Confines(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// etcd tells its administrators alone how it stands; whoever is refused has his answer.
	resp, err := c.etcd.AuthStatus(ctx)
	if codeOf(err) == codes.Unimplemented { // by etcd 3.4: who made the user root enabled users then
		if _, err = c.etcd.UserGet(ctx, rootUser); errors.Is(rpctypes.Error(err), rpctypes.ErrUserNotFound) {
			return false, nil
		}
		resp = &clientv3.AuthStatusResponse{Enabled: true}
	}
	switch {
	case denied(err):
		return true, fmt.Errorf("users of etcd: %w: this controller may not keep them: see `sluice pki etcd`", store.ErrNotAllowed)
	case err != nil:
		return false, fmt.Errorf("users of etcd: %w", c.failed(err))
	}
	return resp.Enabled, nil
}

func denied(err error) bool {
	return errors.Is(rpctypes.Error(err), rpctypes.ErrPermissionDenied) || errors.Is(rpctypes.Error(err), rpctypes.ErrUserNotFound)
}

// KeepUsers brings etcd's users in line with the hosts that are enrolled: each of these has one, and
// no other host has. It does nothing where etcd does not ask who somebody is.
func (c *Client) KeepUsers(ctx context.Context, hosts []string) error {
	return c.keepUsers(ctx, hosts, func(known bool) bool { return !known })
}

// AuditUsers does what KeepUsers does, and sees to it that each host's user may do what store grants
// to hosts, neither more nor less. It writes nothing where all is right, and reads some things for each
// host.
func (c *Client) AuditUsers(ctx context.Context, hosts []string) error {
	return c.keepUsers(ctx, hosts, func(bool) bool { return true })
}

// keepUsers looks whether there are users for the hosts and no others, and at what those may do for
// whom look says so.
func (c *Client) keepUsers(ctx context.Context, hosts []string, look func(known bool) bool) error {
	if err := checkNames(hosts, store.Key{}); err != nil {
		return fmt.Errorf("users of etcd: %w", err)
	}
	if confines, err := c.Confines(ctx); err != nil || !confines {
		return err
	}
	users, err := c.names(ctx, func(ctx context.Context) ([]string, error) {
		r, err := c.etcd.UserList(ctx)
		return (*pb.AuthUserListResponse)(r).GetUsers(), err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, user := range users {
		if host, ok := strings.CutPrefix(user, hostPrefix); ok && !slices.Contains(hosts, host) {
			errs = append(errs, c.removeStranger(ctx, host))
		}
	}
	if err := c.keepRole(ctx, roleHosts, store.GrantsToHosts()); err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, host := range hosts {
		if look(slices.Contains(users, pki.Host(host).String())) {
			errs = append(errs, c.keepHost(ctx, host))
		}
	}
	return errors.Join(errs...)
}

// AddUser lets etcd know one host more, as AuditUsers does all of them.
func (c *Client) AddUser(ctx context.Context, host string) error {
	if err := checkNames([]string{host}, store.Key{}); err != nil {
		return fmt.Errorf("users of etcd: %w", err)
	}
	if confines, err := c.Confines(ctx); err != nil || !confines {
		return err
	}
	for {
		err := c.keepRole(ctx, roleHosts, store.GrantsToHosts())
		if err == nil {
			err = c.keepHost(ctx, host)
		}
		// Another controller may remove at the same time what an earlier host of the name left.
		if !errors.Is(err, rpctypes.ErrRoleNotFound) && !errors.Is(err, rpctypes.ErrUserNotFound) || ctx.Err() != nil {
			return err
		}
	}
}

// removeStranger removes the user of a host that etcd does not hold as enrolled at this moment: whoever
// calls may not have seen the latest.
func (c *Client) removeStranger(ctx context.Context, host string) error {
	_, at, err := c.Get(ctx, store.EnrolmentKey(host))
	if at > 0 && err == nil {
		return nil
	}
	if errors.Is(err, store.ErrInvalid) { // no host has that name, and none is enrolled
		err = nil
	}
	if err != nil {
		return err
	}
	return c.removeUser(ctx, host)
}

// removeUser removes the user first: a role without a user harms nobody.
func (c *Client) removeUser(ctx context.Context, host string) error {
	user := pki.Host(host).String()
	err := c.change(ctx, rpctypes.ErrUserNotFound, func(ctx context.Context) error { return second(c.etcd.UserDelete(ctx, user)) })
	if err == nil {
		err = c.change(ctx, rpctypes.ErrRoleNotFound, func(ctx context.Context) error { return second(c.etcd.RoleDelete(ctx, user)) })
	}
	if err != nil {
		return fmt.Errorf("remove the user %s from etcd: %w", user, err)
	}
	return nil
}

// keepHost keeps the role first: a user is never there without what confines it.
func (c *Client) keepHost(ctx context.Context, host string) error {
	user := pki.Host(host).String()
	if err := c.keepRole(ctx, user, store.GrantsToHost(host)); err != nil {
		return err
	}
	if err := c.keepUser(ctx, user, user, roleHosts); err != nil {
		return fmt.Errorf("user %s of etcd: %w", user, err)
	}
	return nil
}

// keepUser sees to it that there is a user without a password who has just these roles.
func (c *Client) keepUser(ctx context.Context, user string, roles ...string) error {
	has, err := c.names(ctx, func(ctx context.Context) ([]string, error) {
		r, err := c.etcd.UserGet(ctx, user)
		return (*pb.AuthUserGetResponse)(r).GetRoles(), err
	})
	if errors.Is(err, rpctypes.ErrUserNotFound) {
		err = c.change(ctx, rpctypes.ErrUserAlreadyExist, func(ctx context.Context) error {
			return second(c.etcd.UserAddWithOptions(ctx, user, "", &clientv3.UserAddOptions{NoPassword: true}))
		})
	}
	if err != nil {
		return err
	}
	for _, role := range roles {
		if slices.Contains(has, role) {
			continue
		}
		if err := c.change(ctx, nil, func(ctx context.Context) error { return second(c.etcd.UserGrantRole(ctx, user, role)) }); err != nil {
			return err
		}
	}
	for _, role := range has {
		if slices.Contains(roles, role) {
			continue
		}
		if err := c.change(ctx, rpctypes.ErrRoleNotGranted, func(ctx context.Context) error { return second(c.etcd.UserRevokeRole(ctx, user, role)) }); err != nil {
			return err
		}
	}
	return nil
}

// permission is what a role may do with a range of keys, as etcd has it.
type permission struct{ from, to string }

// keepRole sees to it that there is a role with just these grants.
func (c *Client) keepRole(ctx context.Context, role string, grants []store.Grant) error {
	has, err := c.permissions(ctx, role)
	if err != nil {
		return fmt.Errorf("role %s of etcd: %w", role, err)
	}
	for _, g := range grants {
		p, may := permissionOf(g)
		had, exists := has[p]
		delete(has, p)
		if exists && had == may {
			continue
		}
		grant := func(ctx context.Context) error {
			return second(c.etcd.RoleGrantPermission(ctx, role, p.from, p.to, clientv3.PermissionType(may)))
		}
		if err := c.change(ctx, nil, grant); err != nil {
			return fmt.Errorf("role %s of etcd: grant %s: %w", role, g.Path, err)
		}
	}
	for p := range maps.Keys(has) {
		revoke := func(ctx context.Context) error { return second(c.etcd.RoleRevokePermission(ctx, role, p.from, p.to)) }
		if err := c.change(ctx, rpctypes.ErrPermissionNotGranted, revoke); err != nil {
			return fmt.Errorf("role %s of etcd: revoke %s: %w", role, p.from, err)
		}
	}
	return nil
}

// permissions are a role's; where there is no such role it is made.
func (c *Client) permissions(ctx context.Context, role string) (map[permission]authpb.Permission_Type, error) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.etcd.RoleGet(bounded, role)
	if errors.Is(rpctypes.Error(err), rpctypes.ErrRoleNotFound) {
		return nil, c.change(ctx, rpctypes.ErrRoleAlreadyExist, func(ctx context.Context) error { return second(c.etcd.RoleAdd(ctx, role)) })
	}
	if err != nil {
		return nil, c.failed(err)
	}
	has := map[permission]authpb.Permission_Type{}
	for _, p := range resp.Perm {
		has[permission{string(p.Key), string(p.RangeEnd)}] = p.PermType
	}
	return has, nil
}

func permissionOf(g store.Grant) (permission, authpb.Permission_Type) {
	p := permission{from: g.Path}
	if strings.HasSuffix(g.Path, "/") {
		p.to = clientv3.GetPrefixRangeEnd(g.Path)
	}
	switch {
	case g.Read && g.Write:
		return p, authpb.READWRITE
	case g.Write:
		return p, authpb.WRITE
	}
	return p, authpb.READ
}

// change makes one change of etcd's users; done is the error that says that it was made already.
func (c *Client) change(ctx context.Context, done error, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if _, err := c.trust.proven(ctx); err != nil { // who is enrolled in one store is unknown to another
		return err
	}
	err := f(ctx)
	if err == nil || done != nil && errors.Is(rpctypes.Error(err), done) {
		return nil
	}
	return c.failed(err)
}

// names reads a list of names.
func (c *Client) names(ctx context.Context, f func(context.Context) ([]string, error)) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := f(ctx)
	if err != nil {
		return nil, c.failed(err)
	}
	return list, nil
}

func second[T any](_ T, err error) error { return err }
