package access

import (
	"errors"
	"sync"
)

// How many requests are worked on at one time, of all callers and of each. Those that wait for etcd
// or for a switch are among them.
const (
	atOnce     = 512
	atOnceEach = 128
)

// crowd bounds how many requests are worked on at one time.
type crowd struct {
	all, each int

	mu   sync.Mutex
	in   int
	from map[string]int // by caller; those whom nobody knows are one
}

func newCrowd(all, each int) *crowd { return &crowd{all: all, each: each, from: map[string]int{}} }

// enter takes a place for a caller's request, which leave gives back.
func (c *crowd) enter(caller string) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.from[caller] >= c.each:
		return nil, errors.New("too many of your requests are worked on: try again")
	case c.in >= c.all:
		return nil, errors.New("too many requests are worked on: try again")
	}
	c.in++
	c.from[caller]++
	return func() { c.leave(caller) }, nil
}

func (c *crowd) leave(caller string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in--
	if c.from[caller]--; c.from[caller] == 0 {
		delete(c.from, caller)
	}
}
