package session

import (
	"context"
	"fmt"

	"sluice/controller/host"
	"sluice/controller/proof"
	"sluice/datapath/openflow"
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

// Installed reads the flows that a host's switch holds now.
func (srv *Server) Installed(ctx context.Context, name string) ([]openflow.FlowStats, error) {
	s, err := srv.named(name)
	if err != nil {
		return nil, err
	}
	var list []openflow.FlowStats
	err = s.readFlows(ctx, func(f *openflow.FlowStats) bool {
		list = append(list, *f)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: read flows: %w", name, err)
	}
	return list, nil
}
