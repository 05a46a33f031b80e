package web

import (
	"sync"
	"time"
)

// Bounds of a meter: how old a reading may be that answers for now, and how far two readings may be apart of which a
// rate is told.
const (
	readingTime = 4 * time.Second
	rateTime    = time.Minute
)

// meter makes rates of counters that many pages ask for: however many they are, it reads no more often than once in
// readingTime. Its zero value is one that has read nothing.
type meter[K comparable] struct {
	mu           sync.Mutex
	last, before reading[K]
}

// reading is what counters said.
type reading[K comparable] struct {
	at     time.Time
	counts map[K]uint64
}

// measured is what counters say, and how fast each grew of late. A rate that is not known is not there.
type measured[K comparable] struct {
	Counts map[K]uint64
	Rates  map[K]float64 // a second
}

// take is what the counters say now, as read tells.
func (m *meter[K]) take(now time.Time, read func() map[K]uint64) measured[K] {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.last.at) >= readingTime {
		m.before, m.last = m.last, reading[K]{now, read()}
	}
	out := measured[K]{m.last.counts, map[K]float64{}}
	apart := m.last.at.Sub(m.before.at)
	if apart > rateTime {
		return out
	}
	for key, count := range m.last.counts {
		if earlier, known := m.before.counts[key]; known && count >= earlier {
			out.Rates[key] = float64(count-earlier) / apart.Seconds()
		}
	}
	return out
}
