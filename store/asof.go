package store

import (
	"fmt"
	"slices"
	"strings"
)

// AsOf presumes that an object is as it was at a revision, as of which whoever asks has read it.
func AsOf(key Key, modified Revision) Presumption {
	return Presumption{
		Condition: Unchanged, Path: key.String(), Revision: modified,
		Refusal: fmt.Errorf("%s: %w revision %d, as of which the request was made: read it again and decide anew", key.Title(), ErrChanged, modified),
	}
}

// Title is what people call the object of a key: "port alice/default/a1". The host that an agent's objects are under
// is left out.
func (k Key) Title() string {
	if k.Kind == KindHost {
		return k.Kind.Label() + " " + k.Host
	}
	parts := slices.DeleteFunc([]string{k.Tenant, k.Network, k.Name}, func(part string) bool { return part == "" })
	return k.Kind.Label() + " " + strings.Join(parts, "/")
}

// Presuming is a request whose proposal presumes more.
func Presuming(request func(*State) (Proposal, error), more ...Presumption) func(*State) (Proposal, error) {
	return func(s *State) (Proposal, error) {
		p, err := request(s)
		if err == nil {
			p.Presumes = append(p.Presumes[:len(p.Presumes):len(p.Presumes)], more...)
		}
		return p, err
	}
}

// Objects are those of a kind that State keeps, in any order. They are replaced and never changed.
func (s *State) Objects(kind Kind) []Event {
	if d := kind.describe(); d != nil {
		return d.each(s)
	}
	return nil
}
