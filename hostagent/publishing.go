package hostagent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"sluice/hostagent/api"
	"sluice/store"
)

// publishing knows what ports of the whole cluster publish themselves. Few do: of all ports only these are kept.
type publishing struct {
	changed bell          // rings when one came, changed or went
	told    chan struct{} // closed once all ports were read

	mu    sync.Mutex
	ports map[store.Key]store.Event
	read  bool
}

func newPublishing() *publishing {
	return &publishing{changed: newBell(), told: make(chan struct{}), ports: map[store.Key]store.Event{}}
}

// apply takes in what the store holds of ports: at first the whole list, then what changes.
func (p *publishing) apply(b store.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range b.Events {
		port, there := e.Object.(*store.Port)
		_, had := p.ports[e.Key]
		publishes := there && port != nil && len(port.Publish) > 0
		if publishes {
			p.ports[e.Key] = e
		} else {
			delete(p.ports, e.Key)
		}
		if had || publishes {
			p.changed.ring()
		}
	}
	if !p.read {
		p.read = true
		close(p.told)
	}
}

// toldPatience is how long to wait for the first list of ports: it comes moments after the agent's start.
const toldPatience = 2 * time.Second

// events are the ports that publish something.
func (p *publishing) events(ctx context.Context) ([]store.Event, error) {
	select {
	case <-p.told:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(toldPatience):
		return nil, fmt.Errorf("the list of ports, some of which may publish, is not read yet")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.ports)), nil
}

// changedAfter is a channel that is closed when a publication, a port that publishes or a gateway changed, and when ctx ends.
func (p *published) changedAfter(ctx context.Context, at store.Revision) <-chan struct{} {
	done := make(chan struct{})
	stored := p.store.PublishedChanged(ctx, at)
	go func() {
		defer close(done)
		select {
		case <-stored:
		case <-p.ports.changed:
		case <-ctx.Done():
		}
	}()
	return done
}

// refuse says why what a new port would publish is not let in by its tenant's gateway host, as far as that is known; nil: it would be.
// Two that ask at the same time may both be made: then the older one is let in.
func (p *published) refuse(ctx context.Context, spec store.PortSpec) error {
	if len(spec.Publish) == 0 {
		return nil
	}
	if err := spec.Validate(); err != nil {
		return api.NewProblem(http.StatusUnprocessableEntity, "port %s/%s/%s: %v", spec.Tenant, spec.Network, spec.Name, err)
	}
	ports, err := p.ports.events(ctx)
	if err != nil {
		return err
	}
	s, _, err := readPublished(ctx, p.store, append(ports, store.Event{Key: spec.Key(), Object: &store.Port{UID: spec.UID}})...)
	if err != nil {
		return err
	}
	if err := p.forgetGone(ctx, s, spec); err != nil {
		return err
	}
	if g := s.Gateway(spec.Tenant); g != nil {
		host, rev, err := p.store.Get(ctx, store.HostKey(g.Value.Active))
		if err != nil {
			return fmt.Errorf("read host %s: %w", g.Value.Active, err)
		}
		if rev != 0 {
			s.Apply(store.Batch{Revision: s.Revision(), Events: []store.Event{{Key: store.HostKey(g.Value.Active), Object: host, Created: rev, Modified: rev}}})
		}
	}
	return s.RefusePublished(spec)
}

// forgetGone takes those ports out of a picture that went a moment ago, as when a container starts again.
func (p *published) forgetGone(ctx context.Context, s *store.State, spec store.PortSpec) error {
	var gone []store.Event
	for _, wanted := range spec.Publish {
		for i := range wanted.Count {
			for other := range s.PublicationsAt(store.Endpoint{Protocol: wanted.Protocol, Port: wanted.On + i}) {
				from := other.Value.From
				if from == (store.Key{}) {
					continue
				}
				_, rev, err := p.store.Get(ctx, from)
				if err != nil {
					return fmt.Errorf("read port %s: %w", from.Short(), err)
				}
				if rev == 0 {
					gone = append(gone, store.Event{Key: from})
				}
			}
		}
	}
	s.Apply(store.Batch{Revision: s.Revision(), Events: gone})
	return nil
}

// publishedBy is what the request wants published, in ranges.
func publishedBy(r api.AttachRequest) (list []store.PortPublication) {
	for _, p := range r.Publish {
		list = append(list, store.PortPublication{
			Protocol: store.Protocol(cmp.Or(p.Protocol, string(store.ProtocolTCP))), First: p.Port, On: p.On, Count: max(1, p.Count),
		})
	}
	return store.JoinPublications(list)
}

// publishOf is what a port publishes, as the API shows it.
func publishOf(p *store.Port) (list []api.Publish) {
	for _, one := range p.Publish {
		list = append(list, api.Publish{Protocol: string(one.Protocol), Port: one.First, On: one.On, Count: one.Count})
	}
	return list
}
