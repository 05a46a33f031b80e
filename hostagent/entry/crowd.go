package entry

import (
	"sync"
)

// crowd bounds what is under way, of each tenant and in all.
type crowd struct {
	limit  int // of each tenant
	most   int // in all
	mu     sync.Mutex
	inside map[string]int
	all    int
}

// shares is how many tenants may be as many as each may be.
const shares = 8

func newCrowd(limit int) *crowd {
	return &crowd{limit: limit, most: shares * limit, inside: make(map[string]int)}
}

// enter lets one more in; false: too many are inside. Who was let in leaves once.
func (c *crowd) enter(tenant string) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside[tenant] >= c.limit || c.all >= c.most {
		return nil, false
	}
	c.inside[tenant]++
	c.all++
	return func() { c.leave(tenant) }, true
}

func (c *crowd) leave(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.inside[tenant]--; c.inside[tenant] <= 0 {
		delete(c.inside, tenant)
	}
}
