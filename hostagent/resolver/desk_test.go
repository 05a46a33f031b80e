package resolver

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/store"
)

// patience bounds every wait; it is far more than any takes.
const patience = 30 * time.Second

// office is a resolver whose desks are on this machine's loopback, with DNS servers upstream that it asks.
type office struct {
	*testing.T
	*cluster
	resolver *Resolver
	at       map[uint32]string // where each number's desk is
	upstream []string
	asked    atomic.Int64 // how many questions came upstream
}

func newOffice(t *testing.T, upstream ...dns.HandlerFunc) *office {
	o := &office{T: t, cluster: newCluster(), at: map[uint32]string{}}
	for _, h := range upstream {
		o.upstream = append(o.upstream, o.server(h))
	}
	if len(o.upstream) == 0 {
		o.upstream = []string{"none"}
	}
	u, err := NewUpstream(o.upstream)
	if err != nil {
		t.Fatal(err)
	}
	o.resolver = New(o.names, u, o.open, slog.New(slog.DiscardHandler))
	t.Cleanup(o.resolver.Close)
	if err := o.resolver.Settle(); err != nil {
		t.Fatal(err)
	}
	return o
}

// open gives a desk one port of this machine, over UDP and TCP.
func (o *office) open(number uint32) (s Sockets, err error) {
	for range 20 { // until a number is free in both
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return s, err
		}
		c, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			o.at[number] = l.Addr().String()
			return Sockets{[]*net.UDPConn{c.(*net.UDPConn)}, []net.Listener{l}}, nil
		}
		l.Close()
	}
	return s, errors.New("no port is free")
}

// server is a DNS server upstream, and its address.
func (o *office) server(h dns.HandlerFunc) string {
	s, err := (&office{T: o.T, at: map[uint32]string{}}).open(0)
	if err != nil {
		o.Fatal(err)
	}
	counted := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		o.asked.Add(1)
		h(w, r)
	})
	for _, server := range []*dns.Server{{PacketConn: s.Packets[0], Handler: counted}, {Listener: s.Streams[0], Handler: counted}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go server.ActivateAndServe()
		<-started
		o.Cleanup(func() { server.Shutdown() })
	}
	return s.Streams[0].Addr().String()
}

// ask asks at the desk of a number.
func (o *office) ask(number uint32, network string, r *dns.Msg) *dns.Msg {
	o.Helper()
	c := dns.Client{Net: network, Timeout: patience}
	m, _, err := c.Exchange(r, o.at[number])
	if err != nil {
		o.Fatalf("%s over %s: %v", r.Question[0].Name, network, err)
	}
	return m
}

func for4(name string) *dns.Msg { return new(dns.Msg).SetQuestion(name, dns.TypeA) }

func addresses(m *dns.Msg) string {
	text := dns.RcodeToString[m.Rcode]
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			text += fmt.Sprint(" ", a.A, "/", a.Hdr.Ttl)
		}
	}
	return text
}

// answering is a server that knows every name as one address.
func answering(address string, ttl uint32) dns.HandlerFunc {
	return func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl},
			A: netip.MustParseAddr(address).AsSlice()}}
		w.WriteMsg(m)
	}
}

func rcode(code int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, r *dns.Msg) { w.WriteMsg(new(dns.Msg).SetRcode(r, code)) }
}

// Each tenant's questions are its own, over UDP and TCP, and what is nobody's goes upstream.
func TestDesks(t *testing.T) {
	o := newOffice(t, answering("203.0.113.1", 60))
	for _, network := range []string{"udp", "tcp"} {
		for _, x := range []struct {
			number     uint32
			name, want string
		}{
			{7, "web.", "NOERROR 10.0.0.11/5"}, {9, "web.", "NOERROR 10.0.0.99/5"}, {7, "secret.", "NXDOMAIN"}, {9, "secret.", "NOERROR 10.0.0.11/5"},
			{7, "www.example.com.", "NOERROR 203.0.113.1/60"}, {9, "www.example.com.", "NOERROR 203.0.113.1/60"},
		} {
			m := o.ask(x.number, network, for4(x.name))
			if got := addresses(m); got != x.want || !m.RecursionAvailable {
				t.Errorf("number %d asks for %s over %s: %s (recursion %t), want %s", x.number, x.name, network, got, m.RecursionAvailable, x.want)
			}
		}
	}
	// One for each tenant: the second of each came from its own cache.
	if got := o.asked.Load(); got != 2 {
		t.Errorf("%d questions came upstream, want 2", got)
	}
	c := o.resolver.Counts()
	if want := (Counts{Desks: 2, Questions: 12, Forwarded: 2, Cached: 2}); c != want {
		t.Errorf("it counted %+v, want %+v", c, want)
	}
}

