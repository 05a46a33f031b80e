package client

import (
	"context"
	"net/http"
)

// FlowOwner is whose flows carry a cookie.
type FlowOwner struct {
	Cookie string `json:"cookie"` // 0x and 16 hexadecimal digits
	Owner  string `json:"owner"`  // the object that the flows serve; it begins with unknown where there is none
	Kind   string `json:"kind"`   // of slices; empty: none of ours
}

// mostCookies is how many cookies may be asked for at one time.
const mostCookies = 500

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
