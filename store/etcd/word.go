package etcd

import (
	"context"
	"fmt"

	"sluice/store"
)

// Requests are what hosts' agents ask of the operator, by host, in whatever store etcd holds: also
// in one that is not believed, since that is when they ask.
func (c *Client) Requests(ctx context.Context) (map[string]store.Request, error) {
	events, _, err := c.asItIs().List(ctx, store.KindRequest)
	if err != nil {
		return nil, err
	}
	all := make(map[string]store.Request, len(events))
	for _, e := range events {
		all[e.Key.Host] = *e.Object.(*store.Request)
	}
	return all, nil
}

// SayWord answers what a host's agent asks for, in whatever store etcd holds, and returns what
// that was; nil: it asks for nothing, and needs no word.
func (c *Client) SayWord(ctx context.Context, host, word string) (asked *store.Request, rev store.Revision, err error) {
	request := func(state *store.State) (store.Proposal, error) {
		asked = nil
		if there := state.Request(host); there != nil {
			asked = there.Value
		}
		return store.ProposeWord(state, host, word)
	}
	rev, err = c.asItIs().Decide(ctx, request, store.NeededToAnswer(host)...)
	if err != nil {
		return nil, 0, fmt.Errorf("%s host %s: %w", word, host, err)
	}
	return asked, rev, nil
}
