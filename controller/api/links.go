package api

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/flows"
	"sluice/store"
)

func (s *server) links(a huma.API) {
	op := operation("list-links", http.MethodGet, "/v1/hosts/{host}/links", "hosts", "List what a host got from each other one through its tunnels", access.Look)
	op.Description = "Read from the host's switch for this request, by the controller that has a session with it. Frames that the switch took, " +
		"whatever it did with them then."
	huma.Register(a, op, s.listLinks)
}

func (s *server) listLinks(ctx context.Context, in *hostPath) (*body[[]client.Link], error) {
	read, err := s.Controller.FromPeers(ctx, in.Host)
	if err != nil {
		return nil, s.refuse(err)
	}
	links := map[string]client.Link{}
	s.Controller.View(func(state *store.State) {
		for _, f := range read {
			if peer, is := strings.CutPrefix(flows.Owner(state, f.Cookie), "peer "); is {
				link := links[peer]
				links[peer] = client.Link{From: peer, Packets: link.Packets + f.Packets, Bytes: link.Bytes + f.Bytes}
			}
		}
	})
	list := slices.AppendSeq([]client.Link{}, maps.Values(links))
	slices.SortFunc(list, func(a, b client.Link) int { return cmp.Compare(a.From, b.From) })
	return &body[[]client.Link]{list}, nil
}
