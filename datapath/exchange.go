package datapath

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// repliesAhead is how many reply messages, of 64 KiB at most, wait for a request's caller
// before the reader stops reading for it.
const repliesAhead = 8

// errSlowCaller ends a request whose caller did not take its replies: the session goes on.
var errSlowCaller = errors.New("the replies were not taken in time")

// reply is one message that answers a request.
type reply struct {
	at      uint32 // which request of the exchange
	message []byte // header included
}

// exchange is a run of requests with consecutive transaction ids, and what came back.
type exchange struct {
	s     *Switch
	first uint32
	count uint32

	replies chan reply
	spare   chan []byte   // buffers of replies that were read, for those to come
	failed  chan struct{} // wakes the caller after an error was recorded
	gone    chan struct{} // closed when the caller takes no more replies

	mu     sync.Mutex
	errs   map[uint32]error // by request, the first error of each
	broken error            // ended for a reason of its own
}

// begin makes count transaction ids that errors and replies are matched with, until end.
func (s *Switch) begin(count int) (*exchange, error) {
	if count < 1 || count > math.MaxInt32 {
		return nil, errors.New("too many requests at once")
	}
	x := &exchange{
		s: s, count: uint32(count),
		replies: make(chan reply, repliesAhead), spare: make(chan []byte, repliesAhead), failed: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if s.nextXID > math.MaxUint32-x.count {
		s.nextXID = 1
	}
	x.first = s.nextXID
	s.nextXID += x.count
	s.exchanges = append(s.exchanges, x)
	return x, nil
}

// end forgets the exchange: what still comes for it is discarded.
func (x *exchange) end() {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	x.s.exchanges = slices.DeleteFunc(x.s.exchanges, func(o *exchange) bool { return o == x })
	close(x.gone)
}

func (x *exchange) xid(at int) uint32 { return x.first + uint32(at) }

// find is the exchange that a transaction id belongs to, or nil.
func (s *Switch) find(xid uint32) *exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.exchanges {
		if xid-x.first < x.count {
			return x
		}
	}
	return nil
}

// send queues a message as request number at.
func (x *exchange) send(ctx context.Context, at int, encode func(b []byte, xid uint32) []byte) error {
	xid := x.xid(at)
	return x.s.out.put(ctx, func(b []byte) []byte { return encode(b, xid) })
}

// deliver hands a reply to the caller. It is called by the reader, which waits for a slow
// caller, so that a dump is never held in memory, but not for ever.
func (x *exchange) deliver(xid uint32, message []byte, patience time.Duration) {
	r := reply{at: xid - x.first, message: message}
	if x.isBroken() {
		return // one reply is missing already
	}
	select {
	case x.replies <- r:
		return
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case x.replies <- r:
	case <-x.gone:
	case <-x.s.life.Done():
	case <-timer.C:
		x.breakOff(errSlowCaller)
	}
}

// buffer is room for a reply, if possible that of an earlier one.
func (x *exchange) buffer(length uint16) []byte {
	select {
	case b := <-x.spare:
		if cap(b) >= int(length) {
			return b[:length]
		}
	default:
	}
	return make([]byte, length)
}

// release gives the buffer of a reply back.
func (x *exchange) release(b []byte) {
	select {
	case x.spare <- b:
	default:
	}
}

// fail records the switch's error about one request.
func (x *exchange) fail(xid uint32, err error) {
	x.mu.Lock()
	if x.errs == nil {
		x.errs = map[uint32]error{}
	}
	if _, known := x.errs[xid-x.first]; !known {
		x.errs[xid-x.first] = err
	}
	x.mu.Unlock()
	x.wake()
}

func (x *exchange) breakOff(err error) {
	x.mu.Lock()
	x.broken = err
	x.mu.Unlock()
	x.wake()
}

func (x *exchange) isBroken() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.broken != nil
}

func (x *exchange) wake() {
	select {
	case x.failed <- struct{}{}:
	default:
	}
}

// err is the switch's error about request at, or nil.
func (x *exchange) err(at int) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.errs[uint32(at)]
}

func (x *exchange) hasErr() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.errs) > 0
}

// firstErr is the error of the lowest request from a up to b that has one.
func (x *exchange) firstErr(a, b int) (at int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at = b
	for n, e := range x.errs {
		if int(n) >= a && int(n) < at {
			at, err = int(n), e
		}
	}
	return at, err
}

// next waits for a reply, or for a new error of any request, which it does not return: ok
// is false then. A switch that answers echoes but not this is given as long as a silent one;
// then the session ends, since what waits for the answer holds memory.
func (x *exchange) next(ctx context.Context) (r reply, ok bool, err error) {
	select {
	case r = <-x.replies: // before errors: what came first is told first
		return r, true, nil
	default:
	}
	timer := time.NewTimer(x.s.o.Patience)
	defer timer.Stop()
	select {
	case r = <-x.replies:
		return r, true, nil
	case <-timer.C:
		x.s.Close(fmt.Errorf("no answer to a request within %v", x.s.o.Patience))
		return reply{}, false, x.s.Err()
	case <-x.failed:
		x.mu.Lock()
		defer x.mu.Unlock()
		return reply{}, false, x.broken
	case <-ctx.Done():
		return reply{}, false, ctx.Err()
	case <-x.s.life.Done():
		return reply{}, false, x.s.Err()
	}
}

// await waits for the reply to request at, or its error. Replies to other requests, which
// nobody awaits, are dropped.
func (x *exchange) await(ctx context.Context, at int) ([]byte, error) {
	for {
		if err := x.err(at); err != nil {
			return nil, err
		}
		r, ok, err := x.next(ctx)
		if err != nil {
			return nil, err
		}
		if ok && r.at == uint32(at) {
			return r.message, nil
		}
	}
}

// call is an exchange of one request and one reply.
func (s *Switch) call(ctx context.Context, encode func(b []byte, xid uint32) []byte) ([]byte, error) {
	x, err := s.begin(1)
	if err != nil {
		return nil, err
	}
	defer x.end()
	if err := x.send(ctx, 0, encode); err != nil {
		return nil, err
	}
	return x.await(ctx, 0)
}
