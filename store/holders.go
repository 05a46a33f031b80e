package store

import (
	"cmp"
	"slices"
	"strings"
)

// holders says who has each value of one sort, such as a number, and who else claims it. The zero value knows nobody.
type holders[V, R comparable] struct {
	of        map[V]R
	claimants map[V][]R // without the holder
}

// handle is what indexes keep of an object: the object, or, where it may be packed, what finds it in its table.
type handle[R comparable, T any] struct {
	of   func(*Item[T]) R
	item func(*State, R) *Item[T]
}

// itself is the handle of objects that are never packed.
func itself[T any]() handle[*Item[T], T] {
	return handle[*Item[T], T]{
		of:   func(i *Item[T]) *Item[T] { return i },
		item: func(_ *State, i *Item[T]) *Item[T] { return i },
	}
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

// claim makes r a claimant to v, and its holder if it is the oldest. It returns who held v until then, where that is another.
func (h *holders[V, R]) claim(v V, r R, older func(a, b R) bool) (displaced R, passed bool) {
	holder, held := h.of[v]
	switch {
	case !held || holder == r:
		if h.of == nil {
			h.of = map[V]R{}
		}
		h.of[v] = r
	case older(r, holder):
		h.of[v] = r
		h.wait(v, holder)
		return holder, true
	case !slices.Contains(h.claimants[v], r): // an object may list one value twice
		h.wait(v, r)
	}
	return displaced, false
}

func (h *holders[V, R]) wait(v V, r R) {
	if h.claimants == nil {
		h.claimants = map[V][]R{}
	}
	h.claimants[v] = append(h.claimants[v], r)
}

// release ends r's claim to v and returns the oldest claimant, where it holds v instead.
func (h *holders[V, R]) release(v V, r R, older func(a, b R) bool) (promoted R, passed bool) {
	others := h.claimants[v]
	if holder, held := h.of[v]; !held || holder != r {
		h.setClaimants(v, slices.DeleteFunc(others, func(o R) bool { return o == r }))
		return promoted, false
	}
	if len(others) == 0 {
		delete(h.of, v)
		return promoted, false
	}
	oldest := slices.MinFunc(others, func(a, b R) int {
		if older(a, b) {
			return -1
		}
		return 1
	})
	h.of[v] = oldest
	h.setClaimants(v, slices.DeleteFunc(others, func(o R) bool { return o == oldest }))
	return oldest, true
}

func (h *holders[V, R]) setClaimants(v V, others []R) {
	if len(others) == 0 {
		delete(h.claimants, v)
		return
	}
	h.claimants[v] = others
}
