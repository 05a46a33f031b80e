package flows

import (
	"bytes"
	"fmt"
	"hash/maphash"

	of "sluice/datapath/openflow"
)

// Comparison finds what turns a switch's installed flows into the desired ones. Both come
// flow by flow, so that neither is held as a list: the desired flows are kept as their
// bytes, a fifth of what they take compiled, and of an installed flow nothing is kept. It
// decodes only what differs in its bytes.
//
// First call Want for every desired flow, then Have for every installed one, then Mods. Of
// two desired flows with one table, priority and match the first stands.
type Comparison struct {
	seed    maphash.Seed
	wanted  []wanted
	first   map[uint64]int32 // hash -> the last flow wanted with it
	long    map[int]of.Flow  // those whose bytes no flow mod can carry
	chunk   []byte           // room for the next flows' bytes
	scratch []byte
	extra   []of.Flow

	desired, installed Fingerprint
}

// wanted is a desired flow and what is known of it.
type wanted struct {
	cookie     uint64
	bytes      []byte // the match, then the instructions
	match      uint16 // length of the match
	priority   uint16
	idle, hard uint16
	flags      of.Flags
	table      uint8
	found      finding
	next       int32 // the one before with the same hash; -1: none
}

// finding says how a desired flow stands in the switch.
type finding uint8

const (
	foundNone    finding = iota
	foundRight           // as it should be
	foundOther           // its actions differ
	foundForeign         // its cookie, timeouts or flags differ: only an add puts them right
)

// NewComparison starts one of about that many desired flows.
func NewComparison(about int) *Comparison {
	return &Comparison{seed: maphash.MakeSeed(), wanted: make([]wanted, 0, about), first: make(map[uint64]int32, about)}
}

// Want adds a desired flow. Where one with its table, priority and match stands already, ok
// is false, and first is the slice of the one that stands; f is left out (see Doubled).
func (c *Comparison) Want(f of.Flow) (first Slice, ok bool) {
	w := c.encode(&f)
	h := c.hash(&w)
	if at := c.find(h, &w); at >= 0 {
		return Slice(c.wanted[at].cookie), false
	}
	before, found := c.first[h]
	if !found {
		before = -1
	}
	c.desired.Add(&w)
	if len(w.Match)+len(w.Instructions) > mostBytes {
		c.keepLong(f)
	}
	c.first[h] = int32(len(c.wanted))
	c.wanted = append(c.wanted, wanted{
		cookie: w.Cookie, bytes: w.Match[:len(w.Match)+len(w.Instructions)], match: uint16(len(w.Match)), priority: w.Priority,
		idle: w.IdleTimeout, hard: w.HardTimeout, flags: w.Flags, table: w.Table, next: before,
	})
	return Slice(w.Cookie), true
}

// keepLong keeps the next flow as it is.
func (c *Comparison) keepLong(f of.Flow) {
	if c.long == nil {
		c.long = map[int]of.Flow{}
	}
	c.long[len(c.wanted)] = f
}

// Sizes of the chunks that hold flows' bytes: few flows take little, many take no more
// allocations than need be.
const (
	leastChunk = 1 << 10
	mostChunk  = 64 << 10
	chunkSpare = 256 // a chunk with less room is full
)

// mostBytes bounds match and instructions so that a flow mod in a bundle can carry them.
const mostBytes = 64<<10 - 128

func (c *Comparison) encode(f *of.Flow) (w of.WireFlow) {
	if cap(c.chunk)-len(c.chunk) < chunkSpare {
		c.chunk = make([]byte, 0, min(mostChunk, max(leastChunk, 2*cap(c.chunk))))
	}
	c.chunk, w = f.AppendWire(c.chunk)
	return w
}

func (c *Comparison) hash(w *of.WireFlow) uint64 {
	return mix(maphash.Bytes(c.seed, w.Match), uint64(w.Table)<<16|uint64(w.Priority))
}

