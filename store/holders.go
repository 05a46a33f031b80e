package store

import (
	"cmp"
	"slices"
	"strings"
)

// holders says which item has each value of one sort, such as a number, and which others
// claim it. The zero value knows nobody.
type holders[V comparable, T any] struct {
	of        map[V]*Item[T]
	claimants map[V][]*Item[T] // without the holder
}

func compareKeys(a, b Key) int { return strings.Compare(a.String(), b.String()) }

// compareItems orders claimants: the older create revision holds a value, then the smaller key.
func compareItems[T any](a, b *Item[T]) int {
	if a.Created != b.Created {
		return cmp.Compare(a.Created, b.Created)
	}
	return compareKeys(a.Key, b.Key)
}

// Older reports whether i has a value before j, where both claim it: the older create revision
// wins, then the smaller key.
func (i *Item[T]) Older(j *Item[T]) bool { return compareItems(i, j) < 0 }

// claim makes i a claimant to v, and its holder if it is the oldest. It returns the item
// that held v until then, or nil.
func (h *holders[V, T]) claim(v V, i *Item[T]) (displaced *Item[T]) {
	holder := h.of[v]
	switch {
	case holder == nil || holder == i:
		if h.of == nil {
			h.of = map[V]*Item[T]{}
		}
		h.of[v] = i
		return nil
	case compareItems(i, holder) < 0:
		h.of[v] = i
		h.wait(v, holder)
		return holder
	case !slices.Contains(h.claimants[v], i): // an item may list one value twice
		h.wait(v, i)
	}
	return nil
}

func (h *holders[V, T]) wait(v V, i *Item[T]) {
	if h.claimants == nil {
		h.claimants = map[V][]*Item[T]{}
	}
	h.claimants[v] = append(h.claimants[v], i)
}

// release ends i's claim to v and returns the oldest claimant, where it holds v instead.
func (h *holders[V, T]) release(v V, i *Item[T]) (promoted *Item[T]) {
	others := h.claimants[v]
	if h.of[v] != i {
		h.setClaimants(v, slices.DeleteFunc(others, func(o *Item[T]) bool { return o == i }))
		return nil
	}
	if len(others) == 0 {
		delete(h.of, v)
		return nil
	}
	oldest := slices.MinFunc(others, compareItems)
	h.of[v] = oldest
	h.setClaimants(v, slices.DeleteFunc(others, func(o *Item[T]) bool { return o == oldest }))
	return oldest
}

func (h *holders[V, T]) setClaimants(v V, others []*Item[T]) {
	if len(others) == 0 {
		delete(h.claimants, v)
		return
	}
	h.claimants[v] = others
}
