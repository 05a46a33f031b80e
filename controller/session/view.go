package session

import (
	"context"
	"fmt"

	"sluice/controller/host"
	"sluice/datapath/openflow"
)

// Installed reads the flows that a host's switch holds now.
func (srv *Server) Installed(ctx context.Context, name string) ([]openflow.FlowStats, error) {
	h := srv.Fleet.Get(name)
	if h == nil {
		return nil, host.ErrUnknown{Host: name}
	}
	s := srv.of(h)
	if s == nil {
		return nil, host.ErrNotConnected{Host: name}
	}
	var list []openflow.FlowStats
	err := s.sw.Flows(ctx, nil, func(f *openflow.FlowStats) bool {
		list = append(list, *f)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("host %s: read flows: %w", name, err)
	}
	return list, nil
}
