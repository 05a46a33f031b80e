package hostagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"sluice/hostagent/api"
	"sluice/store"
	"sluice/store/etcd"
)

// serving knows which store this host serves. While etcd holds another, or one that went back, the
// agent holds: it registers nothing, attaches nothing and removes nothing, and the host goes on as
// it is.
type serving struct {
	host        string
	incarnation string
	records     *records
	asker       *asker
	log         *slog.Logger
	trust       *etcd.Trust

	mu sync.Mutex
	// adopting says that the operator adopted a store, and the ports that it lacks are yet to be
	// taken back into it.
	adopting bool
}

// start has the store's client judge from now on.
func (s *serving) start(client Store, stateDir string, adopt bool) (err error) {
	s.adopting = adopt
	s.trust, err = client.Trust(etcd.TrustOptions{
		File: filepath.Join(stateDir, "store.json"), Witness: store.WitnessHostKey(s.host), Adopt: adopt, Decide: s.decide, Leave: s.records.unvouch,
		Help: fmt.Sprintf("bring the right store back, or run `sluice host adopt %s` if this is the one to serve from now on", s.host),
	})
	return err
}

// decide is asked about a store that is not known to be right. It is believed where the operator
// says so, and, if none is remembered, where nothing of this host can be lost by it.
func (s *serving) decide(ctx context.Context, c *etcd.Client, _ store.Sight, j store.Judgement) (bool, error) {
	if j.Verdict == store.Unknown {
		why, err := s.doubtful(ctx, c)
		if err != nil || why == "" {
			return err == nil, err
		}
		j.Why = why
	}
	request := store.Request{Held: j.Why, Leaves: s.trust.State().Memory.Store}
	lacking, err := s.lacking(ctx, c)
	if err != nil {
		return false, err
	}
	for _, one := range lacking {
		request.Offered = append(request.Offered, offerOf(one, nil))
	}
	word, err := s.asker.ask(ctx, c, request)
	if err != nil {
		s.log.Warn("cannot ask the operator for a word, trying again", "err", err)
	}
	if word == store.WordAdopt {
		s.setAdopting(true)
		return true, nil
	}
	return false, errors.New(j.Why)
}

// doubtful is why a store is not believed though no other is remembered; empty: it is. A host
// without interfaces has nothing to lose, and a store that knows this very agent is its own.
func (s *serving) doubtful(ctx context.Context, c *etcd.Client) (why string, err error) {
	links, err := portLinks()
	if err != nil || len(links) == 0 {
		return "", err
	}
	object, _, err := c.Get(ctx, store.HostKey(s.host))
	if err != nil {
		return "", err
	}
	if h, ok := object.(*store.Host); ok && h.Incarnation == s.incarnation {
		return "", nil
	}
	return fmt.Sprintf("this host has %d interfaces of containers and remembers no store, and etcd does not know its agent", len(links)), nil
}

// lacking are this host's ports that a store lacks and whose interface is there, nobody having
// asked for them to go.
func (s *serving) lacking(ctx context.Context, c *etcd.Client) (list []record, err error) {
	links, err := portLinks()
	if err != nil {
		return nil, err
	}
	there, _, err := c.List(ctx, store.KindPort, s.host)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{}
	for _, e := range there {
		has[e.Object.(*store.Port).UID] = true
	}
	for iface, one := range s.records.known() {
		if links[iface] && !has[one.Port.UID] && !one.Leaving {
			list = append(list, one)
		}
	}
	return sortedRecords(list), nil
}

// run keeps judging and keeps Status up to date, until ctx ends.
func (s *serving) run(ctx context.Context, problems *problems) error {
	go func() {
		for {
			changed, err := s.trust.Changed(), error(nil)
			if s.held() != "" {
				err = errors.New(s.held())
			}
			problems.tell(nameStore, err)
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return s.trust.Run(ctx)
}

// nameStore is what Status calls the store's judgement.
const nameStore = "store"

// held is why the agent holds and what to do; empty: it does not.
func (s *serving) held() string {
	state := s.trust.State()
	if !state.Held() {
		return ""
	}
	return "this host holds: " + state.Why + ": " + state.Help
}

func (s *serving) setAdopting(v bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopting = v
}

func (s *serving) isAdopting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.adopting
}

// hearFarewell notes that the operator deleted this host, where he did: the ports that it had
// then are to go. Without it, a host whose key is absent keeps its ports.
func (a *Agent) hearFarewell(ctx context.Context) error {
	key := store.FarewellKey(a.o.Host)
	object, at, err := a.o.Store.Get(ctx, key)
	if err != nil || object == nil {
		return err
	}
	if f := object.(*store.Farewell); f.Incarnation == a.id.incarnation {
		a.log.Warn("the host was deleted by the operator: its ports go", "rev", at)
		if err := a.records.dismiss(at); err != nil {
			return err
		}
	}
	_, err = a.o.Store.Delete(ctx, key)
	return err
}

// serveStore makes what judges the store.
func (a *Agent) serveStore() error {
	a.serving = &serving{
		host: a.o.Host, incarnation: a.id.incarnation, records: a.records, asker: &asker{host: a.o.Host}, log: a.log,
	}
	return a.serving.start(a.o.Store, a.o.StateDir, a.o.Adopt)
}

// status is the store that is served, as the API shows it. An agent that has not begun knows none.
func (s *serving) status() api.Store {
	if s == nil {
		return api.Store{}
	}
	asked := s.asker.request()
	shown := api.Store{ID: s.trust.State().Memory.Store, Held: s.held(), Strays: asked.Strays}
	for _, o := range asked.Offered {
		shown.Offered = append(shown.Offered, o.Tenant+"/"+o.Network+"/"+o.Name)
	}
	return shown
}
