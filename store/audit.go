package store

import (
	"slices"
	"strings"
)

// AllocVerdict says what a key under alloc/ is to the objects that there are.
type AllocVerdict string

// Verdicts of JudgeAlloc.
const (
	AllocRight     AllocVerdict = "right"     // the object that it names has the value
	AllocTombstone AllocVerdict = "tombstone" // a freed number: it goes when every host has forgotten it
	AllocStray     AllocVerdict = "stray"     // it names no object, or one that does not have the value
	// AllocForeign: a directory or a kind that this version does not know. A newer one may, so it is
	// kept.
	AllocForeign AllocVerdict = "foreign"
)

// JudgeAlloc says whether the object that a key under alloc/ names has the value that the path says.
// The zero Alloc stands for what cannot be read.
func (s *State) JudgeAlloc(path string, a Alloc) (v AllocVerdict, owner Key) {
	dir, _, _ := strings.Cut(strings.TrimPrefix(path, Under(KindAlloc)), "/")
	known, tombstone := allocDir(dir)
	switch {
	case !known:
		return AllocForeign, Key{}
	case a.Freed && tombstone:
		return AllocTombstone, Key{}
	case a.Owner == "" || a.Freed:
		return AllocStray, Key{}
	}
	if _, _, err := splitKind(Prefix + a.Owner); err != nil {
		return AllocForeign, Key{}
	}
	owner, err := ParseKey(Prefix + a.Owner)
	if err != nil {
		return AllocStray, Key{}
	}
	e, exists := s.Find(owner)
	if !exists || !Takes(e, path) {
		return AllocStray, owner
	}
	return AllocRight, owner
}

// allocDir reports whether a directory of alloc/ is known, and holds tombstones.
func allocDir(dir string) (known, tombstone bool) {
	for _, d := range kinds {
		for _, u := range d.unique() {
			if u.dir == dir && dir != "" {
				return true, u.tombstone
			}
		}
	}
	return false, false
}

// Takes reports whether an object has the value of a path under alloc/.
func Takes(e Event, path string) bool {
	dir, value, _ := strings.Cut(strings.TrimPrefix(path, Under(KindAlloc)), "/")
	d := e.Key.Kind.describe()
	return d != nil && slices.ContainsFunc(d.takesIn(dir, e.Key, e.Object), func(t Taken) bool { return t.Value == value })
}

// takesIn are the values of an object in one directory of alloc/.
func (d *description[K, T, P]) takesIn(dir string, key Key, o Object) (list []Taken) {
	i := &Item[T]{Key: key, Value: (*T)(o.(P))}
	for _, u := range d.uniques {
		if u.facts().dir == dir {
			list = u.takes(i, list)
		}
	}
	return list
}

// Stray frees a key under alloc/ that names no object: it goes, or becomes a tombstone, since a
// switch may hold flows of the number. known is false for a path of no known directory.
func Stray(path string, a Alloc) (freed *Alloc, known bool) {
	dir, _, _ := strings.Cut(strings.TrimPrefix(path, Under(KindAlloc)), "/")
	known, tombstone := allocDir(dir)
	if !tombstone {
		return nil, known
	}
	return &Alloc{Owner: a.Owner, Freed: true}, known
}

// Takers are the keys of all objects that have values under alloc/, in no order.
func (s *State) Takers() (keys []Key) {
	for _, d := range kinds {
		keys = d.takers(s, keys)
	}
	return keys
}

// Lacks reports whether an object was written up to a revision and has more values under alloc/ than
// were found to be right, and which object that is.
func (s *State) Lacks(key Key, right int, until Revision) (Event, bool) {
	e, exists := s.Find(key)
	return e, exists && e.Modified <= until && right < key.Kind.describe().takesMany(e)
}

func (d *description[K, T, P]) takers(s *State, keys []Key) []Key {
	if d.table == nil || !slices.ContainsFunc(d.uniques, func(u uniqueOf[T]) bool { return u.facts().dir != "" }) {
		return keys
	}
	t := d.table(s)
	keys = slices.Grow(keys, t.len())
	for _, i := range t.items {
		keys = append(keys, i.Key)
	}
	if t.asleep != nil {
		for id := range t.asleep.values {
			keys = append(keys, t.asleep.key(id))
		}
	}
	return keys
}

// takesMany is how many values an object has under alloc/.
func (d *description[K, T, P]) takesMany(e Event) (n int) {
	i := &Item[T]{Key: e.Key, Value: (*T)(e.Object.(P))}
	for _, u := range d.uniques {
		n += u.taken(i)
	}
	return n
}

// taken is how many different values of an object have keys under alloc/. An object may list one value
// twice.
func (u *unique[V, R, T]) taken(i *Item[T]) int {
	if u.dir == "" {
		return 0
	}
	if u.count == nil {
		if _, has := u.value(i, 0); has {
			return 1
		}
		return 0
	}
	var seen []V
	for v := range u.all(i) {
		if !slices.Contains(seen, v) {
			seen = append(seen, v)
		}
	}
	return len(seen)
}
