package store

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// Registrant is what an agent says of its host when it registers it.
type Registrant struct {
	Name string
	Host Host
	// Held are keys under alloc/ that say already that they are this host's, by path, with their mod
	// revisions: a host whose own key somebody deleted by hand left them.
	Held map[string]Revision
}

// Validate refuses what no state would allow.
func (s Registrant) Validate() error {
	if err := ValidateName(s.Name); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if s.Host.Incarnation == "" {
		return fmt.Errorf("%w: it has no incarnation", ErrInvalid)
	}
	return nil
}

// Key is the host's key.
func (s Registrant) Key() Key { return HostKey(s.Name) }

// Registered reports whether the host is registered just so: then nothing is taken anew, and
// Propose needs to see no other host.
func (s Registrant) Registered(state *State) bool {
	old := state.Host(s.Name)
	if old == nil {
		return false
	}
	is, err := Encode(old.Value)
	should, failed := Encode(&s.Host)
	return err == nil && failed == nil && bytes.Equal(is, should)
}

// Propose registers the host, or registers it again: its VTEPs and its datapath id are its alone.
// The lease key, which the writer puts in the same transaction, is presumed to be as the state has
// it. The state may lack all but the host, its lease key and, unless it is Registered, the other hosts.
func (s Registrant) Propose(state *State) (Proposal, error) {
	if err := s.Validate(); err != nil {
		return Proposal{}, err
	}
	old, live := state.Host(s.Name), state.LiveHost(s.Name)
	if err := s.checkName(old, live); err != nil {
		return Proposal{}, err
	}
	p := Proposal{Presumes: []Presumption{
		{Condition: Unchanged, Path: s.Key().String(), Revision: modified(old)},
		{Condition: Unchanged, Path: LiveHostKey(s.Name).String(), Revision: modified(live)},
	}}
	if s.Registered(state) {
		return p, nil
	}
	if err := s.checkEncap(state); err != nil {
		return Proposal{}, err
	}
	host := s.Host
	p.Writes = []Event{{Key: s.Key(), Object: &host}}
	if err := s.takeValues(&p, state); err != nil {
		return Proposal{}, err
	}
	return p, nil
}

// modified is an item's mod revision, 0 where there is none.
func modified[T any](i *Item[T]) Revision {
	if i == nil {
		return 0
	}
	return i.Modified
}

// checkName refuses a name that another incarnation has: one that is live, or that is registered
// though not live (the operator deletes that host first, so that its ports are not mixed with ours).
func (s Registrant) checkName(old *Item[Host], live *Item[LiveHost]) error {
	if live != nil && live.Value.Incarnation != s.Host.Incarnation {
		return fmt.Errorf("%w: another agent runs under this name since %s: stop it, or give this one another --host",
			ErrHostTaken, live.Value.Since.Format(time.RFC3339))
	}
	if old != nil && old.Value.Incarnation != s.Host.Incarnation {
		return fmt.Errorf("%w: another agent, not running now, registered it: if this machine replaces that one, run `sluice host delete %s` first",
			ErrHostTaken, s.Name)
	}
	return nil
}

// checkEncap refuses a new host that would reach no other. One that is registered may change its
// encapsulation: so a cluster changes, host by host.
func (s Registrant) checkEncap(state *State) error {
	if state.Host(s.Name) != nil {
		return nil
	}
	var other *Item[Host]
	for h := range state.Hosts() {
		if h.Value.Encap == s.Host.Encap {
			return nil
		}
		other = h
	}
	if other == nil {
		return nil
	}
	return fmt.Errorf("encapsulation %s: %w: no frame would pass between this host and others, such as %s: start its agent with --encap %s",
		s.Host.Encap, ErrInvalid, other.Key.Host, other.Value.Encap)
}

// takeValues adds what the host takes that it had not, and frees what it has no more. Hosts that
// registered before their values had keys under alloc/ are seen by what they say.
func (s Registrant) takeValues(p *Proposal, state *State) error {
	values := TakenBy(s.Key(), &s.Host)
	var had []Taken
	if old := state.Host(s.Name); old != nil {
		had = TakenBy(s.Key(), old.Value)
	}
	for i, v := range values {
		if v.in(had) || v.in(values[:i]) {
			continue
		}
		for h := range state.Hosts() {
			if h.Key != s.Key() && v.in(TakenBy(h.Key, h.Value)) {
				return s.taken(v, h.Key.Host)
			}
		}
		if at, held := s.Held[v.Key().String()]; held {
			p.Presumes = append(p.Presumes, Presumption{Condition: Unchanged, Path: v.Key().String(), Revision: at})
			continue
		}
		p.Draws = append(p.Draws, Draw{Owner: s.Key(), Dir: v.Dir, Value: v.Value, Set: func(string) {},
			Taken: func(owner string) error { return s.takenUnder(v, owner, state) }})
	}
	for _, v := range had {
		if !v.in(values) {
			p.Frees = append(p.Frees, v)
		}
	}
	return nil
}

// same reports whether two are one value.
func (t Taken) same(other Taken) bool { return t.Dir == other.Dir && t.Value == other.Value }

func (t Taken) in(list []Taken) bool { return slices.ContainsFunc(list, t.same) }

// taken is the refusal of a value that another host has.
func (s Registrant) taken(v Taken, other string) error {
	what, instead := "VTEP", "give this one another --vtep"
	if v.Dir == hostDatapath.dir {
		what, instead = "datapath id", "give this one another --host"
	}
	return fmt.Errorf("%s %s: %w by host %s: if this machine replaces that one, run `sluice host delete %s` first, else %s",
		what, v.Value, ErrTaken, other, other, instead)
}

// takenUnder is the refusal of a value whose key under alloc/ is another's. One that is not among the
// hosts may have registered meanwhile, or be gone without its key: the next try tells.
func (s Registrant) takenUnder(v Taken, owner string, state *State) error {
	key, err := ParseKey(Prefix + owner)
	if err == nil && key.Kind == KindHost && key != s.Key() && state.Host(key.Host) != nil {
		return s.taken(v, key.Host)
	}
	return fmt.Errorf("%s: %w: %s registers with it now, or left it behind: the leading controller frees what is left",
		v.Value, ErrConflict, owner)
}
