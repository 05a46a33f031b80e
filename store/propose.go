package store

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Proposal is what a request would write, decided from a State and the request alone.
// store/etcd draws the values, and writes all of it in one transaction, if everything that
// it presumes still holds then. The zero Proposal asks for nothing: what was wanted is there.
type Proposal struct {
	Writes   []Event  // objects to put, whole once the Draws are set; nil ones to delete
	Clears   []string // beginnings of keys, which end in "/": all keys under them are deleted
	Draws    []Draw
	Frees    []Taken // values of deleted objects
	Passes   []Pass  // values of objects that get another key
	Presumes []Presumption
}

// Pass gives a value to an object's new key.
type Pass struct {
	Taken
	To Key
}

// Condition is what must hold of a key, or of all keys with one beginning.
type Condition string

// Conditions of a Presumption.
const (
	Absent          Condition = "absent"            // there is no such key
	CreatedAt       Condition = "created at"        // the key is the one that was created at Revision
	Unchanged       Condition = "unchanged"         // the key's mod revision is Revision; 0: there is none
	NoneUnder       Condition = "none under"        // no key begins so
	NothingNewUnder Condition = "nothing new under" // no key that begins so was written after Revision
	Leased          Condition = "leased"            // the key is under Lease
)

// Presumption is a condition that a proposal was decided under.
type Presumption struct {
	Condition Condition
	Path      string // a key's, or the beginning of several, which ends in "/"
	Revision  Revision
	Lease     int64
	// Refusal is why the request is refused where the condition does not hold. Without one,
	// what was read is out of date: read and decide again.
	Refusal error
	// InUse is the Refusal of NoneUnder. It is given the first few paths, and how many more
	// there are.
	InUse func(paths []string, more int64) error
}

// shownUsers is how many of its users the refusal of a delete names.
const shownUsers = 3

// remove adds the delete of an object to a proposal, with all that the object took.
func (p *Proposal) remove(e Event) {
	p.Writes = append(p.Writes, Event{Key: e.Key})
	p.Frees = append(p.Frees, TakenBy(e.Key, e.Object)...)
}

// ProposeRemoval deletes an object as it was read, whatever refers to it.
func ProposeRemoval(e Event) Proposal {
	p := Proposal{Presumes: []Presumption{{Condition: Unchanged, Path: e.Key.String(), Revision: e.Modified}}}
	p.remove(e)
	return p
}

// ProposeDelete deletes an object with those that follow it. It is refused while others
// refer to the object. The state may lack the others but those of NeededToDelete.
func ProposeDelete(s *State, key Key) (Proposal, error) {
	return proposeDelete(s, key, referring(key.Kind))
}

// proposeDelete is ProposeDelete where what refers to the object is told.
func proposeDelete(s *State, key Key, refers []referrer) (Proposal, error) {
	mine, exists := s.Find(key)
	if !exists {
		return Proposal{}, noSuch(key.Kind)
	}
	p := ProposeRemoval(mine)
	for _, r := range refers {
		switch r.onDelete {
		case follows:
			if r.many() {
				p.Clears = append(p.Clears, r.under(r.kind(), key))
				continue
			}
			child := key // with the same parts
			child.Kind = r.kind()
			p.Writes = append(p.Writes, Event{Key: child})
		case refuses:
			if err := p.removeWith(s, key, r); err != nil {
				return Proposal{}, err
			}
		}
	}
	return p, nil
}

// Find is the object that a key is of, whatever its kind; there is none: ok is false.
func (s *State) Find(key Key) (e Event, ok bool) {
	if d := key.Kind.describe(); d != nil {
		return d.find(s, key)
	}
	return Event{}, false
}

// removeWith refuses for those of a kind that refer to the object, and adds the deletes of
// those that may follow it.
func (p *Proposal) removeWith(s *State, parent Key, r referrer) error {
	var users []string
	for _, e := range r.all(s) {
		switch {
		case r.parent(e.Key) != parent:
		case r.except != nil && r.except(e.Key):
			p.remove(e)
		default:
			users = append(users, r.name(e))
		}
	}
	if len(users) > 0 {
		slices.Sort(users)
		shown := users[:min(len(users), shownUsers)]
		return r.inUse(shown, int64(len(users)-len(shown)))
	}
	path := r.under(r.kind(), parent)
	presumed := Presumption{Condition: NoneUnder, Path: path, InUse: r.inUseAt}
	if r.except != nil { // the state has them all
		presumed = Presumption{Condition: NothingNewUnder, Path: path, Revision: s.Revision()}
	}
	p.Presumes = append(p.Presumes, presumed)
	return nil
}

