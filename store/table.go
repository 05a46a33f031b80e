package store

import (
	"cmp"
	"iter"
	"slices"
)

// table is what State keeps of one kind. The zero table is empty.
type table[K comparable, T any] struct {
	items map[K]*Item[T]
	// asleep are the objects of tenants that sleep, where the kind packs those; nil: there are none.
	asleep *packed[K, T]
}

// Item is an object with its key and the revisions that etcd gave it.
type Item[T any] struct {
	Key      Key
	Value    *T
	Created  Revision
	Modified Revision
}

// get is an object, or nil.
func (t *table[K, T]) get(k K) *Item[T] {
	if i := t.items[k]; i != nil || t.asleep == nil {
		return i
	}
	return t.asleep.get(k)
}

// has reports whether there is an object.
func (t *table[K, T]) has(k K) bool {
	if t.items[k] != nil || t.asleep == nil {
		return t.items[k] != nil
	}
	_, has := t.asleep.values[k]
	return has
}

func (t *table[K, T]) len() int {
	if t.asleep == nil {
		return len(t.items)
	}
	return len(t.items) + len(t.asleep.values)
}

// put brings an object in, which was not there.
func (t *table[K, T]) put(k K, i *Item[T]) {
	if t.items == nil {
		t.items = map[K]*Item[T]{}
	}
	t.items[k] = i
}

// delete takes an object out.
func (t *table[K, T]) delete(k K) {
	delete(t.items, k)
	if t.asleep == nil {
		return
	}
	if delete(t.asleep.values, k); len(t.asleep.values) == 0 {
		t.asleep = nil // with its words
	}
}

// lull packs an object, if it can be; key is that of one in the table.
func (t *table[K, T]) lull(k K, key func(K) Key) {
	i := t.items[k]
	if i == nil {
		return
	}
	if t.asleep == nil {
		t.asleep = &packed[K, T]{key: key, values: map[K]string{}}
	}
	if t.asleep.put(k, i) == nil {
		delete(t.items, k)
	}
}

// wake unpacks an object.
func (t *table[K, T]) wake(k K) {
	if t.items[k] != nil || !t.has(k) {
		return
	}
	i := t.asleep.get(k)
	t.delete(k)
	t.put(k, i)
}

// all walks all objects, in any order.
func (t *table[K, T]) all() iter.Seq[*Item[T]] {
	return func(yield func(*Item[T]) bool) {
		for k := range t.ids() {
			if !yield(t.get(k)) {
				return
			}
		}
	}
}

// ids walks what the objects are known by in the table, in any order.
func (t *table[K, T]) ids() iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range t.items {
			if !yield(k) {
				return
			}
		}
		if t.asleep == nil {
			return
		}
		for k := range t.asleep.values {
			if !yield(k) {
				return
			}
		}
	}
}

// sorted walks all objects of a table by their names.
func sorted[K cmp.Ordered, T any](t *table[K, T]) iter.Seq[*Item[T]] {
	return func(yield func(*Item[T]) bool) {
		for _, name := range slices.Sorted(t.ids()) {
			if i := t.get(name); i != nil && !yield(i) {
				return
			}
		}
	}
}
