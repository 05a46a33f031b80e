package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sluice/store"
)

// Snapshot is what a dump is proved by: the objects of the store at one revision, and the numbers that each
// switch gave to its interfaces.
type Snapshot struct {
	Revision store.Revision               `json:"revision"`
	Objects  []Object                     `json:"objects"`
	Ports    map[string]map[string]uint32 `json:"ports"` // host -> interface -> OpenFlow port
}

// Object is one object as etcd holds it.
type Object struct {
	Key     string          `json:"key"` // without the store's prefix
	Created store.Revision  `json:"created"`
	Value   json.RawMessage `json:"value"`
}

// Save makes a snapshot of facts. ports are those of a host's switch.
func Save(facts store.Batch, ports map[string]map[string]uint32) (Snapshot, error) {
	out := Snapshot{Revision: facts.Revision, Objects: []Object{}, Ports: ports}
	for _, e := range facts.Events {
		value, err := store.Encode(e.Object)
		if err != nil {
			return out, err
		}
		out.Objects = append(out.Objects, Object{Key: e.Key.Short(), Created: e.Created, Value: value})
	}
	slices.SortFunc(out.Objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

// State is the store as it was.
func (s *Snapshot) State() (*store.State, error) {
	b := store.Batch{Revision: s.Revision}
	for _, o := range s.Objects {
		key, err := store.ParseKey(store.Prefix + o.Key)
		if err != nil {
			return nil, fmt.Errorf("saved state: %w", err)
		}
		value, err := store.Decode(key, o.Value)
		if err != nil {
			return nil, fmt.Errorf("saved state: %w", err)
		}
		b.Events = append(b.Events, store.Event{Key: key, Object: value, Created: o.Created, Modified: o.Created})
	}
	state := store.NewState()
	state.Apply(b)
	return state, nil
}
