package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sluice/store"
)

// DeleteHost removes a host, first its own key, so that its agent's writes are refused
// from then on, then its ports with what they took. A call that was cut short is finished
// by another, or by the leader, for which the host's farewell is the operator's word. It is refused
// where something that is presumed does not hold.
func (c *Client) DeleteHost(ctx context.Context, name string, presumed ...store.Presumption) (store.Revision, error) {
	rev, err := retry(ctx, func() (store.Revision, error) { return c.deleteHost(ctx, name, presumed) })
	if err != nil {
		return 0, fmt.Errorf("delete host %s: %w", name, err)
	}
	return rev, nil
}

func (c *Client) deleteHost(ctx context.Context, name string, presumed []store.Presumption) (store.Revision, error) {
	host, enrolment := store.HostKey(name), store.EnrolmentKey(name)
	got, at, err := c.read(ctx, clientv3.OpGet(host.String()), clientv3.OpGet(enrolment.String()), countOp(store.Under(store.KindPort, name)))
	if err != nil {
		return 0, err
	}
	state := store.NewState()
	state.Apply(store.Batch{Revision: at, Events: append(readable(host, &store.Host{}, got[0]), readable(enrolment, &store.Enrolment{}, got[1])...)})
	p, err := store.ProposeDeleteHost(state, name, got[2].Count, time.Now().UTC())
	if err != nil {
		return 0, err
	}
	if len(p.Writes) > 0 {
		p.Presumes = append(p.Presumes, presumed...)
		resp, err := c.write(ctx, p)
		if err != nil {
			return 0, err
		}
		at = store.Revision(resp.Header.Revision)
	}
	// Whoever registers under the name meanwhile makes its ports later than that.
	last, err := c.clear(ctx, name, at)
	return max(at, last), err
}

// ForgetFarewells removes farewells, each as it was read and only while its host is not registered and
// has no ports, also none that cannot be read. It returns the hosts of those that it removed.
func (c *Client) ForgetFarewells(ctx context.Context, farewells []store.Event) (hosts []string, err error) {
	for _, f := range farewells {
		switch _, err := c.write(ctx, store.ProposeForget(f)); {
		case err == nil:
			hosts = append(hosts, f.Key.Host)
		case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrInUse): // it is needed still
		default:
			return hosts, fmt.Errorf("forget the farewell to host %s: %w", f.Key.Host, err)
		}
	}
	return hosts, nil
}

// readable is an object as a get found it, or an empty one where its value cannot be read: it can go
// all the same.
func readable(key store.Key, empty store.Object, r *clientv3.GetResponse) (events []store.Event) {
	for _, kv := range r.Kvs {
		e, err := eventOf(kv)
		if err != nil {
			e = store.Event{Key: key, Object: empty, Created: store.Revision(kv.CreateRevision), Modified: store.Revision(kv.ModRevision)}
		}
		events = append(events, e)
	}
	return events
}

// ClearHost removes the ports of a host that were created up to a revision, and returns the
// revision of the last removal. It removes none from the moment on that the host is registered.
func (c *Client) ClearHost(ctx context.Context, name string, at store.Revision) (store.Revision, error) {
	return c.clear(ctx, name, at, clientv3.Compare(clientv3.CreateRevision(store.HostKey(name).String()), "=", 0))
}

// clear is ClearHost under given conditions.
func (c *Client) clear(ctx context.Context, name string, at store.Revision, presumed ...clientv3.Cmp) (store.Revision, error) {
	var last store.Revision
	var pending []store.Event
	flush := func() (err error) {
		if len(pending) > 0 {
			last, err = c.removePorts(ctx, pending, presumed)
		}
		pending = nil
		return err
	}
	_, err := c.list(ctx, listing{under: []string{store.Under(store.KindPort, name)}, maxCreated: at}, func(kv *mvccpb.KeyValue) error {
		p, err := eventOf(kv)
		if err != nil {
			c.log.Warn("port is removed without what it took, which is found to be nobody's", "host", name, "err", err)
			return c.deleteUnchanged(ctx, []*mvccpb.KeyValue{kv}, presumed...)
		}
		if pending = append(pending, p); len(pending) < 60 {
			return nil
		}
		return flush()
	})
	if err != nil {
		return last, err
	}
	return last, flush()
}

// removePorts removes ports, each unless it changed, in as few transactions as fit.
func (c *Client) removePorts(ctx context.Context, ports []store.Event, presumed []clientv3.Cmp) (store.Revision, error) {
	var last store.Revision
	for len(ports) > 0 {
		n, ops, err := removalBatch(ports, presumed)
		if err != nil {
			return last, err
		}
		resp, err := c.txn(ctx, nil, ops, nil)
		if err != nil {
			return last, err
		}
		last, ports = store.Revision(resp.Header.Revision), ports[n:]
	}
	return last, nil
}

// removalBatch is one transaction's worth of removals, and how many ports it removes.
func removalBatch(ports []store.Event, presumed []clientv3.Cmp) (n int, ops []clientv3.Op, err error) {
	size, put := 0, map[store.Key]bool{}
	for ; n < len(ports); n++ {
		p := store.ProposeRemoval(ports[n])
		removal, err := writeOps(p)
		if err != nil {
			return 0, nil, err
		}
		size += len(removal)
		if n > 0 && (size > maxOps || putsAgain(p.Frees, put)) {
			break
		}
		for _, t := range p.Frees {
			put[t.Key()] = put[t.Key()] || t.Tombstone
		}
		ops = append(ops, clientv3.OpTxn(append([]clientv3.Cmp{guardOf(p.Presumes[0]).cmp}, presumed...), removal, nil))
	}
	return n, ops, nil
}

// putsAgain reports whether to free values would write a key that is written already: a transaction
// may do so once, and hand edits can give a number to two ports.
func putsAgain(frees []store.Taken, put map[store.Key]bool) bool {
	for _, t := range frees {
		if t.Tombstone && put[t.Key()] {
			return true
		}
	}
	return false
}
