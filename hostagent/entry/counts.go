package entry

import (
	"sync"

	"sluice/store"
)

// counts are how many requests were answered how, by the numbers of tenants.
type counts struct {
	mu  sync.Mutex
	all map[uint32]store.Answers
}

// add counts an answer. Requests for what nobody publishes are nobody's.
func (c *counts) add(r *standing, status int) {
	class := status/100 - 1
	if r == nil || class < 0 || class >= len(store.Answers{}) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = make(map[uint32]store.Answers)
	}
	of := c.all[r.Number]
	of[class]++
	c.all[r.Number] = of
}

// Answered is how many requests were answered how since it was asked last, by the numbers of tenants.
func (e *Entry) Answered() map[uint32]store.Answers {
	e.count.mu.Lock()
	defer e.count.mu.Unlock()
	all := e.count.all
	e.count.all = nil
	return all
}
