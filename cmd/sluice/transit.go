package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"sluice/store"
	"sluice/store/etcd"
)

// transitFlag is the cluster's transit range, where a controller is told to set it.
type transitFlag struct {
	text  string
	value netip.Prefix // the zero prefix: the cluster's stays as it is
}

func (f *transitFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.text, "transit-range", "", "set the cluster's `CIDR` of addresses between tenants and their gateway hosts, while there are no tenants (at first "+store.DefaultTransit.String()+")")
}

func (f *transitFlag) parse() (err error) {
	if f.text == "" {
		return nil
	}
	if f.value, err = netip.ParsePrefix(f.text); err != nil {
		return usagef("--transit-range %q: write it as %s", f.text, store.DefaultTransit)
	}
	if err := store.ValidateTransit(f.value); err != nil {
		return usagef("--transit-range: %w", err)
	}
	return nil
}

// transitRetry is the pause between two tries to set the range, while etcd does not answer.
const transitRetry = time.Second

// set tries until the cluster has the range. It fails where tenants have addresses of another.
func (f *transitFlag) set(ctx context.Context, client *etcd.Client, log *slog.Logger) error {
	for f.value.IsValid() && ctx.Err() == nil {
		err := client.SetTransit(ctx, f.value)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, store.ErrInUse):
			return usagef("--transit-range: %w", err)
		}
		log.Warn("cannot set the transit range yet", "err", err)
		select {
		case <-time.After(transitRetry):
		case <-ctx.Done():
		}
	}
	return nil
}