// find is the place of the flow wanted with that hash and the identity of w, or -1.
func (c *Comparison) find(h uint64, w *of.WireFlow) int {
	at, ok := c.first[h]
	for ok && at >= 0 {
		d := &c.wanted[at]
		if d.table == w.Table && d.priority == w.Priority && bytes.Equal(d.bytes[:d.match], w.Match) {
			return int(at)
		}
		at = d.next
	}
	return -1
}

// Have takes an installed flow, which the caller may overwrite afterwards. An error means
// that it cannot be read.
func (c *Comparison) Have(w *of.WireFlow) error {
	c.installed.Add(w)
	if at := c.find(c.hash(w), w); at >= 0 {
		return c.meet(at, w)
	}
	f, err := w.Decode()
	if err != nil {
		return err
	}
	// The same match may have come in other bytes than ours.
	var own of.WireFlow
	c.scratch, own = f.AppendWire(c.scratch[:0])
	if at := c.find(c.hash(&own), &own); at >= 0 {
		return c.meet(at, &own)
	}
	c.extra = append(c.extra, f)
	return nil
}

// meet notes how an installed flow differs from the one wanted in its place.
func (c *Comparison) meet(at int, w *of.WireFlow) error {
	d := &c.wanted[at]
	d.found = foundRight
	if d.cookie != w.Cookie || d.idle != w.IdleTimeout || d.hard != w.HardTimeout || d.flags != w.Flags {
		d.found = foundForeign
		return nil
	}
	if bytes.Equal(d.bytes[d.match:], w.Instructions) {
		return nil
	}
	want, err := c.flow(at)
	if err != nil {
		return err
	}
	have, err := w.Decode()
	if err == nil && !of.EqualActions(want.Actions, have.Actions) {
		d.found = foundOther
	}
	return err
}

// flow is a desired flow, read back.
func (c *Comparison) flow(at int) (of.Flow, error) {
	if f, ok := c.long[at]; ok {
		return f, nil
	}
	d := &c.wanted[at]
	w := of.WireFlow{
		Table: d.table, Priority: d.priority, IdleTimeout: d.idle, HardTimeout: d.hard, Flags: d.flags, Cookie: d.cookie,
		Match: d.bytes[:d.match], Instructions: d.bytes[d.match:],
	}
	f, err := w.Decode()
	if err != nil {
		return f, fmt.Errorf("read a desired flow of cookie %#x in table %s back: %w", d.cookie, TableName(d.table), err)
	}
	return f, nil
}

// Fingerprints are those of the installed flows that came, and of the desired ones.
func (c *Comparison) Fingerprints() (installed, desired Fingerprint) { return c.installed, c.desired }

// Mods turns the installed flows into the desired ones.
func (c *Comparison) Mods() (Mods, error) {
	m := Mods{Delete: c.extra}
	for at := range c.wanted {
		var list *[]of.Flow
		switch c.wanted[at].found {
		case foundRight:
			continue
		case foundNone:
			list = &m.Add
		case foundOther:
			list = &m.Modify
		case foundForeign:
			list = &m.Replace
		}
		f, err := c.flow(at)
		if err != nil {
			return Mods{}, err
		}
		*list = append(*list, f)
	}
	return m, nil
}

// Mods is what turns the installed flows into the desired ones.
type Mods struct {
	Add     []of.Flow // where none of their table, priority and match is
	Replace []of.Flow // adds too, in the place of a flow with another cookie, timeout or flag
	Modify  []of.Flow // strictly: the same table, priority, match and cookie; counters stay
	Delete  []of.Flow // strictly
}

// Len is how many flow mods that takes.
func (m Mods) Len() int { return len(m.Add) + len(m.Replace) + len(m.Modify) + len(m.Delete) }

// mix is one round of a multiplicative hash; the odd constant is 2^64 over the golden ratio.
func mix(h, v uint64) uint64 {
	h = (h ^ v) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}
