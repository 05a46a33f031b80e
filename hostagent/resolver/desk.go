package resolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"

	"sluice/store"
)

// Bounds of what one tenant may ask on one host. What comes faster is not read, so that it costs nothing: the kernel
// drops it before the tenant's own socket, and nobody else's.
const (
	burst              = 2  // seconds' worth of questions that may come at once
	upstreamWaiting    = 64 // questions that wait for upstream at a time
	connections        = 64 // of TCP
	questionsPerStream = 100
	streamTimeout      = 5 * time.Second
)

// Sockets are where one tenant's questions arrive.
type Sockets struct {
	Packets []*net.UDPConn
	Streams []net.Listener
}

// Close closes all.
func (s Sockets) Close() error {
	var errs []error
	for _, c := range s.Packets {
		errs = append(errs, c.Close())
	}
	for _, l := range s.Streams {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// desk serves one tenant.
type desk struct {
	*Resolver
	tenant  string
	number  uint32
	opened  time.Time
	cache   *cache
	pace    *rate.Limiter
	outside *rate.Limiter
	refused atomic.Uint64 // questions for upstream, since they were taken last
	dropped uint64        // by the kernel: what was told last. The resolver's lock is held
	sockets Sockets
	waiting chan struct{}
	servers []*dns.Server
	stop    context.CancelFunc
	ctx     context.Context
}

func (r *Resolver) newDesk(tenant string, who Asker, s Sockets) *desk {
	d := &desk{
		Resolver: r, tenant: tenant, number: who.Number, opened: r.now(), cache: newCache(r.now), sockets: s,
		pace:    limiter(who.Limits.MaxQuestions()),
		outside: limiter(who.Limits.MaxQuestionsOutside()),
		waiting: make(chan struct{}, upstreamWaiting),
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	for _, c := range s.Packets {
		d.serve(&dns.Server{PacketConn: c, UDPSize: dns.DefaultMsgSize, DecorateReader: d.paced})
	}
	for _, l := range s.Streams {
		d.serve(&dns.Server{Listener: netutil.LimitListener(l, connections), MaxTCPQueries: questionsPerStream,
			ReadTimeout: streamTimeout, WriteTimeout: streamTimeout, IdleTimeout: func() time.Duration { return streamTimeout }})
	}
	return d
}

// limiter lets so many questions pass a second.
func limiter(perSecond int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), burst*perSecond)
}

// allow sets how fast the tenant may ask from now on.
func (d *desk) allow(l store.Limits) {
	set := func(l *rate.Limiter, perSecond int) {
		if l.Limit() != rate.Limit(perSecond) {
			l.SetLimit(rate.Limit(perSecond))
			l.SetBurst(burst * perSecond)
		}
	}
	set(d.pace, l.MaxQuestions())
	set(d.outside, l.MaxQuestionsOutside())
}

// takeRefused is how many questions came too fast since it was called last.
func (d *desk) takeRefused() uint64 {
	var dropped uint64
	for _, c := range d.sockets.Packets {
		dropped += kernelDrops(c)
	}
	n := d.refused.Swap(0) + dropped - min(d.dropped, dropped)
	d.dropped = max(d.dropped, dropped)
	return n
}

func (d *desk) serve(s *dns.Server) {
	s.Handler = dns.HandlerFunc(d.handle)
	d.servers = append(d.servers, s)
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() {
		if err := s.ActivateAndServe(); err != nil && d.ctx.Err() == nil {
			d.log.Warn("the resolver's desk of a tenant closed", "tenant", d.tenant, "err", err)
		}
	}()
	<-started
}

// close ends the desk: questions that are under way get no answer.
func (d *desk) close() {
	d.stop()
	ended, cancel := context.WithCancel(context.Background())
	cancel() // what is under way is not waited for
	for _, s := range d.servers {
		_ = s.ShutdownContext(ended)
	}
}

// paced reads no more questions than a tenant may ask.
func (d *desk) paced(r dns.Reader) dns.Reader { return pacedReader{r, d} }

type pacedReader struct {
	dns.Reader
	desk *desk
}

func (p pacedReader) ReadUDP(conn *net.UDPConn, timeout time.Duration) ([]byte, *dns.SessionUDP, error) {
	if p.desk.pace.Wait(p.desk.ctx) != nil {
		return nil, nil, net.ErrClosed
	}
	return p.Reader.ReadUDP(conn, timeout)
}

// handle answers one question.
func (d *desk) handle(w dns.ResponseWriter, r *dns.Msg) {
	_, stream := w.RemoteAddr().(*net.TCPAddr)
	if stream && d.pace.Wait(d.ctx) != nil {
		return
	}
	m := d.answer(source(w.RemoteAddr()), r)
	if err := w.WriteMsg(fit(m, r, stream)); err != nil {
		d.log.Debug("an answer was not sent", "tenant", d.tenant, "err", err)
	}
}

func source(a net.Addr) netip.Addr {
	at, _ := netip.ParseAddrPort(a.String())
	return at.Addr().Unmap()
}

func (d *desk) answer(from netip.Addr, r *dns.Msg) *dns.Msg {
	d.counts.questions.Add(1)
	if rcode := unanswerable(r); rcode != dns.RcodeSuccess {
		return refusal(r, rcode)
	}
	if m := d.names.local(d.tenant, from, r); m != nil {
		return m
	}
	if m := d.cache.get(r); m != nil {
		d.counts.cached.Add(1)
		return answered(r, m)
	}
	return d.forward(r)
}

// forward asks upstream, where the tenant has not asked for too much already.
func (d *desk) forward(r *dns.Msg) *dns.Msg {
	if !d.outside.Allow() {
		d.counts.limited.Add(1)
		d.refused.Add(1)
		return refusal(r, dns.RcodeRefused)
	}
	select {
	case d.waiting <- struct{}{}:
		defer func() { <-d.waiting }()
	default:
		d.counts.limited.Add(1)
		d.refused.Add(1)
		return refusal(r, dns.RcodeServerFailure)
	}
	d.counts.forwarded.Add(1)
	m, err := d.upstream.exchange(d.ctx, r)
	switch {
	case errors.Is(err, errNobody):
		return refusal(r, dns.RcodeRefused)
	case err != nil || m == nil:
		d.counts.failed.Add(1)
		return refusal(r, dns.RcodeServerFailure)
	}
	d.cache.put(r, m)
	return answered(r, m)
}