// What is no question for a name of the internet is refused.
func TestOtherMessages(t *testing.T) {
	o := newOffice(t)
	chaos := for4("version.bind.")
	chaos.Question[0].Qclass = dns.ClassCHAOS
	zone := new(dns.Msg).SetAxfr("alice.sluice.")
	newer := for4("web.").SetEdns0(1232, false)
	newer.IsEdns0().SetVersion(1)
	two := for4("web.")
	two.Question = append(two.Question, two.Question[0])
	for about, x := range map[string]struct {
		r    *dns.Msg
		want int
	}{
		"another class":    {chaos, dns.RcodeRefused},
		"a whole zone":     {zone, dns.RcodeRefused},
		"a newer EDNS":     {newer, dns.RcodeBadVers},
		"two questions":    {two, dns.RcodeFormatError},
		"nobody to ask":    {for4("www.example.com."), dns.RcodeRefused},
		"a name of a port": {for4("web."), dns.RcodeSuccess},
	} {
		if m := o.ask(7, "tcp", x.r); m.Rcode != x.want {
			t.Errorf("%s: %s, want %s", about, dns.RcodeToString[m.Rcode], dns.RcodeToString[x.want])
		}
	}
}

// An answer fits the asker: it is cut for UDP, whole over TCP, and has EDNS where the question has.
func TestAnswersFit(t *testing.T) {
	o := newOffice(t)
	for i := range 100 {
		o.port("h2", fmt.Sprintf("alice/default/many-%d", i), map[string]string{aliasLabel: "many"}, fmt.Sprintf("10.0.0.%d/24", 100+i))
	}
	for _, x := range []struct {
		about, network string
		r              *dns.Msg
		whole          bool
		most           int
	}{
		{"plain", "udp", for4("many."), false, dns.MinMsgSize},
		{"with EDNS", "udp", for4("many.").SetEdns0(4096, false), false, mostUDP},
		{"with less than is due", "udp", for4("many.").SetEdns0(100, false), false, dns.MinMsgSize},
		{"over TCP", "tcp", for4("many."), true, dns.MaxMsgSize},
	} {
		m := o.ask(7, x.network, x.r)
		m.Compress = true // as it was on the wire
		if m.Truncated == x.whole || (len(m.Answer) == 100) != x.whole || m.Len() > x.most {
			t.Errorf("%s: %d addresses in %d bytes, truncated %t", x.about, len(m.Answer), m.Len(), m.Truncated)
		}
		if (m.IsEdns0() != nil) != (x.r.IsEdns0() != nil) {
			t.Errorf("%s: EDNS %v", x.about, m.IsEdns0())
		}
	}
}

// A server that fails is passed over; where all do the question fails, and nothing is kept of that.
func TestUpstreamFails(t *testing.T) {
	o := newOffice(t, rcode(dns.RcodeServerFailure), rcode(dns.RcodeRefused), answering("203.0.113.1", 0))
	for range 2 {
		if got := addresses(o.ask(7, "udp", for4("www.example.com."))); got != "NOERROR 203.0.113.1/0" {
			t.Errorf("the third server answers: %s", got)
		}
	}
	if got := o.asked.Load(); got != 6 {
		t.Errorf("%d questions came upstream, want 6: what may not be kept is asked anew", got)
	}
	bad := newOffice(t, rcode(dns.RcodeServerFailure))
	if got := addresses(bad.ask(7, "udp", for4("www.example.com."))); got != "SERVFAIL" {
		t.Errorf("nobody answers: %s", got)
	}
	if c := bad.resolver.Counts(); c.Failed != 1 || c.Forwarded != 1 {
		t.Errorf("it counted %+v", c)
	}
}

// What comes from upstream over UDP in part is asked for again over TCP.
func TestLongAnswersFromUpstream(t *testing.T) {
	o := newOffice(t, func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		for i := range 200 {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
				A: net.IPv4(203, 0, 113, byte(i))})
		}
		if w.RemoteAddr().Network() == "udp" {
			m.Truncate(mostUDP)
		}
		w.WriteMsg(m)
	})
	if m := o.ask(7, "tcp", for4("many.example.com.")); len(m.Answer) != 200 || m.Truncated {
		t.Errorf("%d addresses, truncated %t", len(m.Answer), m.Truncated)
	}
}

// Upstream gets the question, and nothing else that the container sent along.
func TestWhatUpstreamIsAsked(t *testing.T) {
	got := make(chan *dns.Msg, 1)
	o := newOffice(t, func(w dns.ResponseWriter, r *dns.Msg) {
		got <- r
		rcode(dns.RcodeNameError)(w, r)
	})
	r := for4("www.example.com.").SetEdns0(4096, true)
	r.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(10, 0, 0, 0)}}
	r.CheckingDisabled = true
	o.ask(7, "udp", r)
	q := <-got
	if opt := q.IsEdns0(); opt == nil || len(opt.Option) > 0 || !opt.Do() || opt.UDPSize() != mostUDP || !q.CheckingDisabled || !q.RecursionDesired {
		t.Errorf("upstream got %v", q)
	}
}

