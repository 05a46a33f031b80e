package manifest

import (
	"fmt"
	"slices"
	"strings"

	"sluice/store"
)

// Changes of an object.
const (
	Create = "create"
	Update = "update"
	Delete = "delete"
)

// Step is one request that brings the cluster nearer to the manifest.
type Step struct {
	Key     store.Key
	Path    string  // its place in the manifest; empty: none
	Change  string  // Create, Update or Delete
	Differs []Field // of an update, and what a created object says
	// Request decides what to write, as store/etcd wants it, from a State that has all of Needs.
	Request func(*store.State) (store.Proposal, error)
	Needs   []string
}

// Field is a part of an object that a step changes.
type Field struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Steps are what makes a cluster like that of the State as the manifest says, in the order in which they
// must be taken; none: it is so. remove are the objects to remove, each of which must be there; one that the
// manifest declares is refused.
func (m *Manifest) Steps(s *store.State, remove []store.Key) ([]Step, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	var steps []Step
	for i := range m.Tenants {
		more, err := m.tenantSteps(s, i)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	for i := range m.Tenants {
		steps = append(steps, m.Tenants[i].peeringSteps(s, i)...)
	}
	removals, err := m.removals(s, remove)
	return append(removals, steps...), err
}

// removals are steps that remove objects: what belongs to others before them.
func (m *Manifest) removals(s *store.State, remove []store.Key) (steps []Step, err error) {
	remove = slices.Clone(remove)
	slices.SortStableFunc(remove, func(a, b store.Key) int { return strings.Count(b.Short(), "/") - strings.Count(a.Short(), "/") })
	for _, key := range remove {
		if m.declares(key) {
			return nil, invalid("", "%s is declared and to be removed: do one of the two", key.Short())
		}
		if _, there := s.Find(key); !there {
			return nil, wrong("", fmt.Errorf("remove %s: %w: no such %s", key.Short(), store.ErrNotFound, key.Kind.Label()))
		}
		steps = append(steps, Step{
			Key: key, Change: Delete, Needs: store.NeededToDelete(key),
			Request: func(s *store.State) (store.Proposal, error) { return store.ProposeDelete(s, key) },
		})
	}
	return steps, nil
}

// declares reports whether an object is in the manifest.
func (m *Manifest) declares(key store.Key) bool {
	for _, t := range m.Tenants {
		if key == store.TenantKey(t.Name) {
			return true
		}
		for _, n := range t.Networks {
			if key == store.NetworkKey(t.Name, n.Name) {
				return true
			}
		}
		for _, p := range t.Peerings {
			if key == store.PeeringKey(t.Name, p.With) {
				return true
			}
		}
		for k := range t.Publications {
			if spec, err := t.Publications[k].spec(t.Name, ""); err == nil && key == spec.Key() {
				return true
			}
		}
	}
	return false
}

// differ are the fields in which what is differs from what should be.
func differ(pairs ...Field) []Field {
	return slices.DeleteFunc(pairs, func(f Field) bool { return f.Before == f.After })
}
