package store

import (
	"fmt"
	"iter"
)

// unique is a value that one object of a kind has at most, such as a number or an address.
// etcd's transactions see to that where dir is set; State enforces it against hand edits
// where holders is.
type unique[V, R comparable, T any] struct {
	name string // as people read it: "VLAN id"
	// value is the nth that an object has, counted from 0; false: it has none there.
	value func(i *Item[T], n int) (V, bool)
	count func(i *Item[T]) int // how many there may be; nil: one
	// holders is where State keeps who has which value; nil: it does not look.
	holders func(*State) *holders[V, R]
	handle  handle[R, T] // what it keeps there of an object
	// dir is the directory under alloc/ that has a key for each taken value; empty: none has.
	dir string
	// tombstone says that a freed value is not given out again while a switch may still hold
	// flows that speak of it.
	tombstone bool
}

// uniqueOf is a unique value of a kind, whatever the value's type.
type uniqueOf[T any] interface {
	index(s *State, i *Item[T], add bool, affected func(*Item[T]))
	contested(s *State, i *Item[T], problems []Problem) []Problem
	takes(i *Item[T], list []Taken) []Taken
	taken(i *Item[T]) int
	facts() uniqueFacts
}

// uniqueFacts are what a unique value is, without types. enforced says that State lets one
// object of several with the value hold it.
type uniqueFacts struct {
	name, dir           string
	tombstone, enforced bool
}

// Taken is a value that an object has alone. etcd has a key for it under alloc/.
type Taken struct {
	Owner Key
	Dir   string // under alloc/: "addresses"
	Value string // below it, with what it is unique in: "alice/default/10.0.0.5"
	// Tombstone says that the key stays, as a tombstone, when the object is deleted.
	Tombstone bool
}

// Key is the key under alloc/.
func (t Taken) Key() Key { return AllocKey(t.Dir, t.Value) }

// TakenBy are the values that an object has alone and etcd has keys for; of no object, none.
func TakenBy(key Key, o Object) []Taken {
	if o == nil {
		return nil
	}
	return o.Kind().describe().takes(key, o)
}

// TombstoneDirs are the directories under alloc/ where freed values stay as tombstones.
func TombstoneDirs() (dirs []string) {
	for _, d := range kinds {
		for _, u := range d.unique() {
			if u.tombstone {
				dirs = append(dirs, u.dir)
			}
		}
	}
	return dirs
}

// all walks the values that an object has.
func (u *unique[V, R, T]) all(i *Item[T]) iter.Seq[V] {
	return func(yield func(V) bool) {
		n := 1
		if u.count != nil {
			n = u.count(i)
		}
		for at := range n {
			if v, has := u.value(i, at); has && !yield(v) {
				return
			}
		}
	}
}

// holder is who has a value, or nil.
func (u *unique[V, R, T]) holder(s *State, v V) *Item[T] {
	if r, held := u.holders(s).of[v]; held {
		return u.handle.item(s, r)
	}
	return nil
}

// claimants are who claims a value that another one has, in no order.
func (u *unique[V, R, T]) claimants(s *State, v V) (list []*Item[T]) {
	for _, r := range u.holders(s).claimants[v] {
		list = append(list, u.handle.item(s, r))
	}
	return list
}

// index makes an object a claimant to its values, or ends that. affected is told of each
// other object that loses or gains a value by it, or claims a value that passes to another.
func (u *unique[V, R, T]) index(s *State, i *Item[T], add bool, affected func(*Item[T])) {
	if u.holders == nil {
		return
	}
	h, it := u.holders(s), u.handle.of(i)
	older := func(a, b R) bool { return u.handle.item(s, a).Older(u.handle.item(s, b)) }
	for v := range u.all(i) {
		var other R
		passed := false
		if add {
			other, passed = h.claim(v, it, older)
		} else {
			other, passed = h.release(v, it, older)
		}
		if !passed {
			continue
		}
		affected(u.handle.item(s, other))
		for _, claimant := range h.claimants[v] { // its problem names who holds the value
			if claimant != it && claimant != other {
				affected(u.handle.item(s, claimant))
			}
		}
	}
}

// contested adds a problem for each value of an object that an older one has.
func (u *unique[V, R, T]) contested(s *State, i *Item[T], problems []Problem) []Problem {
	if u.holders == nil {
		return problems
	}
	for v := range u.all(i) {
		if r, held := u.holders(s).of[v]; held && r != u.handle.of(i) {
			problems = append(problems, LeftOut(i.Key, "%s %v belongs to the older %s: delete one of the two", u.name, v, u.handle.item(s, r).Key.Short()))
		}
	}
	return problems
}

// takes adds what an object has under alloc/.
func (u *unique[V, R, T]) takes(i *Item[T], list []Taken) []Taken {
	if u.dir == "" {
		return list
	}
	for v := range u.all(i) {
		list = append(list, Taken{Owner: i.Key, Dir: u.dir, Value: allocPath(v), Tombstone: u.tombstone})
	}
	return list
}

func (u *unique[V, R, T]) facts() uniqueFacts {
	return uniqueFacts{name: u.name, dir: u.dir, tombstone: u.tombstone, enforced: u.holders != nil}
}

// scoped is a value that is unique inside one network. People read the value alone.
type scoped[V comparable] struct {
	network NetworkName
	value   V
}

func (s scoped[V]) String() string { return fmt.Sprint(s.value) }

func (s scoped[V]) path() string { return s.network.String() + "/" + s.String() }

// allocPath is a value as a path under its directory of alloc/.
func allocPath(v any) string {
	if scoped, ok := v.(interface{ path() string }); ok {
		return scoped.path()
	}
	return fmt.Sprint(v)
}
