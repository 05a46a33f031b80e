package verify

import (
	"slices"
	"strings"

	"sluice/store"
)

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
