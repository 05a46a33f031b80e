package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/integration/lab"
	"sluice/store"
	"sluice/store/etcd"
)

// finishLimit is how long after the last fault all must be as if nothing had been.
const finishLimit = 90 * time.Second

// finish joins and revives everything, removes what the run made, and judges what is left.
func (r *run) finish(ctx context.Context) error {
	r.history.note("the end: everything is joined and started again")
	if err := errors.Join(lab.HealAll(ctx), lab.Up(ctx, lab.Options{Binary: r.Binary})); err != nil {
		return err
	}
	if err := until(ctx, func() error { return r.work.settle(ctx) }); err != nil {
		return err
	}
	client, err := etcd.Connect(ctx, etcd.Options{Endpoints: []string{r.world.lab.Etcd}})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, step := range []func(context.Context, *etcd.Client) error{r.lastJudgement, r.allEqual, r.allProved, r.nothingLeft} {
		if err := step(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

// lastJudgement waits until the last packets arrived or were lost.
func (r *run) lastJudgement(ctx context.Context, client *etcd.Client) error {
	if !pause(ctx, lostAfter+judgeInterval) {
		return ctx.Err()
	}
	if err := r.judgeTraffic(); err != nil {
		return err
	}
	return r.judgeWrites(ctx, client)
}

// allEqual waits until each switch holds exactly what is compiled anew.
func (r *run) allEqual(ctx context.Context, _ *etcd.Client) error {
	for _, h := range r.world.lab.Hosts {
		if err := until(ctx, func() error { return r.world.differs(ctx, h.Name) }); err != nil {
			return fmt.Errorf("after all was mended: %w", err)
		}
	}
	return nil
}

// allProved waits until it is proved of each switch, over what it holds, that tenants are kept apart.
func (r *run) allProved(ctx context.Context, _ *etcd.Client) error {
	return until(ctx, func() error {
		_, err := r.world.run(ctx, "verify")
		return err
	})
}

// nothingLeft removes what the run made, and looks for what is still there.
func (r *run) nothingLeft(ctx context.Context, client *etcd.Client) error {
	r.traffic.stop()
	if err := until(ctx, func() error { return r.world.remove(ctx) }); err != nil {
		return fmt.Errorf("remove what the run made: %w", err)
	}
	return until(ctx, func() error { return errors.Join(r.keysLeft(ctx, client), r.interfacesLeft(ctx)) })
}

// keysLeft finds objects of the run in etcd, and values that are taken for them.
func (r *run) keysLeft(ctx context.Context, client *etcd.Client) error {
	read, err := readObjects(ctx, client)
	if err != nil {
		return err
	}
	for name := range read {
		if strings.Contains(name, prefix) {
			return fmt.Errorf("%s is left in etcd", name)
		}
	}
	taken, _, err := client.List(ctx, store.KindAlloc)
	if err != nil {
		return err
	}
	for _, e := range taken {
		if a, ok := e.Object.(*store.Alloc); ok && strings.Contains(a.Owner, prefix) && !a.Freed {
			return fmt.Errorf("%s is left in etcd, for %s", e.Key, a.Owner)
		}
	}
	return nil
}

// interfacesLeft finds interfaces of containers that the lab no longer has.
func (r *run) interfacesLeft(ctx context.Context) error {
	now, err := lab.Load(ctx)
	if err != nil {
		return err
	}
	on := map[string]int{}
	for _, c := range now.Containers {
		on[c.Host]++
	}
	for _, h := range r.world.lab.Hosts {
		ports, err := h.ContainerPorts(ctx)
		if err != nil {
			return err
		}
		if len(ports) != on[h.Name] {
			return fmt.Errorf("%s has %d interfaces of containers, and %d containers: %v", h.Name, len(ports), on[h.Name], ports)
		}
	}
	return nil
}

// until asks again until there is no error, or the time is over.
func until(ctx context.Context, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, finishLimit)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if !pause(ctx, 250*time.Millisecond) {
			return fmt.Errorf("%w, %s later", err, finishLimit)
		}
	}
}
