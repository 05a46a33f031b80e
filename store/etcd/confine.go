package etcd

import (
	"context"
	"fmt"

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
