package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/flows"
	"sluice/store"
)

func (s *server) owners(a huma.API) {
	op := operation("list-owners", http.MethodGet, "/v1/owners", "flows", "Say whose flows carry a cookie", access.Look)
	op.Description = "For those who read a switch's own dump: each flow of Sluice's carries the cookie of one object."
	huma.Register(a, op, s.listOwners)
}

type ownerQuery struct {
	Cookies []string `query:"cookie,explode" required:"true" minItems:"1" maxItems:"500" doc:"as a dump shows it: hexadecimal behind 0x, or decimal" example:"0x0500000700000065"`
}

type ownerList struct{ Body []client.FlowOwner }

func (s *server) listOwners(_ context.Context, in *ownerQuery) (*ownerList, error) {
	cookies := make([]uint64, len(in.Cookies))
	for i, text := range in.Cookies {
		var err error
		if cookies[i], err = Cookie(text); err != nil {
			return nil, malformed(err.Error())
		}
	}
	out := &ownerList{Body: make([]client.FlowOwner, len(cookies))}
	kinds := flows.Kinds()
	s.Controller.Each(len(cookies), func(state *store.State, i int) {
		kind, _, _ := strings.Cut(kinds[flows.Slice(cookies[i]).Kind()], ":")
		out.Body[i] = client.FlowOwner{Cookie: fmt.Sprintf("0x%016x", cookies[i]), Owner: flows.Owner(state, cookies[i]), Kind: kind}
	})
	return out, nil
}

// Cookie reads a cookie as a dump shows it: hexadecimal behind 0x, or decimal.
func Cookie(text string) (uint64, error) {
	v, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("cookie %q is not a number of 64 bits: write it as a dump shows it, such as 0x0500000700000065", text)
	}
	return v, nil
}
