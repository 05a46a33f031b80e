package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/flows"
	"sluice/store"
)

// FlowOwner is whose flows carry a cookie.
type FlowOwner struct {
	Cookie string `json:"cookie"` // 0x and 16 hexadecimal digits
	Owner  string `json:"owner"`  // the object that the flows serve; it begins with unknown where there is none
	Kind   string `json:"kind"`   // of slices; empty: none of ours
}

// mostCookies is how many cookies may be asked for at one time.
const mostCookies = 500

func (s *server) owners(a huma.API) {
	op := operation("list-owners", http.MethodGet, "/v1/owners", "flows", "Say whose flows carry a cookie", access.Look)
	op.Description = "For those who read a switch's own dump: each flow of Sluice's carries the cookie of one object."
	huma.Register(a, op, s.listOwners)
}

type ownerQuery struct {
	Cookies []string `query:"cookie,explode" required:"true" minItems:"1" maxItems:"500" doc:"as a dump shows it: hexadecimal behind 0x, or decimal" example:"0x0500000700000065"`
}

type ownerList struct{ Body []FlowOwner }

func (s *server) listOwners(_ context.Context, in *ownerQuery) (*ownerList, error) {
	cookies := make([]uint64, len(in.Cookies))
	for i, text := range in.Cookies {
		var err error
		if cookies[i], err = Cookie(text); err != nil {
			return nil, malformed(err.Error())
		}
	}
	out := &ownerList{Body: make([]FlowOwner, len(cookies))}
	kinds := flows.Kinds()
	s.Controller.Each(len(cookies), func(state *store.State, i int) {
		kind, _, _ := strings.Cut(kinds[flows.Slice(cookies[i]).Kind()], ":")
		out.Body[i] = FlowOwner{Cookie: fmt.Sprintf("0x%016x", cookies[i]), Owner: flows.Owner(state, cookies[i]), Kind: kind}
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

// Owners are those of cookies, in their order, asked for in as many requests as it takes.
func (c *Client) Owners(ctx context.Context, cookies []string) (all []FlowOwner, err error) {
	for len(cookies) > 0 {
		n := min(len(cookies), mostCookies)
		q := query()
		for _, cookie := range cookies[:n] {
			q.Add("cookie", cookie)
		}
		list, _, err := exchange[[]FlowOwner](ctx, c, http.MethodGet, with("/v1/owners", q), nil)
		if err != nil {
			return nil, err
		}
		all, cookies = append(all, list...), cookies[n:]
	}
	return all, nil
}
