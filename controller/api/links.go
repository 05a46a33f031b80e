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
	"sluice/flows"
	"sluice/store"
)

// Link is what a host got from another one through the tunnel between them.
type Link struct {
	From    string `json:"from"`
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"` // of the frames within the tunnel; 0 again where the switch or its flow began anew
}

func (s *server) links(a huma.API) {
	op := operation("list-links", http.MethodGet, "/v1/hosts/{host}/links", "hosts", "List what a host got from each other one through its tunnels", access.Look)
	op.Description = "Read from the host's switch for this request, by the controller that has a session with it. Frames that the switch took, " +
		"whatever it did with them then."
	huma.Register(a, op, s.listLinks)
}

func (s *server) listLinks(ctx context.Context, in *hostPath) (*body[[]Link], error) {
	read, err := s.Controller.FromPeers(ctx, in.Host)
	if err != nil {
		return nil, s.refuse(err)
	}
	links := map[string]Link{}
	s.Controller.View(func(state *store.State) {
		for _, f := range read {
			if peer, is := strings.CutPrefix(flows.Owner(state, f.Cookie), "peer "); is {
				link := links[peer]
				links[peer] = Link{peer, link.Packets + f.Packets, link.Bytes + f.Bytes}
			}
		}
	})
	list := slices.AppendSeq([]Link{}, maps.Values(links))
	slices.SortFunc(list, func(a, b Link) int { return cmp.Compare(a.From, b.From) })
	return &body[[]Link]{list}, nil
}

// Links lists what a host got from each other one through its tunnels.
func (c *Client) Links(ctx context.Context, host string) ([]Link, error) {
	return get[[]Link](ctx, c, path("hosts", host)+"/links", nil)
}
