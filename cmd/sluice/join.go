package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/pki"
	"sluice/pki/join"
	"sluice/store/etcd"
)

// knows settles what the command line leaves to what this host knows of its cluster, which it joins
// first where it has a token that it did not use yet.
func (o *agentFlags) knows(ctx context.Context, log *slog.Logger) error {
	c, err := o.belongs(ctx, log)
	if err != nil || c.Host == "" {
		return err
	}
	switch o.options.Host {
	case "":
		o.options.Host = c.Host
	case c.Host:
	default:
		return usagef("--host %s: this machine joined as host %s: see %s", o.options.Host, c.Host, o.pki.dir)
	}
	if len(o.etcd.endpoints) == 0 {
		o.etcd.endpoints = c.Etcd
	}
	if len(o.options.Controllers) == 0 {
		o.options.Controllers = c.Controllers
	}
	o.cluster = c
	return nil
}

// belongs is the cluster that this machine joined, or joins now. It is none where it has no token
// and never joined.
func (o *agentFlags) belongs(ctx context.Context, log *slog.Logger) (join.Cluster, error) {
	kept, err := join.Load(o.pki.dir)
	if o.join == "" {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return kept, err
	}
	token, err := o.invitation()
	switch {
	case kept.Host != "" && errors.Is(err, fs.ErrNotExist): // the file of a used token is of no more use
		return kept, nil
	case o.pki.dir == "":
		return kept, usagef("--join needs a directory for the certificate: give it with --pki")
	case err != nil:
		return kept, usagef("--join: %w", err)
	case kept.Invitation == token.ID: // a unit file has the token for good
		return kept, nil
	case o.options.Host != "" && o.options.Host != token.Host:
		return kept, usagef("--host %s: the token is for host %s", o.options.Host, token.Host)
	}
	c, err := token.Join(ctx, o.pki.dir)
	if err != nil {
		return c, err
	}
	log.Info("joined", "host", c.Host, "etcd", c.Etcd, "controllers", c.Controllers)
	o.fresh = true
	return c, nil
}

// invitation is the token of --join, or of the file that it names.
func (o *agentFlags) invitation() (join.Token, error) {
	text := o.join
	if file, isFile := strings.CutPrefix(text, "@"); isFile {
		b, err := os.ReadFile(file)
		if err != nil {
			return join.Token{}, err
		}
		text = strings.TrimSpace(string(b))
	}
	return join.Parse(text)
}

// enrolTime is how long etcd may need to know a host that has just joined.
const enrolTime = 30 * time.Second

// connect dials etcd. A host that etcd knows goes on without it: what it has stands.
func (o *agentFlags) connect(ctx context.Context, reach etcd.Options) (*etcd.Client, error) {
	if !o.fresh {
		return etcd.Open(ctx, reach)
	}
	return backoff.Retry(ctx, func() (*etcd.Client, error) { return etcd.Connect(ctx, reach) },
		backoff.WithBackOff(backoff.NewConstantBackOff(time.Second)), backoff.WithMaxElapsedTime(enrolTime))
}

// renew keeps the certificate of a host that joined, until ctx ends. Who made it by hand renews it so.
func (o *agentFlags) renew(ctx context.Context, identity *pki.Source) {
	if identity != nil && len(o.cluster.API) > 0 {
		identity.KeepRenewed(ctx, o.cluster.Signer(identity, o.pki.dir))
	}
}

// lacks are the flags that the agent needs besides what it knows.
func (o *agentFlags) lacks() (flags []string) {
	joins := o.join != "" || join.Joined(o.pki.dir)
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"controllers", joins || o.check || len(o.options.Controllers) > 0},
		{"etcd-endpoints", joins || o.check || len(o.etcd.endpoints) > 0},
		{"host", joins || o.check || o.options.Host != ""},
		{"vtep", o.vtep != ""},
	} {
		if !f.given {
			flags = append(flags, fmt.Sprintf("%q", f.name))
		}
	}
	return flags
}
