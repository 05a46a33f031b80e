package etcd

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"sluice/store"
)

// seen is what a stream last took in of a key.
type seen struct {
	modified   store.Revision
	unreadable bool // so its object was not yielded, or its deletion was
}

// sighting is a key with what was seen of it.
type sighting struct {
	path string
	seen seen
}

// pageKeys is how many keys a page of sightings has at most: what one change reads and writes.
const pageKeys = 32

// page is a run of sightings in the order of their keys, as bytes. Of each key that follows the first one it holds what differs
// from the key before: paths of a million tenants differ in a few bytes, and a map would hold three whole paths of each.
type page struct {
	first string // the path of the first; of the page that is open it may be a smaller one
	data  []byte
}

// sightings are what was seen of all keys, sorted by path. One page is open, which is where keys are looked up and changed: who goes
// through keys in their order opens each page once.
type sightings struct {
	pages []page // none is empty
	open  int    // which of them; -1: none
	keys  []sighting
	dirty bool // keys are not what the page's data say
	count int
}

func newSightings() sightings { return sightings{open: -1} }

// len is how many keys were seen.
func (s *sightings) len() int { return s.count }

// get is what was seen of a key, if it was.
func (s *sightings) get(path string) (saw seen, known bool) {
	if at, found := s.find(path); found {
		return s.keys[at].seen, true
	}
	return seen{}, false
}

// put notes what was seen of a key.
func (s *sightings) put(path string, saw seen) {
	at, found := s.find(path)
	s.dirty = true
	if found {
		s.keys[at].seen = saw
		return
	}
	s.count++
	if len(s.pages) == 0 {
		s.pages, s.open = []page{{}}, 0
	}
	s.keys = slices.Insert(s.keys, at, sighting{path, saw})
	if len(s.keys) > pageKeys {
		s.split(at)
	}
}

// split makes two pages of the open one, into which a key came at a place. A list comes in the order of its keys: what comes last
// begins a page, so that those before stay full.
func (s *sightings) split(at int) {
	cut := len(s.keys) / 2
	if at == len(s.keys)-1 {
		cut = at
	}
	rest := slices.Clone(s.keys[cut:])
	s.keys = slices.Delete(s.keys, cut, len(s.keys))
	s.close()
	s.open++
	s.pages = slices.Insert(s.pages, s.open, page{first: rest[0].path})
	s.keys, s.dirty = rest, true
}

// delete forgets a key.
func (s *sightings) delete(path string) {
	at, found := s.find(path)
	if !found {
		return
	}
	s.count--
	s.keys, s.dirty = slices.Delete(s.keys, at, at+1), true
	if len(s.keys) == 0 {
		s.pages = slices.Delete(s.pages, s.open, s.open+1)
		s.open, s.dirty = -1, false
	}
}

// distrust forgets what was seen of each key, but not that it was.
func (s *sightings) distrust() {
	for n := range s.pages {
		s.turn(n)
		for i := range s.keys {
			s.keys[i].seen = seen{}
		}
		s.dirty = true
	}
}

// after yields the sightings behind a path, in their order. Meanwhile keys may change.
func (s *sightings) after(path string) iter.Seq[sighting] {
	return func(yield func(sighting) bool) {
		for {
			at, found := s.find(path)
			if found {
				at++
			}
			if at == len(s.keys) && s.open+1 < len(s.pages) {
				s.turn(s.open + 1)
				at = 0
			}
			if at == len(s.keys) {
				return
			}
			next := s.keys[at]
			if !yield(next) {
				return
			}
			path = next.path
		}
	}
}

// find opens the page on which a path stands, or would, and returns where.
func (s *sightings) find(path string) (at int, found bool) {
	if len(s.pages) == 0 {
		return 0, false
	}
	n, exact := slices.BinarySearchFunc(s.pages, path, func(p page, path string) int { return strings.Compare(p.first, path) })
	if !exact && n > 0 {
		n--
	}
	s.turn(n)
	return slices.BinarySearchFunc(s.keys, path, func(k sighting, path string) int { return strings.Compare(k.path, path) })
}

// turn opens a page.
func (s *sightings) turn(n int) {
	if s.open == n {
		return
	}
	s.close()
	s.open, s.keys = n, s.pages[n].read(s.keys[:0])
}

// close writes the open page back, if keys of it changed.
func (s *sightings) close() {
	if s.open >= 0 && s.dirty {
		s.pages[s.open] = newPage(s.keys)
	}
	s.dirty = false
}

// newPage packs sightings.
func newPage(keys []sighting) page {
	var data []byte
	last := keys[0].path
	for _, k := range keys {
		same := 0
		for same < min(len(last), len(k.path)) && last[same] == k.path[same] {
			same++
		}
		state := uint64(k.seen.modified) << 1
		if k.seen.unreadable {
			state |= 1
		}
		data = binary.AppendUvarint(data, uint64(same))
		data = binary.AppendUvarint(data, uint64(len(k.path)-same))
		data = append(data, k.path[same:]...)
		data = binary.AppendUvarint(data, state)
		last = k.path
	}
	return page{strings.Clone(keys[0].path), slices.Clone(data)}
}

// read appends the page's sightings to some.
func (p page) read(keys []sighting) []sighting {
	last, data := p.first, p.data
	number := func() uint64 {
		n, size := binary.Uvarint(data)
		data = data[size:]
		return n
	}
	for len(data) > 0 {
		same, more := number(), number()
		last = last[:same] + string(data[:more])
		data = data[more:]
		state := number()
		keys = append(keys, sighting{last, seen{store.Revision(state >> 1), state&1 == 1}})
	}
	return keys
}
