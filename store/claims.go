package store

import "slices"

// Item is an object with its key and the revisions that etcd gave it.
type Item[T any] struct {
	Key      Key
	Value    *T
	Created  Revision
	Modified Revision
}

// Older reports whether i has a value before j, where both claim it: the older create revision
// wins, then the smaller key.
func (i *Item[T]) Older(j *Item[T]) bool {
	if i.Created != j.Created {
		return i.Created < j.Created
	}
	return i.Key.String() < j.Key.String()
}

// claims says which item holds each unique value, such as an address or a number, and
// who waits for it. etcd's transactions keep values unique; claims enforce what a hand
// edit broke.
type claims[K comparable, T any] struct {
	holders map[K]*Item[T]
	waiting map[K][]*Item[T]
}

func newClaims[K comparable, T any]() claims[K, T] {
	return claims[K, T]{holders: map[K]*Item[T]{}, waiting: map[K][]*Item[T]{}}
}

func (c *claims[K, T]) holder(k K) *Item[T] { return c.holders[k] }

// take claims k for i and returns the item that i displaced, or nil.
func (c *claims[K, T]) take(k K, i *Item[T]) *Item[T] {
	holder := c.holders[k]
	switch {
	case holder == nil || holder == i:
		c.holders[k] = i
		return nil
	case i.Older(holder):
		c.holders[k] = i
		c.waiting[k] = append(c.waiting[k], holder)
		return holder
	case !slices.Contains(c.waiting[k], i): // an item may list one value twice
		c.waiting[k] = append(c.waiting[k], i)
	}
	return nil
}

// release ends i's claim to k and returns the item that holds it now instead, or nil.
func (c *claims[K, T]) release(k K, i *Item[T]) *Item[T] {
	queue := c.waiting[k]
	if c.holders[k] != i {
		c.setWaiting(k, slices.DeleteFunc(queue, func(w *Item[T]) bool { return w == i }))
		return nil
	}
	if len(queue) == 0 {
		delete(c.holders, k)
		return nil
	}
	oldest := 0
	for n := range queue {
		if queue[n].Older(queue[oldest]) {
			oldest = n
		}
	}
	next := queue[oldest]
	c.holders[k] = next
	c.setWaiting(k, slices.Delete(queue, oldest, oldest+1))
	return next
}

func (c *claims[K, T]) setWaiting(k K, queue []*Item[T]) {
	if len(queue) == 0 {
		delete(c.waiting, k)
		return
	}
	c.waiting[k] = queue
}
