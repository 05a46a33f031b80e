package access

import (
	"fmt"
	"sync"
)

// How many requests are worked on at one time, of all callers and of each. Those that wait for etcd
// or for a switch are among them.
const (
	atOnce     = 512
	atOnceEach = 128
)

// How many watches last at one time. They are not counted among the requests that are worked on: each may last
// for days.
const (
	watchersAtOnce     = 256
	watchersAtOnceEach = 32
)

// crowd bounds how many requests are worked on at one time.
type crowd struct {
	all, each int
	are       string // what they are, for who is refused: "requests are worked on"

	mu   sync.Mutex
	in   int
	from map[string]int // by caller; those whom nobody knows are one
}

func newCrowd(all, each int, are string) *crowd {
	return &crowd{all: all, each: each, are: are, from: map[string]int{}}
}

// enter takes a place for a caller's request, which leave gives back.
func (c *crowd) enter(caller string) (leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.from[caller] >= c.each:
		return nil, fmt.Errorf("too many of your %s: try again", c.are)
	case c.in >= c.all:
		return nil, fmt.Errorf("too many %s: try again", c.are)
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
