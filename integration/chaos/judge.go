package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	judgeInterval = 250 * time.Millisecond
	// readEvery is how many judgements there are for each reading of etcd.
	readEvery = 8
)

// judge looks all the time whether something is violated.
func (r *run) judge(ctx context.Context) error {
	client, err := etcd.Connect(ctx, etcd.Options{Endpoints: []string{r.world.lab.Etcd}})
	if err != nil {
		return err
	}
	defer client.Close()
	for n := 0; pause(ctx, judgeInterval); n++ {
		if err := r.judgeTraffic(); err != nil {
			return err
		}
		if n%readEvery == 0 {
			if err := r.judgeWrites(ctx, client); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// judgeTraffic looks at what crossed and what was lost.
func (r *run) judgeTraffic() error {
	lost, crossed := r.traffic.sweep()
	if crossed != nil {
		return crossed
	}
	for _, l := range lost {
		if !r.history.blame(l) {
			return fmt.Errorf("%s sent a packet to %s at %.2fs that was lost, and no fault touched them",
				l.from.Name, l.to.Name, l.at.Sub(r.history.begun).Seconds())
		}
	}
	return nil
}

// judgeWrites reads what is in etcd. While etcd is away there is nothing to judge.
func (r *run) judgeWrites(ctx context.Context, client *etcd.Client) error {
	before := r.ledger.copy()
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	read, err := readObjects(limited, client)
	if errors.Is(err, store.ErrUnavailable) || limited.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	return r.ledger.compare(before, read)
}

// readObjects are the tenants, networks and ports in etcd, by the names of the ledger.
func readObjects(ctx context.Context, client *etcd.Client) (map[string]bool, error) {
	read := map[string]bool{}
	for _, kind := range []store.Kind{store.KindTenant, store.KindNetwork, store.KindPort} {
		list, _, err := client.List(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			read[nameOf(e.Key)] = true
		}
	}
	return read, nil
}

// nameOf is the ledger's name of an object.
func nameOf(k store.Key) string {
	switch k.Kind {
	case store.KindTenant:
		return "tenant " + k.Tenant
	case store.KindNetwork:
		return "network " + k.Tenant + "/" + k.Network
	default:
		return "port " + k.Name
	}
}

// explain adds to a violation what helps to understand it: seed, history, flows.
func (r *run) explain(ctx context.Context, violation error) error {
	flows := ""
	for _, h := range r.world.lab.Hosts {
		dump, err := h.Switch().OFCtl(ctx, "dump-flows", store.BridgeName)
		if err != nil {
			dump = err.Error() + "\n"
		}
		flows += "flows of " + h.Name + ":\n" + dump
	}
	return &Violation{Err: violation, Seed: r.Seed, History: r.history.text(historyLines), Flows: flows}
}

// historyLines are how many of the last lines a violation shows.
const historyLines = 60

// Violation is something that must not be, whatever breaks.
type Violation struct {
	Err     error
	Seed    uint64
	History string // its last lines
	Flows   string // of every switch, just after
}

func (v *Violation) Error() string { return v.Err.Error() }
func (v *Violation) Unwrap() error { return v.Err }
