package hostagent

import (
	"context"
	"crypto/rand"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/store"
	"sluice/store/etcd"
)

const (
	// requestTTL is how many seconds a request stays whose agent ended.
	requestTTL = 15
	// wordInterval is how often an agent that asked looks for the operator's word.
	wordInterval = time.Second
)

// asker asks the operator for a word, through etcd, and hears it. A request has an id of its own:
// a word answers that request alone.
type asker struct {
	host string

	mu    sync.Mutex
	asked store.Request // the zero Request: nothing
	lease *etcd.Lease   // of the key
}

// ask has etcd hold a request, under a lease, and returns the word that answers it; empty: none
// yet. A request for nothing takes the last one back.
func (k *asker) ask(ctx context.Context, c Store, r store.Request) (word string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.ID = k.asked.ID; !reflect.DeepEqual(r, k.asked) {
		r.ID = rand.Text()
	}
	if isNothing(r) {
		return "", k.takeBack(ctx, c)
	}
	key := store.RequestKey(k.host)
	object, at, err := c.Get(ctx, key)
	if err != nil {
		return "", err
	}
	if there, ok := object.(*store.Request); !ok || there.ID != r.ID {
		if err := k.ensureLease(ctx, c); err != nil {
			return "", err
		}
		if _, err := c.PutIf(ctx, key, &r, at, k.lease.ID); err != nil {
			k.lease = nil // it may be another store's
			return "", err
		}
	}
	k.asked = r
	said, _, err := c.Get(ctx, store.WordKey(k.host))
	if w, ok := said.(*store.Word); ok && w.Request == r.ID {
		word = w.Word
	}
	return word, err
}

func isNothing(r store.Request) bool {
	return r.Held == "" && len(r.Offered) == 0 && len(r.Strays) == 0
}

// takeBack has etcd hold no request any more.
func (k *asker) takeBack(ctx context.Context, c Store) error {
	if k.asked.ID == "" {
		return nil
	}
	if _, err := c.Delete(ctx, store.RequestKey(k.host)); err != nil {
		return err
	}
	k.asked = store.Request{}
	return nil
}

// ensureLease has a lease of the store at hand.
func (k *asker) ensureLease(ctx context.Context, c Store) (err error) {
	if k.lease != nil {
		select {
		case <-k.lease.Lost():
		default:
			return nil
		}
	}
	k.lease, err = c.GrantLease(ctx, requestTTL)
	return err
}

// end takes back what waits for a word when the agent ends: nobody would hear it. Where that fails the
// request goes with its lease, some seconds later.
func (k *asker) end(log *slog.Logger) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lease == nil {
		return
	}
	if err := k.lease.Close(); err != nil {
		log.Info("the request for a word is left to expire", "err", err)
	}
	k.lease, k.asked = nil, store.Request{}
}

// heard notes that the word was done, so that it is not done again.
func (k *asker) heard(ctx context.Context, c Store) error {
	_, err := c.Delete(ctx, store.WordKey(k.host))
	return err
}

// waits reports whether a request waits for a word.
func (k *asker) waits() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked.ID != ""
}

// request is what is asked for now.
func (k *asker) request() store.Request {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

// run wakes the keepers while a request waits, so that a word is done soon after it was said.
func (k *asker) run(ctx context.Context, wake func()) {
	tick := time.NewTicker(wordInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if k.waits() {
				wake()
			}
		case <-ctx.Done():
			return
		}
	}
}

// offerOf is a port as the operator sees it, and why it could not be taken back, if that was tried.
func offerOf(one record, problem error) store.Offer {
	o := store.Offer{Tenant: one.Tenant, Network: one.Network, Name: one.Name, Interface: one.Port.Interface}
	for _, a := range one.Port.Addresses {
		o.Addresses = append(o.Addresses, a.String())
	}
	if problem != nil {
		o.Problem = problem.Error()
	}
	return o
}

func sortedRecords(list []record) []record {
	slices.SortFunc(list, func(a, b record) int { return strings.Compare(a.key("").String(), b.key("").String()) })
	return list
}
