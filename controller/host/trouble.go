package host

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// Trouble is what is wrong with one slice on one host.
type Trouble struct {
	Problems []store.Problem
	Unserved []store.Problem // those of what is not programmed whole for it
	Refused  []openflow.Flow // by the switch
	// Unreachable says that the host does not reach its peers, nor they it.
	Unreachable bool
}

// Drift is what audits of a host's switch found and mended since this controller started:
// somebody else wrote to it.
type Drift struct {
	Missing int       `json:"missing"` // flows that were gone
	Extra   int       `json:"extra"`   // flows that were not ours
	Changed int       `json:"changed"` // flows whose actions were others
	Last    time.Time `json:"last"`
}

// Problems are those of all slices of the host.
func (h *Host) Problems() (list store.Problems) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.problems()
}

func (h *Host) problems() (list store.Problems) {
	for _, slice := range slices.Sorted(maps.Keys(h.troubles)) {
		list = append(list, h.troubles[slice].Problems...)
	}
	list = append(list, h.orphans...)
	return append(list, h.findings...)
}

// unserves reports whether something is not programmed whole, be it for another host's port.
func (h *Host) unserves() bool {
	for _, t := range h.troubles {
		if len(t.Refused) > 0 || len(t.Unserved) > 0 {
			return true
		}
	}
	return len(h.orphans) > 0
}

// unreachable reports whether the host does not reach its peers.
func (h *Host) unreachable() bool {
	for _, t := range h.troubles {
		if t.Unreachable {
			return true
		}
	}
	return false
}

// unserved is what is not programmed whole, each object with the first reason why for ports, and for a gateway: whoever
// waits for a port that needs one of them must not be told that it is realized.
func (h *Host) unserved() store.Problems {
	type lack struct {
		key  store.Key
		whom store.LeavesOut
	}
	first := map[lack]store.Problem{}
	note := func(p store.Problem) {
		of := lack{p.Key, p.LeavesOut}
		if _, told := first[of]; !told {
			first[of] = store.Problem{Object: p.Key.Short(), Text: p.Text, LeavesOut: p.LeavesOut} // as it is read back from etcd
		}
	}
	for _, problem := range h.orphans {
		note(problem)
	}
	for _, slice := range slices.Sorted(maps.Keys(h.troubles)) {
		for _, problem := range h.troubles[slice].Unserved {
			note(problem)
		}
	}
	return slices.SortedFunc(maps.Values(first), func(a, b store.Problem) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(string(a.LeavesOut), string(b.LeavesOut)))
	})
}

// Unexplained are the mods that an audit found necessary, without those that the switch
// refused before: these are a known trouble and not drift.
func (h *Host) Unexplained(m flows.Mods) flows.Mods {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, list := range []*[]openflow.Flow{&m.Add, &m.Replace, &m.Modify, &m.Delete} {
		*list = slices.DeleteFunc(slices.Clone(*list), h.refused)
	}
	return m
}

// refused reports whether the switch refused a flow mod when that was last tried.
func (h *Host) refused(f openflow.Flow) bool {
	return slices.ContainsFunc(h.troubles[flows.Slice(f.Cookie)].Refused, func(g openflow.Flow) bool { return f.Equal(&g) })
}

// Drifted notes what an audit found.
func (h *Host) Drifted(m flows.Mods) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drift.Missing += len(m.Add)
	h.drift.Extra += len(m.Delete)
	h.drift.Changed += len(m.Modify) + len(m.Replace)
	h.drift.Last = time.Now().UTC()
}
