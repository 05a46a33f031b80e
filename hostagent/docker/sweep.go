package docker

import (
	"context"
	"net"
	"slices"
	"time"

	"sluice/hostagent/api"
)

// defaultUnclaimed is how long an end waits for its container: Docker takes it within a second, or was
// killed in between and has forgotten it.
const defaultUnclaimed = 10 * time.Minute

// sweep detaches ports whose end waited too long in the host's namespace. It looks ten times in that time.
func (d *Driver) sweep(ctx context.Context) {
	since := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(d.unclaimed / 10):
		}
		ports, err := d.agent.List(ctx)
		if err != nil {
			continue // of what is not known nothing is removed
		}
		ports = slices.DeleteFunc(ports, func(p api.Attachment) bool {
			return p.Runtime != runtimeName || !waitsHere(api.HandedEnd(p.Interface))
		})
		var due []api.Attachment
		due, since = overdue(ports, since, time.Now().Add(-d.unclaimed))
		for _, p := range due {
			err := d.agent.Detach(ctx, p.Detachment())
			d.log.Warn("detached a port that no container of Docker came for", "tenant", p.Tenant, "network", p.Network, "port", p.Name, "err", err)
		}
	}
}

// overdue are the ports that were seen waiting before a time, and since when each of the others waits.
func overdue(waiting []api.Attachment, since map[string]time.Time, before time.Time) (due []api.Attachment, still map[string]time.Time) {
	still = map[string]time.Time{}
	for _, p := range waiting {
		first, seen := since[p.Interface]
		switch {
		case !seen:
			still[p.Interface] = time.Now()
		case first.After(before):
			still[p.Interface] = first
		default:
			due = append(due, p)
		}
	}
	return due, still
}

// waitsHere reports whether an interface is in the host's namespace.
func waitsHere(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}
