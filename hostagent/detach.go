package hostagent

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"sluice/hostagent/api"
	"sluice/store"
)

// Detach removes a port: first from etcd, so that its flows go, then from the switch and
// the kernel. A port that does not exist, or is another container's by now, is a problem with status
// 404. One whose value in etcd cannot be read goes all the same, with the interface that the host knows
// it by. A detach that etcd does not take is finished later: the record says that the port is to go.
func (a *Agent) Detach(ctx context.Context, r api.DetachRequest) error {
	key, p, _, err := a.port(ctx, r)
	if errors.Is(err, store.ErrUnreadable) {
		p, err = a.records.portOf(key), nil
	}
	if err != nil {
		return err
	}
	if r.ContainerID != "" && p.ContainerID != "" && r.ContainerID != p.ContainerID {
		return api.NewProblem(http.StatusNotFound, "port %s/%s is container %s's by now, not %s's: it stays",
			key.NetworkName(), key.Name, p.ContainerID, r.ContainerID)
	}
	if r.Interface != "" && p.Interface != "" && r.Interface != p.Interface {
		return api.NewProblem(http.StatusNotFound, "port %s/%s was made anew since, as %s: %s's is gone already, and it stays",
			key.NetworkName(), key.Name, p.Interface, r.Interface)
	}
	registration := a.registration.current()
	if registration == nil {
		return a.notReady()
	}
	defer a.journal.hold(p.UID)()
	name := key.NetworkName().String() + "/" + key.Name
	if err := a.records.leaving(p.Interface); err != nil { // so that what is left after a crash is known to go
		return fmt.Errorf("detach %s: %w", name, err)
	}
	a.o.reached(stepLeaving)
	if _, err := a.o.Store.DeletePortOf(ctx, key, p.UID, registration.Created); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("detach %s: %w", name, err)
	}
	a.o.reached(stepPortGone)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	if err := a.ports.unplug(ctx, p.Interface); err != nil {
		a.mender.wake()
		return fmt.Errorf("detach %s: the port is gone, its interface will be removed later: %w", name, err)
	}
	a.log.Info("detached", "tenant", key.Tenant, "network", key.Network, "port", key.Name)
	return nil
}
