package session

import (
	"context"
	"fmt"

	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// Prove reads the flows that a host's switch holds now, and proves them.
func (srv *Server) Prove(ctx context.Context, name string) (*proof.Look, error) {
	s, err := srv.named(name)
	if err != nil {
		return nil, err
	}
	return srv.Prover.Examine(ctx, s.host, s.readFlows)
}

// named is the session of a host's switch.
func (srv *Server) named(name string) (*session, error) {
	h := srv.Fleet.Get(name)
	if h == nil {
		return nil, host.ErrUnknown{Host: name}
	}
	s := srv.of(h)
	if s == nil {
		return nil, host.ErrNotConnected{Host: name}
	}
	return s, nil
}

// FromPeers reads the flows by which a host's switch takes what other hosts send it through tunnels, with their counters.
func (srv *Server) FromPeers(ctx context.Context, name string) ([]openflow.FlowStats, error) {
	s, err := srv.named(name)
	if err != nil {
		return nil, err
	}
	var cookies []uint64
	srv.Picture.View(func(state *store.State) {
		for _, sl := range flows.PeerSlices(state, name) {
			cookies = append(cookies, uint64(sl))
		}
	})
	if len(cookies) == 0 {
		return nil, nil
	}
	return s.gather(ctx, cookies, flows.TakesFromPeer)
}

// gather reads those flows of some cookies that are wanted; nil: of all cookies.
func (s *session) gather(ctx context.Context, cookies []uint64, wanted func(*openflow.Flow) bool) (list []openflow.FlowStats, err error) {
	err = s.readFlows(ctx, cookies, func(f *openflow.FlowStats) bool {
		if wanted(&f.Flow) {
			list = append(list, *f)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: read flows: %w", s.host.Name, err)
	}
	return list, nil
}

// Installed reads the flows that a host's switch holds now.
func (srv *Server) Installed(ctx context.Context, name string) ([]openflow.FlowStats, error) {
	s, err := srv.named(name)
	if err != nil {
		return nil, err
	}
	return s.gather(ctx, nil, func(*openflow.Flow) bool { return true })
}
