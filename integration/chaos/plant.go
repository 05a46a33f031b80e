package chaos

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// Kinds of planted violations.
const (
	PlantCross = "cross"
	PlantLost  = "lost"
)

// plant makes a violation, once traffic runs, and undoes it at the end of the run.
func (r *run) plant(ctx context.Context) error {
	if !pause(ctx, settleTime) {
		return ctx.Err()
	}
	r.history.note("plant: %s", r.Plant)
	makers := map[string]func(context.Context) (undo func(context.Context) error, err error){
		PlantCross: r.plantCross, PlantLost: r.plantLost,
	}
	plant, ok := makers[r.Plant]
	if !ok {
		return fmt.Errorf("plant %q: it is %s or %s", r.Plant, PlantCross, PlantLost)
	}
	undo, err := plant(ctx)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return errors.Join(ctx.Err(), undo(context.WithoutCancel(ctx)))
}

var portNumber = regexp.MustCompile(`(?m)^ *([0-9]+)\(sl-[^)]+\)`)

// plantCross adds a flow to a switch that delivers whatever the first container interface
// sends to all others too, whoever's they are.
func (r *run) plantCross(ctx context.Context) (undo func(context.Context) error, err error) {
	h := r.world.lab.Hosts[0]
	show, err := h.Switch().OFCtl(ctx, "show", store.BridgeName)
	if err != nil {
		return nil, err
	}
	var numbers []string
	for _, m := range portNumber.FindAllStringSubmatch(show, -1) {
		numbers = append(numbers, m[1])
	}
	if len(numbers) < 2 {
		return nil, fmt.Errorf("%s has %d container interfaces, and none to cross to", h.Name, len(numbers))
	}
	match := "table=0,priority=65001,in_port=" + numbers[0]
	_, err = h.Switch().OFCtl(ctx, "add-flow", store.BridgeName, match+",actions="+strings.Join(numbers[1:], ","))
	return func(ctx context.Context) error {
		_, err := h.Switch().OFCtl(ctx, "del-flows", store.BridgeName, "--strict", match)
		return err
	}, err
}

// plantLost deletes a tenant in etcd whose creation was acknowledged, as a store that forgot
// it would. It does so with etcd's own client: ours deletes no tenant without what belongs to it.
func (r *run) plantLost(ctx context.Context) (undo func(context.Context) error, err error) {
	w := r.work
	if err := w.createTenant(ctx); err != nil {
		return nil, err
	}
	if len(w.tenants) == 0 {
		return nil, errors.New("the tenant to lose was not created")
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{r.world.lab.Etcd}, DialTimeout: askLimit})
	if err != nil {
		return nil, err
	}
	key := store.TenantKey(w.tenants[0]).String()
	deleted, err := client.Delete(ctx, key, clientv3.WithPrevKV())
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return func(ctx context.Context) error {
		_, err := client.Put(ctx, key, string(deleted.PrevKvs[0].Value))
		return errors.Join(err, client.Close())
	}, nil
}
