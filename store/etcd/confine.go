package etcd

import (
	"context"
	"fmt"
	"slices"

	"sluice/pki"
	"sluice/store"
)

// Confine makes an etcd of the operator's own ask who somebody is, as the embedded one does from its
// start: the certificates of these controllers may do everything, those of hosts what store grants
// once a controller keeps their users, and nobody else anything. The servers ask for certificates
// already (--client-cert-auth). Whoever calls is one of the controllers, or may change users already.
func (c *Client) Confine(ctx context.Context, controllers []string) error {
	users := []string{rootUser}
	for _, name := range controllers {
		who := pki.Controller(name)
		if err := who.Validate(); err != nil {
			return fmt.Errorf("confine etcd's users: %w: %w", store.ErrInvalid, err)
		}
		users = append(users, who.String())
	}
	for _, user := range users {
		if err := c.keepUser(ctx, user, rootRole); err != nil {
			return fmt.Errorf("user %s of etcd: %w", user, err)
		}
	}
	if err := c.keepRole(ctx, roleHosts, store.GrantsToHosts()); err != nil {
		return err
	}
	if err := c.change(ctx, nil, func(ctx context.Context) error { return second(c.etcd.AuthEnable(ctx)) }); err != nil {
		return fmt.Errorf("confine etcd's users: %w", err)
	}
	return nil
}

// sureVersion is the oldest etcd that is known to hold users to their roles. Releases of older lines may,
// too: docs/operations.md names what they must have mended.
var sureVersion = []int{3, 6, 16}

// Doubtful names the members of etcd, with their versions, that are older than that.
func (c *Client) Doubtful(ctx context.Context) (members []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for _, endpoint := range c.etcd.Endpoints() {
		member, err := c.etcd.Status(ctx, endpoint)
		if err != nil {
			return nil, fmt.Errorf("version of etcd at %s: %w", endpoint, c.failed(err))
		}
		if !sure(member.Version) {
			members = append(members, endpoint+" (etcd "+member.Version+")")
		}
	}
	return members, nil
}

// sure reports whether a version is sureVersion or a later one; one that cannot be read is not.
func sure(version string) bool {
	is := make([]int, len(sureVersion))
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &is[0], &is[1], &is[2]); n < len(is) {
		return false
	}
	return slices.Compare(is, sureVersion) >= 0
}
