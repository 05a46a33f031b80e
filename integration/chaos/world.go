package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sluice/hostagent/api"
	"sluice/integration/lab"
)

// prefix begins every name that a run makes.
const prefix = "chaos-"

// actor is a container of the world, that talks from the first to the last moment.
type actor struct {
	lab.Container
	number uint16
	tenant uint16
}

// pair is two containers of one tenant; the first sends to the second.
type pair struct{ from, to *actor }

func (p pair) String() string { return p.from.Name + " to " + p.to.Name }

// world is what a run's traffic runs between: tenants with one range of addresses, each with a
// container on each host, and one more on the first.
type world struct {
	sluice
	lab    lab.Status
	actors []*actor
	pairs  []pair
}

// tenants of the world have the same subnet; the last number of their containers' addresses
// begins at first.
var tenants = []struct {
	name, segmentation string
	first              int
}{{prefix + "red", "tunnel", 11}, {prefix + "blue", "vlan", 11}}

const subnet = "10.66.0.0/24"

func makeWorld(ctx context.Context, binary string) (*world, error) {
	st, err := lab.Load(ctx)
	if err != nil {
		return nil, err
	}
	w := &world{sluice: sluice{binary, st.TokenFile}, lab: st}
	if err := w.remove(ctx); err != nil { // of a run that was killed
		return nil, err
	}
	for n, t := range tenants {
		if _, err := w.run(ctx, "tenant", "create", t.name, "--subnet", subnet, "--segmentation", t.segmentation); err != nil {
			return w, err
		}
		if err := w.populate(ctx, uint16(n)); err != nil {
			return w, err
		}
	}
	return w, nil
}

// populate gives a tenant its containers: each sends to the next.
func (w *world) populate(ctx context.Context, tenant uint16) error {
	hosts := append(hostNames(w.lab), w.lab.Hosts[0].Name)
	var made []*actor
	for i, host := range hosts {
		name := fmt.Sprintf("%s-%d", tenants[tenant].name, i+1)
		c, err := lab.Run(ctx, lab.Request{
			Host: host, Tenant: tenants[tenant].name, Name: name, Address: fmt.Sprintf("10.66.0.%d", tenants[tenant].first+i),
		})
		if err != nil {
			return err
		}
		made = append(made, &actor{c, uint16(len(w.actors) + i), tenant})
	}
	w.actors = append(w.actors, made...)
	for i, a := range made {
		w.pairs = append(w.pairs, pair{a, made[(i+1)%len(made)]})
	}
	return nil
}

func hostNames(st lab.Status) []string {
	names := make([]string, len(st.Hosts))
	for i, h := range st.Hosts {
		names[i] = h.Name
	}
	return names
}

// host is one of the lab's by name.
func (w *world) host(name string) lab.Host {
	for _, h := range w.lab.Hosts {
		if h.Name == name {
			return h
		}
	}
	return lab.Host{}
}

// remove removes every container and tenant whose name begins with the run's prefix.
func (w *world) remove(ctx context.Context) error {
	now, err := lab.Load(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range now.Containers {
		if strings.HasPrefix(c.Name, prefix) {
			errs = append(errs, lab.Remove(ctx, c.Name))
		}
	}
	list, err := ask[[]struct{ Name string }](ctx, w.sluice, "", "tenant", "list")
	errs = append(errs, err)
	for _, t := range list {
		if strings.HasPrefix(t.Name, prefix) {
			errs = append(errs, w.removeTenant(ctx, t.Name))
		}
	}
	return errors.Join(errs...)
}

// removeTenant deletes a tenant's networks first, but the one that goes with it.
func (w *world) removeTenant(ctx context.Context, tenant string) error {
	networks, err := ask[[]struct{ Tenant, Name string }](ctx, w.sluice, "", "network", "list", "--tenant", tenant)
	if err != nil {
		return err
	}
	for _, n := range networks {
		if n.Name != api.DefaultNetwork {
			_, err := w.run(ctx, "network", "delete", n.Tenant+"/"+n.Name)
			if err != nil {
				return err
			}
		}
	}
	_, err = w.run(ctx, "tenant", "delete", tenant)
	return err
}
