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
	e, exists := s.find(owner)
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
	return slices.ContainsFunc(TakenBy(e.Key, e.Object), func(t Taken) bool { return t.Key().String() == path })
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

// Lacking are objects that were written up to a revision and lack some of their values under alloc/,
// when right says how many of them were found to be right; in no order.
func (s *State) Lacking(right map[Key]int, until Revision) (list []Event) {
	for _, d := range kinds {
		d.lacking(s, right, until, func(e Event) { list = append(list, e) })
	}
	return list
}

func (d *description[K, T, P]) lacking(s *State, right map[Key]int, until Revision, found func(Event)) {
	if d.table == nil || !slices.ContainsFunc(d.uniques, func(u uniqueOf[T]) bool { return u.facts().dir != "" }) {
		return
	}
	for _, i := range d.table(s).items {
		n := 0
		for _, u := range d.uniques {
			n += u.taken(i)
		}
		if i.Modified <= until && right[i.Key] < n {
			found(d.event(i))
		}
	}
}

// taken is how many different values of an object have keys under alloc/. An object may list one value
// twice.
func (u *unique[V, T]) taken(i *Item[T]) int {
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