// inUseAt is inUse for the paths of what refers to the object.
func (r referrer) inUseAt(paths []string, more int64) error {
	base := Under(r.kind())
	if r.dir != "" {
		base = Under(KindAlloc, r.dir)
	}
	names := make([]string, len(paths))
	for i, path := range paths {
		names[i] = strings.TrimPrefix(path, base)
	}
	return r.inUse(names, more)
}

// name is an object as the refusal to delete what it refers to names it.
func (r referrer) name(e Event) string {
	for _, t := range r.takes(e.Key, e.Object) {
		if t.Dir == r.dir {
			return t.Value
		}
	}
	return strings.Join(e.Key.values(), "/")
}

// NeededToDelete are the paths that ProposeDelete looks at: keys, and beginnings of keys that
// end in "/".
func NeededToDelete(key Key) []string {
	paths := []string{key.String()}
	for _, r := range referring(key.Kind) {
		if r.except != nil {
			paths = append(paths, r.under(r.kind(), key))
		}
	}
	return paths
}

// noSuch is the refusal to delete what does not exist.
func noSuch(kind Kind) error {
	return fmt.Errorf("%w: no such %s: see sluice %s list", ErrNotFound, kind.Label(), kind.Label())
}

// ProposeDeletePort deletes a port; the MAC and the addresses of a sticky one stay with its name. hostCreated is the create revision of its host's
// registration, as the host's agent knows it; 0 for callers that are not the agent.
func ProposeDeletePort(s *State, key Key, hostCreated Revision) (Proposal, error) {
	if key.Kind != KindPort {
		return Proposal{}, fmt.Errorf("%w: it is no port's key", ErrInvalid)
	}
	p, err := ProposeDelete(s, key)
	if err != nil {
		return p, err
	}
	if port := s.Port(key); port.Value.Sticky != NotSticky {
		p.leaveSticky(port)
	}
	if hostCreated != 0 {
		p.Presumes = append(p.Presumes, Presumption{Condition: CreatedAt, Path: HostKey(key.Host).String(), Revision: hostCreated, Refusal: HostGone(key.Host)})
	}
	return p, nil
}

// ProposeDeletePortOf deletes a port if it is the one with a uid: a later one of its name stays. hostCreated
// is as in ProposeDeletePort.
func ProposeDeletePortOf(s *State, key Key, uid string, hostCreated Revision) (Proposal, error) {
	if p := s.Port(key); p != nil && p.Value.UID != uid {
		return Proposal{}, fmt.Errorf("%w: port %s was made anew since", ErrNotFound, key.Name)
	}
	return ProposeDeletePort(s, key, hostCreated)
}

// ProposeUndoPort is ProposeDeletePortOf where nobody was told of the port: its name has what it had before.
func ProposeUndoPort(s *State, key Key, uid string, hostCreated Revision) (Proposal, error) {
	p, err := ProposeDeletePortOf(s, key, uid, hostCreated)
	if mine := s.Port(key); err == nil && mine.Value.Sticky == StickyFirst {
		p.Passes = nil
		p.Writes = []Event{{Key: key}}
		p.Frees = TakenBy(key, mine.Value)
	}
	return p, err
}

// ProposeRemoveUnreadable removes the key of a port whose value nobody can read, as it was read, while its
// host's agent does not run. What the port took is then taken by no object, and freed as such.
func ProposeRemoveUnreadable(port Key, modified Revision) Proposal {
	return Proposal{
		Writes: []Event{{Key: port}},
		Presumes: []Presumption{
			{Condition: Unchanged, Path: port.String(), Revision: modified, Refusal: ErrConflict},
			{Condition: Absent, Path: LiveHostKey(port.Host).String(), Refusal: ErrInUse},
		},
	}
}

// ProposeDeleteHost deletes a host, of which the state may lack the ports: they are counted
// here, and cleared afterwards. A host that is deleted already and has ports left asks for
// nothing: they are to be cleared. A farewell tells the host's agent, and the leader, that the host
// is absent by the operator's word, said now. A host that was enrolled and never registered is not any more.
func ProposeDeleteHost(s *State, name string, ports int64, now time.Time) (Proposal, error) {
	h := s.Host(name)
	switch {
	case h != nil:
	case s.Enrolment(name) != nil:
		return ProposeDelete(s, EnrolmentKey(name))
	case ports > 0:
		return Proposal{}, nil
	}
	p, err := ProposeDelete(s, HostKey(name))
	if err != nil {
		return Proposal{}, err
	}
	p.Writes = append(p.Writes, Event{Key: FarewellKey(name), Object: &Farewell{Incarnation: h.Value.Incarnation, Created: h.Created, At: now}})
	return p, nil
}

// HostGone says that a host's registration is not the one that its agent made.
func HostGone(host string) error {
	return fmt.Errorf("host %s: %w: register it again", host, ErrHostGone)
}