// A tenant that asks upstream too often is refused, another is not.
func TestTooManyQuestionsForUpstream(t *testing.T) {
	o := newOffice(t, answering("203.0.113.1", 60))
	limited := 0
	for i := range 3 * burst * (store.Limits{}).MaxQuestionsOutside() {
		if m := o.ask(7, "udp", for4(fmt.Sprintf("n%d.example.com.", i))); m.Rcode == dns.RcodeRefused {
			limited++
		}
	}
	if c := o.resolver.Counts(); limited == 0 || c.Limited != uint64(limited) {
		t.Errorf("%d were refused, it counted %d", limited, c.Limited)
	}
	if got := o.resolver.Refused(); len(got) != 1 || got[7] != uint64(limited) {
		t.Errorf("%d were refused to the tenant, it tells %v", limited, got)
	}
	if again := o.resolver.Refused(); len(again) != 0 {
		t.Errorf("told twice: %v", again)
	}
	if got := addresses(o.ask(9, "udp", for4("www.example.com."))); got != "NOERROR 203.0.113.1/60" {
		t.Errorf("another tenant's question: %s", got)
	}
	if got := addresses(o.ask(7, "udp", for4("web."))); got != "NOERROR 10.0.0.11/5" {
		t.Errorf("the tenant's own names: %s", got)
	}
}

// A tenant asks as fast as its limit says, also after a change of it.
func TestLimitOfQuestions(t *testing.T) {
	o := newOffice(t, answering("203.0.113.2", 60))
	next := 0
	passed := func() (n int) {
		for range 10 {
			next++
			if m := o.ask(7, "udp", for4(fmt.Sprintf("n%d.example.com.", next))); m.Rcode == dns.RcodeSuccess {
				n++
			}
		}
		return n
	}
	limit := func(questions int) {
		t.Helper()
		if !o.put(store.TenantKey("alice"), &store.Tenant{Number: 7, Limits: store.Limits{Questions: questions}}) {
			t.Error("a change of the limit is no change")
		}
		if err := o.resolver.Settle(); err != nil {
			t.Error(err)
		}
	}
	limit(6)                  // one of them outside, two at once
	if n := passed(); n > 8 { // a slow machine may take a second for some
		t.Errorf("%d of 10 questions passed a limit of one a second", n)
	}
	limit(1_000_000)
	time.Sleep(10 * time.Millisecond) // its bucket fills, by 2,000
	if n := passed(); n != 10 {
		t.Errorf("%d of 10 questions passed a limit of 200,000 a second", n)
	}
}

// What comes faster than it is read is dropped by the kernel, and counted as the tenant's, also once its desk is closed.
func TestDroppedQuestionsAreCounted(t *testing.T) {
	o := newOffice(t)
	o.put(store.TenantKey("alice"), &store.Tenant{Number: 7, Limits: store.Limits{Questions: 1}})
	if err := o.resolver.Settle(); err != nil {
		t.Fatal(err)
	}
	flood, err := net.Dial("udp", o.at[7])
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	q, err := for4("web.").Pack()
	if err != nil {
		t.Fatal(err)
	}
	send := func() {
		for range 5000 {
			_, _ = flood.Write(q) // what does not arrive is no error
		}
	}
	send()
	first := o.resolver.Refused()
	send()
	o.resolver.Close()
	second := o.resolver.Refused()
	if first[7] == 0 || second[7] == 0 || len(first)+len(second) != 2 || first[7]+second[7] > 10_000 {
		t.Errorf("dropped: %v, then %v", first, second)
	}
}

// Desks come and go with tenants; a tenant with another number gets another desk.
func TestSettle(t *testing.T) {
	o := newOffice(t)
	now := time.Now()
	o.resolver.now = func() time.Time { return now }
	settle := func(want int) {
		t.Helper()
		if err := o.resolver.Settle(); err != nil {
			t.Error(err)
		}
		if got := o.resolver.Counts().Desks; got != want {
			t.Errorf("%d desks, want %d", got, want)
		}
	}
	settle(2)
	o.drop(portKey("h1", "bob/default/secret"))
	o.drop(portKey("h1", "bob/default/web"))
	settle(2) // a port may be on its way
	now = now.Add(2 * idleDesk)
	settle(1)
	if err := o.resolver.Open("bob", Asker{Number: 9}); err != nil { // one is
		t.Error(err)
	}
	settle(2)
	before := o.at[9]
	if err := o.resolver.Open("bob", Asker{Number: 9}); err != nil || o.at[9] != before {
		t.Errorf("opened twice: %v", err)
	}
	if err := o.resolver.Open("bob", Asker{Number: 10}); err != nil || o.at[10] == "" {
		t.Errorf("another number: %v", err)
	}
	settle(2)
	if got := addresses(o.ask(10, "udp", for4("web.bob.sluice."))); got != "NXDOMAIN" {
		t.Errorf("at the new desk: %s", got)
	}
	if _, err := net.ListenPacket("udp", before); err != nil {
		t.Errorf("the old desk is still open: %v", err)
	}
	o.resolver.open = func(uint32) (Sockets, error) { return Sockets{}, errors.New("no room") }
	if err := o.resolver.Open("carol", Asker{Number: 11}); err == nil {
		t.Error("a desk without sockets")
	}
}
