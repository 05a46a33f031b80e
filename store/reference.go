package store

import "slices"

// reference says that each object of a kind belongs to one of another kind, the parts of
// whose key are among its own.
type reference struct {
	to       Kind
	onDelete onDelete
	// needed says that a plain put of such an object is refused while the other does not exist.
	// What is made by a request of its own presumes its parents there.
	needed bool
	// except says which objects follow instead, where the others refuse; nil: none.
	except func(Key) bool
	// dir is the directory under alloc/ where the parts of the other's key come first; empty
	// where they come first in the kind's own keys.
	dir string
	// inUse is the refusal, where onDelete is refuses. It is given the first few names that
	// refer to what was to be deleted, and how many more there are.
	inUse func(names []string, more int64) error
}

// onDelete is what the delete of an object means to those that refer to it.
type onDelete string

const (
	refuses onDelete = "refuses" // it is not deleted while they exist
	follows onDelete = "follows" // they are deleted in the same transaction
	cleared onDelete = "cleared" // they are deleted afterwards: there may be more than a transaction holds
)

// parent is the object that one under a key refers to.
func (r reference) parent(child Key) Key {
	parent := Key{Kind: r.to}
	for _, p := range r.to.facts().parts {
		*parent.place(p) = *child.place(p)
	}
	return parent
}

// many reports whether several objects of the kind may refer to one other: they stand under its name.
func (r referrer) many() bool { return len(r.about().parts) > len(r.to.facts().parts) }

// under is where etcd keeps all objects of a kind that refer to one.
func (r reference) under(kind Kind, parent Key) string {
	if r.dir != "" {
		return Under(KindAlloc, append([]string{r.dir}, parent.values()...)...)
	}
	return Under(kind, parent.values()...)
}

// Use is how objects of a kind use another by names that they take.
type Use struct {
	Names   string   // where the names are under alloc/
	Taken   []string // where all is that they take in it, the names too
	Refusal func(names []string, more int64) error
}

// UsesOf are the ways in which an object may be used so, and its delete refused therefore.
func UsesOf(key Key) (uses []Use) {
	for _, r := range referring(key.Kind) {
		if r.onDelete != refuses || r.dir == "" {
			continue
		}
		u := Use{Names: r.under(r.kind(), key), Refusal: r.inUse}
		for _, taken := range r.unique() {
			if taken.dir != "" && !taken.tombstone { // a number is unique in the cluster
				u.Taken = append(u.Taken, Under(KindAlloc, append([]string{taken.dir}, key.values()...)...))
			}
		}
		uses = append(uses, u)
	}
	return uses
}

// NeededToPut are the keys of the objects without which one under a key is not put.
func NeededToPut(key Key) (parents []Key) {
	for _, r := range key.Kind.facts().refers {
		if r.needed {
			parents = append(parents, r.parent(key))
		}
	}
	return parents
}

// HasOwnDelete reports whether objects of a kind hold numbers or parts, which a plain delete
// would leave behind.
func HasOwnDelete(kind Kind) bool {
	return len(takenBy(kind)) > 0 || len(referring(kind)) > 0
}

// takenBy are the unique values of a kind that etcd has keys for.
func takenBy(kind Kind) []uniqueFacts {
	d := kind.describe()
	if d == nil {
		return nil
	}
	return slices.DeleteFunc(d.unique(), func(u uniqueFacts) bool { return u.dir == "" })
}

// referrer is a kind with its reference to another.
type referrer struct {
	described
	reference
}

// referring are the kinds that refer to a kind.
func referring(kind Kind) (list []referrer) {
	for _, d := range kinds {
		refers := d.about().refers
		if at := slices.IndexFunc(refers, func(r reference) bool { return r.to == kind }); at >= 0 {
			list = append(list, referrer{d, refers[at]})
		}
	}
	return list
}
