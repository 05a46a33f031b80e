package store

import "fmt"

// Memory is what a controller or an agent knows of the store that it serves. The zero Memory
// knows none.
type Memory struct {
	Store   string `json:"store"`   // its Identity's ID; empty: none is remembered
	Cluster uint64 `json:"cluster"` // etcd's own id of the cluster
	// Last is the newest stamp that was seen, Lasting the newest of those that the chain keeps
	// for long: it proves the store to one who was away for more than a week.
	Last     Stamp    `json:"last"`
	Lasting  Stamp    `json:"lasting"`
	Revision Revision `json:"revision"` // the highest that was seen
	// Witness is the revision of the last write to a key of the rememberer's own, WitnessAt: it is
	// written soon after anything that happened, so it is younger than most stamps.
	Witness   Revision `json:"witness,omitempty"`
	WitnessAt string   `json:"witnessAt,omitempty"` // its path
}

// Sight is what one look at etcd shows of the store there, all at one revision.
type Sight struct {
	Store    string // its Identity's ID; empty: it has none
	Cluster  uint64
	Revision Revision
	Chain    Chain // zero: it has no stamp yet
	// StampedAt is the revision that wrote the newest stamp: what was created before was in this
	// very store when the stamp was written.
	StampedAt Revision
	// Last and Lasting are the stamps that stand where the memory has its own. Zero: there is none.
	Last, Lasting Stamp
	Witness       Revision // of the last write to the memory's own key; 0: there is none
	Hosts         int64    // how many are registered
	// Least is the least SchemaVersion that may write this store, as its key says at revision
	// LeastAt; 0 and 0: it says nothing.
	Least   int
	LeastAt Revision
}

// Verdict says whether the store at hand is the one that is remembered.
type Verdict string

// Verdicts. All but Right and Unknown mean to hold: touch nothing until the right store is
// back, or the operator adopts this one; for Newer nobody adopts.
const (
	Right    Verdict = "right"
	Unknown  Verdict = "unknown"   // nothing is remembered: it may be anyone's
	Another  Verdict = "another"   // it is not the one that is remembered
	WentBack Verdict = "went back" // it lost what was seen in it, as after a restore
	Newer    Verdict = "newer"     // whichever store it is, it is for newer programs than this one
	Unproved Verdict = "unproved"  // the chain has no stamp any more that was seen: too long away
)

// Judgement is a verdict with its reason, for people. The reason of Right is empty.
type Judgement struct {
	Verdict Verdict
	Why     string
}

// Held reports whether nothing may be believed of the store.
func (j Judgement) Held() bool { return j.Verdict != Right && j.Verdict != Unknown }

func judged(v Verdict, format string, args ...any) Judgement {
	return Judgement{v, fmt.Sprintf(format, args...)}
}

// Judge compares what is remembered with what is seen. Etcd's cluster id alone proves nothing:
// a wiped directory of the embedded etcd gets the same one. Nor does a higher revision: `etcdutl
// snapshot restore --bump-revision` makes one.
func (m Memory) Judge(s Sight) Judgement {
	switch {
	case s.Least > SchemaVersion:
		return judged(Newer, "this program is too old: the store asks for schema %d at least, and this one writes schema %d", s.Least, SchemaVersion)
	case m.Store == "":
		return judged(Unknown, "no store is remembered")
	case s.Store == "":
		return judged(Another, "etcd holds no store, though store %s is remembered: it is empty or wiped", m.Store)
	case s.Store != m.Store:
		return judged(Another, "etcd holds store %s, not %s, which is remembered", s.Store, m.Store)
	case s.Cluster != m.Cluster:
		return judged(Another, "etcd's cluster has id %x, not %x, which is remembered: it holds a copy of store %s", s.Cluster, m.Cluster, m.Store)
	}
	if j := m.judgeChain(s); j.Verdict != Right {
		return j
	}
	switch { // these two last: they may change while one looks
	case s.Witness < m.Witness:
		return judged(WentBack, "store %s lacks what was written to it at revision %d: it was restored from an older state", m.Store, m.Witness)
	case s.Revision < m.Revision:
		return judged(WentBack, "store %s is at revision %d, and was at %d: it was restored from an older state", m.Store, s.Revision, m.Revision)
	}
	return Judgement{Verdict: Right}
}

// judgeChain wants the newest stamp to stand that the chain still keeps of those remembered.
func (m Memory) judgeChain(s Sight) Judgement {
	proof, stands := m.Last, s.Last
	if proof.Pruned(s.Chain.Newest.Number) {
		proof, stands = m.Lasting, s.Lasting
	}
	switch {
	case m.Last.Number == 0: // it was seen before its first stamp was written
		return Judgement{Verdict: Right}
	case proof.Number == 0 || proof.Pruned(s.Chain.Newest.Number):
		return judged(Unproved, "store %s is at stamp %d of its chain and keeps none any more that was seen: the last was %d", m.Store, s.Chain.Newest.Number, m.Last.Number)
	case stands.Number == 0:
		return judged(WentBack, "store %s lacks stamp %d of its chain, which was seen in it: it was restored from an older state", m.Store, proof.Number)
	case stands != proof:
		return judged(WentBack, "stamp %d of the chain of store %s is not the one that was seen: it was restored from an older state and went on since", proof.Number, m.Store)
	}
	return Judgement{Verdict: Right}
}

// After is what to remember once the sight was believed.
func (m Memory) After(s Sight) Memory {
	if m.Store != s.Store || m.Cluster != s.Cluster {
		m = Memory{}
	}
	if s.Store == "" {
		return Memory{}
	}
	m.Store, m.Cluster, m.Revision = s.Store, s.Cluster, max(m.Revision, s.Revision)
	m.Last, m.Lasting = s.Chain.Newest, s.Chain.Lasting
	return m
}

// Adopt is what to remember once the operator adopted the store that is seen, whatever was
// remembered before.
func Adopt(s Sight) Memory { return Memory{}.After(s) }
