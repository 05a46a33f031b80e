package api

import (
	"encoding/base64"
	"fmt"
	"iter"

	"sluice/controller/client"
	"sluice/store"
)

// continueHeader tells how to ask for the rest of a list.
const continueHeader = "Sluice-Continue"

// page is a part of a list. Lists are sorted by key, and the next page begins after the last key of
// this one: what stays in the list meanwhile is shown once, whatever else comes and goes.
type page[T any] struct {
	Continue string `header:"Sluice-Continue" doc:"there are more: ask again with this as parameter continue. The last part of a list has none"`
	Body     []T
}

// keysAfter walks the keys of a list in its order, from the first one after another key; the zero
// key is before all.
type keysAfter func(s *store.State, after store.Key) iter.Seq[store.Key]

// listing is one page. The keys are chosen under one hold of the state's lock, the objects are
// copied under several short ones: one that was deleted in between is left out.
func listing[T any](s *server, kind store.Kind, in client.PageQuery, keys keysAfter, show func(*store.State, store.Key) (T, bool)) (*page[T], error) {
	after, err := startOf(in, kind)
	if err != nil {
		return nil, err
	}
	chosen, more := s.choose(in.Limit, keys, after)
	out := &page[T]{Body: make([]T, 0, len(chosen))}
	if more {
		out.Continue = continueAfter(chosen[len(chosen)-1])
	}
	s.Controller.Each(len(chosen), func(state *store.State, i int) {
		if object, exists := show(state, chosen[i]); exists {
			out.Body = append(out.Body, object)
		}
	})
	return out, nil
}

// choose is up to limit keys, and whether there are more.
func (s *server) choose(limit int, keys keysAfter, after store.Key) (chosen []store.Key, more bool) {
	s.Controller.View(func(state *store.State) {
		for key := range keys(state, after) {
			if len(chosen) == limit {
				more = true
				return
			}
			chosen = append(chosen, key)
		}
	})
	return chosen, more
}

// continueAfter is the text with which a client asks for what follows a key. It means nothing to
// clients.
func continueAfter(key store.Key) string {
	return base64.RawURLEncoding.EncodeToString([]byte(key.Short()))
}

// startOf is the key after which the page begins.
func startOf(in client.PageQuery, kind store.Kind) (store.Key, error) {
	if in.Continue == "" {
		return store.Key{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(in.Continue)
	if err == nil {
		key, err := store.ParseKey(store.Prefix + string(text))
		if err == nil && key.Kind == kind {
			return key, nil
		}
	}
	return store.Key{}, malformed(fmt.Sprintf("continue %q: it is not what the header %s of this list said", in.Continue, continueHeader))
}
