package store

import "slices"

// byKind finds a description, also that of the kind which State derives.
var byKind = func() map[Kind]described {
	found := map[Kind]described{KindPresence: presenceKind}
	for _, d := range kinds {
		found[d.kind()] = d
	}
	return found
}()

// facts are what a description says that needs no types.
type facts struct {
	label  string // what people call such an object: "tenant"
	parts  []part // of its key, after the kind
	writer string // who writes it, and who deletes it where that is another
	reader string
	// hostReads and hostWrites confine the agents of hosts: etcd refuses them all else.
	hostReads, hostWrites scope
	refers                []reference
	// derived says that State makes such objects; etcd holds none.
	derived bool
}

// description is all that store knows of one kind: K is its key in State, T its object.
type description[K comparable, T any, P pointer[T]] struct {
	facts
	// table is where State keeps such objects, id their key there; nil: State does not.
	table func(*State) *table[K, T]
	id    func(Key) K
	// packs is id the other way round, of a kind whose objects are packed while their tenant sleeps; nil: they are not.
	packs func(K) Key
	// uniques are the values that one object of the kind has at most.
	uniques []uniqueOf[T]
	// index keeps whatever else State knows of an object that came or goes; nil: nothing.
	index func(a *application, i *Item[T], add bool)
}

// pointer is a pointer to an object's type.
type pointer[T any] interface {
	*T
	Object
}

// described is a description whose types are hidden.
type described interface {
	kind() Kind
	about() *facts
	empty() Object
	apply(a *application, e Event)
	takes(key Key, o Object) []Taken
	unique() []uniqueFacts
	find(s *State, key Key) (Event, bool)
	all(s *State) []Event
	each(s *State) []Event
	takesIn(dir string, key Key, o Object) []Taken
	takesMany(e Event) int
	takers(s *State, keys []Key) []Key
}

func (d *description[K, T, P]) kind() Kind { return P(nil).Kind() }

func (d *description[K, T, P]) about() *facts { return &d.facts }

func (d *description[K, T, P]) empty() Object { return P(new(T)) }

// apply replaces or removes one object, keeps its indexes, and notes the change.
func (d *description[K, T, P]) apply(a *application, e Event) {
	if d.table == nil {
		return
	}
	t, id := d.table(a.State), d.id(e.Key)
	change := Change{Key: e.Key, After: e.Object}
	if old := t.get(id); old != nil {
		change.Before = P(old.Value)
		change.Anew = e.Object != nil && old.Created != e.Created
		d.reindex(a, old, false)
		t.delete(id)
	}
	if e.Object != nil {
		d.put(a, e)
	}
	if change.Before != nil || change.After != nil {
		a.changes = append(a.changes, change)
	}
}

// put brings an object in that was not there.
func (d *description[K, T, P]) put(a *application, e Event) {
	t, sleeps := d.table(a.State), d.packs != nil && !a.Awake(e.Key.Tenant)
	if sleeps {
		e.Key = e.Key.clone() // the table keeps parts of it, and should not keep the path that they are of
	}
	item := &Item[T]{Key: e.Key, Value: (*T)(e.Object.(P)), Created: e.Created, Modified: e.Modified}
	id := d.id(e.Key)
	t.put(id, item)
	if sleeps {
		t.lull(id, d.packs)
	}
	d.reindex(a, item, true)
}

// reindex brings an object into all indexes, or out of them. Whoever gains or loses a
// unique value by that is a change too.
func (d *description[K, T, P]) reindex(a *application, i *Item[T], add bool) {
	if d.index != nil {
		d.index(a, i, add)
	}
	affected := func(other *Item[T]) {
		a.changes = append(a.changes, Change{Key: other.Key, Before: P(other.Value), After: P(other.Value)})
	}
	for _, u := range d.uniques {
		u.index(a.State, i, add, affected)
	}
}

// contested says why an object cannot be programmed: an older one has a unique value of
// its. It is nil for nearly every object.
func (d *description[K, T, P]) contested(s *State, i *Item[T]) (problems []Problem) {
	for _, u := range d.uniques {
		problems = u.contested(s, i, problems)
	}
	return problems
}

func (d *description[K, T, P]) takes(key Key, o Object) (list []Taken) {
	i := &Item[T]{Key: key, Value: (*T)(o.(P))}
	for _, u := range d.uniques {
		list = u.takes(i, list)
	}
	return list
}

func (d *description[K, T, P]) unique() (list []uniqueFacts) {
	for _, u := range d.uniques {
		list = append(list, u.facts())
	}
	return list
}

// find is the object under a key of the kind, and whether State has it.
func (d *description[K, T, P]) find(s *State, key Key) (Event, bool) {
	if d.table == nil {
		return Event{}, false
	}
	i := d.table(s).get(d.id(key))
	if i == nil {
		return Event{}, false
	}
	return d.event(i), true
}

func (d *description[K, T, P]) event(i *Item[T]) Event {
	return Event{Key: i.Key, Object: P(i.Value), Created: i.Created, Modified: i.Modified}
}

// all are the objects of the kind, sorted by key.
func (d *description[K, T, P]) all(s *State) []Event {
	list := d.each(s)
	slices.SortFunc(list, func(a, b Event) int { return compareKeys(a.Key, b.Key) })
	return list
}

// each are the objects of the kind, in any order: of many, sorting would take most of the time.
func (d *description[K, T, P]) each(s *State) []Event {
	if d.table == nil {
		return nil
	}
	list := make([]Event, 0, d.table(s).len())
	for i := range d.table(s).all() {
		list = append(list, d.event(i))
	}
	return list
}

// Kinds are what etcd holds.
func Kinds() []Kind {
	list := make([]Kind, len(kinds))
	for i, d := range kinds {
		list[i] = d.kind()
	}
	return list
}

// Label is what people call an object of the kind: "tenant".
func (k Kind) Label() string { return k.facts().label }

// describe is the kind's description, or nil where there is no such kind.
func (k Kind) describe() described { return byKind[k] }

// facts are the description's; a kind that there is not has a name and nothing else.
func (k Kind) facts() *facts {
	if d := byKind[k]; d != nil {
		return d.about()
	}
	return &facts{parts: []part{partName}}
}
