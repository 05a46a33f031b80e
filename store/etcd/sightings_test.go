package etcd

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"sluice/store"
)

// Sightings are a map that is walked in the order of its keys.
func TestSightingsAreAMap(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		s, twin := newSightings(), map[string]seen{}
		names := 1 + r.IntN(40)*r.IntN(40) // from one page to many
		for range 3000 {
			path := fmt.Sprintf("%s%s/%04d", store.Prefix, []string{"a", "ab", "b"}[r.IntN(3)], r.IntN(names))
			switch r.IntN(5) {
			case 0, 1, 2:
				saw := seen{store.Revision(r.Int64N(1 << 40)), r.IntN(4) == 0}
				s.put(path, saw)
				twin[path] = saw
			case 3:
				s.delete(path)
				delete(twin, path)
			}
			got, known := s.get(path)
			if want, is := twin[path]; got != want || known != is || s.len() != len(twin) {
				t.Fatalf("seed %d: %s is %v, %t among %d, want %v, %t among %d", seed, path, got, known, s.len(), want, is, len(twin))
			}
		}
		walked(t, &s, twin, "")
		walked(t, &s, twin, store.Prefix+"ab/0017")
		walked(t, &s, twin, store.Prefix+"ab/0017x")
		walked(t, &s, twin, "~")
		s.distrust()
		for path := range twin {
			twin[path] = seen{}
		}
		walked(t, &s, twin, "")
	}
}

// walked compares a walk from behind a path on.
func walked(t *testing.T, s *sightings, twin map[string]seen, from string) {
	t.Helper()
	var got, want []sighting
	for k := range s.after(from) {
		got = append(got, k)
	}
	for _, path := range slices.Sorted(maps.Keys(twin)) {
		if path > from {
			want = append(want, sighting{path, twin[path]})
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("behind %q are %d, want %d:\n%v\n%v", from, len(got), len(want), got, want)
	}
}

// Who walks may forget what it finds, and what comes next.
func TestSightingsChangeUnderAWalk(t *testing.T) {
	s := newSightings()
	for n := range 10 * pageKeys {
		s.put(fmt.Sprintf("%05d", n), seen{modified: 1})
	}
	walked := 0
	for k := range s.after("") {
		n, err := strconv.Atoi(k.path)
		if err != nil {
			t.Fatal(err)
		}
		s.delete(k.path)
		s.delete(fmt.Sprintf("%05d", n+1))
		walked++
	}
	if walked != 5*pageKeys || s.len() != 0 || len(s.pages) != 0 {
		t.Errorf("%d were found, %d are left on %d pages", walked, s.len(), len(s.pages))
	}
}

// What a list lacks is what was seen and is not in it, wherever it would stand.
func TestAbsentees(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 5))
		m := newMirror()
		absent := m.absent()
		var gone, want []string
		for n := range r.IntN(200) {
			if r.IntN(3) > 0 {
				m.seen.put(fmt.Sprintf("%03d", n), seen{modified: 1})
			}
		}
		for n := range 200 {
			path := fmt.Sprintf("%03d", n)
			_, known := m.seen.get(path)
			switch listed := r.IntN(4) > 0; {
			case listed:
				absent.listed(path)
				m.seen.put(path, seen{modified: 2})
			case known:
				want = append(want, path)
			}
		}
		for _, s := range absent.all() {
			gone = append(gone, s.path)
		}
		if !slices.Equal(gone, want) {
			t.Errorf("seed %d: %v are gone, want %v", seed, gone, want)
		}
	}
}

// A key costs a stream little more than what tells it from the key before.
func TestSightingsAreSmall(t *testing.T) {
	const tenants, most = 20_000, 24
	before := liveBytes()
	s := newSightings()
	rev := store.Revision(1 << 30)
	for n := range tenants {
		rev++
		s.put(store.NetworkKey(fmt.Sprintf("s%07d", n), store.DefaultNetwork).String(), seen{modified: rev})
	}
	for n := range tenants {
		rev++
		s.put(store.TenantKey(fmt.Sprintf("s%07d", n)).String(), seen{modified: rev})
	}
	each := float64(liveBytes()-before) / float64(s.len())
	t.Logf("%.1f bytes a key", each)
	if each > most {
		t.Errorf("a key costs %.1f bytes, at most %d are meant", each, most)
	}
	runtime.KeepAlive(s)
}

// liveBytes are those that the garbage collector cannot free.
func liveBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkSightings(b *testing.B) {
	s := newSightings()
	for n := range 300_000 {
		s.put(store.TenantKey(fmt.Sprintf("s%07d", n)).String(), seen{modified: 1})
	}
	r := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		s.put(store.TenantKey(fmt.Sprintf("s%07d", r.IntN(300_000))).String(), seen{modified: store.Revision(r.Int64N(1 << 40))})
	}
}
