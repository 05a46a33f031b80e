package fake

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"sluice/datapath/openflow"
)

// Switch is a simulated switch. Its methods may be called concurrently.
type Switch struct {
	id uint64
	// Probe is how long a controller may be silent before it is asked for an echo, as Open
	// vSwitch does after 5 s; 0: it is never asked. It is not to be changed while the switch
	// is connected.
	Probe time.Duration

	mu         sync.Mutex
	flows      table
	meters     map[uint32]openflow.MeterSpec
	ports      map[uint32]openflow.Port
	sessions   map[*session]struct{}
	generation uint64 // of the last master or slave request that was accepted
	claimed    bool   // there was one
	counts     Counts
}

// Counts are what a switch was asked to do since it was made.
type Counts struct {
	Adds, Modifies, Deletes int64 // flow mods carried out, those of bundles at their commit
	Refused                 int64 // error messages sent
	Commits, Dumps          int64 // bundles, requests for flow statistics
	// LastBarrier is when the last barrier after a change of flows was answered.
	LastBarrier time.Time
}

// Mods is the number of flow mods carried out.
func (c Counts) Mods() int64 { return c.Adds + c.Modifies + c.Deletes }

// New makes a switch with these ports and no flows.
func New(datapathID uint64, ports ...openflow.Port) *Switch {
	s := &Switch{
		id: datapathID, flows: newTable(), meters: map[uint32]openflow.MeterSpec{},
		ports: make(map[uint32]openflow.Port, len(ports)), sessions: map[*session]struct{}{},
	}
	for _, p := range ports {
		s.ports[p.Number] = p
	}
	return s
}

// Run keeps the switch connected to a controller until ctx ends.
func (s *Switch) Run(ctx context.Context, network, address string) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, time.Second
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			pause.Reset()
			err = s.Serve(ctx, conn)
		}
		if err != nil {
			select {
			case <-time.After(pause.NextBackOff()):
			case <-ctx.Done():
			}
		}
	}
}

// Serve speaks with a controller until the connection or ctx ends, and says why; nil where the
// controller closed it or ctx ended. It closes the connection.
func (s *Switch) Serve(ctx context.Context, conn net.Conn) error {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	c := newSession(s, conn)
	s.mu.Lock()
	s.sessions[c] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.sessions, c)
		s.mu.Unlock()
	}()
	err := c.run()
	if ctx.Err() != nil || errors.Is(err, errClosed) {
		return nil
	}
	return err
}

// SetPort adds a port, or changes the one of its number, and tells the controllers.
func (s *Switch) SetPort(p openflow.Port) {
	reason := openflow.PortAdded
	s.mu.Lock()
	if _, known := s.ports[p.Number]; known {
		reason = openflow.PortModified
	}
	s.ports[p.Number] = p
	s.mu.Unlock()
	s.tell(func(b []byte) []byte {
		return openflow.AppendPortStatus(b, 0, openflow.PortStatus{Reason: reason, Port: p})
	})
}

// DeletePort removes a port, if there is one of that number, and tells the controllers.
func (s *Switch) DeletePort(number uint32) {
	s.mu.Lock()
	p, known := s.ports[number]
	delete(s.ports, number)
	s.mu.Unlock()
	if known {
		s.tell(func(b []byte) []byte {
			return openflow.AppendPortStatus(b, 0, openflow.PortStatus{Reason: openflow.PortDeleted, Port: p})
		})
	}
}

// tell sends a message to every controller that has said what it wants to be told.
func (s *Switch) tell(encode func(b []byte) []byte) {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	for _, c := range all {
		if c.listens.Load() {
			c.send(encode)
			c.flush()
		}
	}
}

// Counts is what the switch was asked to do so far.
func (s *Switch) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Flows is how many flows the switch holds.
func (s *Switch) Flows() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flows.entries)
}

func (s *Switch) portList() []openflow.Port {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]openflow.Port, 0, len(s.ports))
	for _, number := range slices.Sorted(maps.Keys(s.ports)) {
		list = append(list, s.ports[number])
	}
	return list
}
