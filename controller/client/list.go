package client

import (
	"context"
	"net/http"
	"net/url"
)

// PageQuery is what part of a list a request asks for. It is exported for the library that reads it.
type PageQuery struct {
	Limit    int    `query:"limit" minimum:"1" maximum:"5000" default:"1000" doc:"how many objects one answer has at most"`
	Continue string `query:"continue" doc:"go on after the answer whose header Sluice-Continue said this"`
}

// continueHeader tells how to ask for the rest of a list.
const continueHeader = "Sluice-Continue"

// Part is a part of a list, and with what Continue asks for the next one; it is empty after the last one.
type Part[T any] struct {
	List []T
	Next string
}

// getPart reads a part of a list.
func getPart[T any](ctx context.Context, c *Client, path string, q url.Values) (Part[T], error) {
	list, header, err := exchange[[]T](ctx, c, http.MethodGet, with(path, q), nil)
	return Part[T]{list, header.Get(continueHeader)}, err
}

// getAll reads a list page by page.
func getAll[T any](ctx context.Context, c *Client, path string, q url.Values) ([]T, error) {
	all := []T{}
	for {
		part, err := getPart[T](ctx, c, path, q)
		if err != nil {
			return nil, err
		}
		all = append(all, part.List...)
		if part.Next == "" {
			return all, nil
		}
		if q == nil {
			q = url.Values{}
		}
		q.Set("continue", part.Next)
	}
}

// query is what a client asks for.
func (in PageQuery) query() url.Values {
	return query("limit", number(uint64(in.Limit)), "continue", in.Continue)
}
