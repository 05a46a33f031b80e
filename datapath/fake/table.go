package fake

import (
	"maps"
	"slices"
	"time"
	"unique"

	"sluice/datapath/openflow"
)

// entry is one flow. Its bytes are kept as they came, and those of equal flows once for all the
// switches of the process: a million flows fit a modest machine.
type entry struct {
	rest   unique.Handle[string] // timeouts, flags, instructions
	cookie uint64
	since  int64 // Unix time
}

// matchKey is a flow's table, priority and the bytes of its match.
type matchKey = unique.Handle[string]

// table holds all flows of a switch, of all its tables.
type table struct {
	entries map[matchKey]entry
	cookies map[uint64][]matchKey
	asked   map[uint8][]matchKey // the flows of tables that were asked for, until one changes
	scratch []byte
	undo    []change // since the last mark
	removed []openflow.FlowRemoved
}

// change is a flow as it was before; absent: there was none.
type change struct {
	key    matchKey
	before entry
	absent bool
}

func newTable() table {
	return table{entries: map[matchKey]entry{}, cookies: map[uint64][]matchKey{}, asked: map[uint8][]matchKey{}}
}

// stateFlags are those that a flow keeps; the others concern its flow mod alone.
const stateFlags = openflow.SendFlowRemoved | openflow.NoPacketCounts | openflow.NoByteCounts

func (t *table) keyOf(w *openflow.WireFlow) matchKey {
	t.scratch = append(be.AppendUint16(append(t.scratch[:0], w.Table), w.Priority), w.Match...)
	return unique.Make(string(t.scratch))
}

func (t *table) entryOf(w *openflow.WireFlow) entry {
	t.scratch = appendRest(t.scratch[:0], w)
	return entry{rest: unique.Make(string(t.scratch)), cookie: w.Cookie, since: time.Now().Unix()}
}

// set puts a flow where another may be.
func (t *table) set(key matchKey, e entry) {
	old, known := t.entries[key]
	t.undo = append(t.undo, change{key, old, !known})
	t.put(key, e)
}

func (t *table) delete(key matchKey) {
	t.undo = append(t.undo, change{key, t.entries[key], false})
	t.drop(key)
}

func (t *table) put(key matchKey, e entry) {
	t.drop(key)
	t.entries[key] = e
	delete(t.asked, key.Value()[0])
	t.cookies[e.cookie] = append(t.cookies[e.cookie], key)
}

func (t *table) drop(key matchKey) {
	e, known := t.entries[key]
	if !known {
		return
	}
	delete(t.entries, key)
	delete(t.asked, key.Value()[0])
	keys := t.cookies[e.cookie]
	if at := slices.Index(keys, key); len(keys) > 1 {
		keys[at] = keys[len(keys)-1]
		t.cookies[e.cookie] = keys[:len(keys)-1]
		return
	}
	delete(t.cookies, e.cookie)
}

// keep makes the changes since the last mark final, and returns the flows removed by them
// whose controllers wanted to know.
func (t *table) keep() []openflow.FlowRemoved {
	removed := t.removed
	t.undo, t.removed = t.undo[:0], nil
	if cap(t.undo) > 256 {
		t.undo = nil
	}
	return removed
}

// revert takes back the changes since the last mark.
func (t *table) revert() {
	for _, c := range slices.Backward(t.undo) {
		if c.absent {
			t.drop(c.key)
		} else {
			t.put(c.key, c.before)
		}
	}
	t.removed = nil
	t.keep()
}

// query restricts a statistics request, a modify or a delete.
type query struct {
	table        uint8
	cookie, mask uint64
	match        openflow.Match
}

// selects reports whether a flow is among those meant.
func (q *query) selects(f *openflow.Flow) bool {
	return (q.table == openflow.TableAll || q.table == f.Table) &&
		(f.Cookie^q.cookie)&q.mask == 0 && covers(q.match, f.Match)
}

// covers reports whether all that m matches g matches too, m being the narrower.
func covers(wide, narrow openflow.Match) bool {
	for _, w := range wide {
		n, ok := narrow.Get(w.Field)
		if !ok || n.Mask.And(w.Mask) != w.Mask || n.Value.And(w.Mask) != w.Value {
			return false
		}
	}
	return true
}

// find yields the keys of the flows that a query selects. The exact cookie of a query without
// match is looked up, as Open vSwitch does.
func (t *table) find(q *query) []matchKey {
	var found []matchKey
	switch {
	case q.mask == ^uint64(0):
		found = slices.DeleteFunc(slices.Clone(t.cookies[q.cookie]), func(key matchKey) bool {
			return q.table != openflow.TableAll && q.table != key.Value()[0]
		})
	case q.table == openflow.TableAll:
		found = slices.AppendSeq(make([]matchKey, 0, len(t.entries)), maps.Keys(t.entries))
	default:
		found = slices.Clone(t.of(q.table))
	}
	if len(q.match) == 0 && (q.mask == 0 || q.mask == ^uint64(0)) {
		return found // nothing of the flows themselves is asked for
	}
	return slices.DeleteFunc(found, func(key matchKey) bool {
		f := t.flow(key)
		return !q.selects(&f)
	})
}

// of are the flows of one table. Who counts asks for the same few again and again.
func (t *table) of(id uint8) []matchKey {
	keys, known := t.asked[id]
	if known {
		return keys
	}
	for key := range t.entries {
		if key.Value()[0] == id {
			keys = append(keys, key)
		}
	}
	t.asked[id] = keys
	return keys
}

// wire is a flow as its bytes.
func (t *table) wire(key matchKey) openflow.WireFlow {
	e := t.entries[key]
	head, rest := []byte(key.Value()), []byte(e.rest.Value())
	return openflow.WireFlow{
		Table: head[0], Priority: be.Uint16(head[1:]), Cookie: e.cookie, Match: head[3:],
		IdleTimeout: be.Uint16(rest), HardTimeout: be.Uint16(rest[2:]), Flags: openflow.Flags(be.Uint16(rest[4:])),
		Instructions: rest[restHead:],
	}
}

// flow reads a flow back; one that cannot be decoded matches what can be decoded of it.
func (t *table) flow(key matchKey) openflow.Flow {
	w := t.wire(key)
	f, _ := w.Decode()
	return f
}

// overlaps reports whether another flow of the same table and priority may match the same frame.
func (t *table) overlaps(f *openflow.Flow) bool {
	for key := range t.entries {
		head := key.Value()
		if head[0] != f.Table || uint16(head[1])<<8|uint16(head[2]) != f.Priority {
			continue
		}
		if other := t.flow(key); f.Match.Meets(other.Match) {
			return true
		}
	}
	return false
}
