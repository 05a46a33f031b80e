package datapath

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/time/rate"
)

// errCrowded ends a connection that made room for another.
var errCrowded = errors.New("too many connections of switches that nobody knows: made room for another")

// strangers are the connections that nobody has recognized as a switch of ours. Their number is
// bounded: where there are more, the oldest goes of the address that has most of them. So an
// address that opens many drives out its own, and a switch of ours always gets in. It is safe for
// concurrent use.
type strangers struct {
	most    int
	dropped func()        // told of each that went so
	lines   *rate.Limiter // of the log, about strangers: they shall not fill it

	mu    sync.Mutex
	from  map[string][]*stranger // by address, the oldest first
	count int
	next  int // order of the next that comes
}

type stranger struct {
	source string
	order  int
	end    func(reason error)
}

func newStrangers(most int, dropped func()) *strangers {
	return &strangers{most: most, dropped: dropped, lines: rate.NewLimiter(1, 20), from: map[string][]*stranger{}}
}

// enter takes a connection in, and ends another where there are too many. leave takes it out: it
// was recognized, or has ended; more than one call does no harm.
func (s *strangers) enter(source string, end func(error)) (leave func()) {
	s.mu.Lock()
	v := &stranger{source: source, order: s.next, end: end}
	s.next++
	s.count++
	s.from[source] = append(s.from[source], v)
	var victim *stranger
	if s.count > s.most {
		victim = s.victim()
		s.remove(victim)
	}
	s.mu.Unlock()
	if victim != nil {
		s.dropped()
		victim.end(errCrowded)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.remove(v)
	}
}

// victim is the oldest of the address that has most; of two such addresses, the older one.
func (s *strangers) victim() *stranger {
	var most []*stranger
	for _, list := range s.from {
		if most == nil || cmp.Or(cmp.Compare(len(list), len(most)), cmp.Compare(most[0].order, list[0].order)) > 0 {
			most = list
		}
	}
	return most[0]
}

func (s *strangers) remove(v *stranger) {
	list := s.from[v.source]
	at := slices.Index(list, v)
	if at < 0 {
		return
	}
	s.count--
	if list = slices.Delete(list, at, at+1); len(list) == 0 {
		delete(s.from, v.source)
		return
	}
	s.from[v.source] = list
}

// level is that of a line of the log about a switch: of strangers, that come and go as they please,
// one a second and a few more are shown, and the rest only to who debugs.
func (s *strangers) level(of *Switch, l slog.Level) slog.Level {
	if !of.recognized.Load() && !s.lines.Allow() {
		return slog.LevelDebug
	}
	return l
}

// source is what one sender cannot have many of: its IPv4 address, or its IPv6 network of 64 bits.
// All that come through a unix socket are one.
func source(remote net.Addr) string {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return remote.Network()
	}
	address := at.Addr().Unmap()
	if address.Is6() {
		return netip.PrefixFrom(address.WithZone(""), 64).Masked().String()
	}
	return address.String()
}
