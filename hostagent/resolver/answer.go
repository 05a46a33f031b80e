package resolver

import (
	"net/netip"

	"github.com/miekg/dns"
)

const (
	// ownTTL is how long an answer about a port may be kept, in seconds: ports come and go.
	ownTTL = 5
	// mostUDP is the largest answer over UDP, in bytes: it fits every tunnel, and no fragment is needed.
	mostUDP = 1232
)

// local answers a question for one of the tenant's own names; nil: it is for none.
func (n *Names) local(asker string, from netip.Addr, r *dns.Msg) *dns.Msg {
	q := r.Question[0]
	f, own, known := n.find(asker, from, dns.CanonicalName(q.Name))
	if !own {
		return nil
	}
	m := new(dns.Msg).SetReply(r)
	m.Authoritative, m.RecursionAvailable = true, true
	switch {
	case !known:
		m.Rcode = dns.RcodeServerFailure
		return m
	case !f.exists:
		m.Rcode = dns.RcodeNameError
	}
	m.Answer = records(q, f)
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{authority}
	}
	return m
}

// records are the answers to a question of one type.
func records(q dns.Question, f finding) (list []dns.RR) {
	header := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: q.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: ownTTL}
	}
	asks := func(kind uint16) bool { return q.Qtype == kind || q.Qtype == dns.TypeANY }
	for _, a := range f.addresses {
		switch {
		case a.Is4() && asks(dns.TypeA):
			list = append(list, &dns.A{Hdr: header(dns.TypeA), A: a.AsSlice()})
		case a.Is6() && asks(dns.TypeAAAA):
			list = append(list, &dns.AAAA{Hdr: header(dns.TypeAAAA), AAAA: a.AsSlice()})
		}
	}
	if f.pointer != "" && asks(dns.TypePTR) {
		list = append(list, &dns.PTR{Hdr: header(dns.TypePTR), Ptr: f.pointer})
	}
	return list
}

// authority says how long may be believed that there is no such name (RFC 2308). It tells nothing of any tenant.
var authority = &dns.SOA{
	Hdr: dns.RR_Header{Name: Zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ownTTL},
	Ns:  "resolver." + Zone, Mbox: "nobody." + Zone, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: ownTTL,
}

// refusal is an answer without records.
func refusal(r *dns.Msg, rcode int) *dns.Msg {
	m := new(dns.Msg).SetRcode(r, rcode)
	m.RecursionAvailable = true
	return m
}

// unanswerable is the code for a question that is not one for names of the internet; 0: it is one.
func unanswerable(r *dns.Msg) int {
	if len(r.Question) != 1 {
		return dns.RcodeFormatError
	}
	switch q := r.Question[0]; {
	case r.Opcode != dns.OpcodeQuery:
		return dns.RcodeNotImplemented
	case q.Qclass != dns.ClassINET, q.Qtype == dns.TypeAXFR, q.Qtype == dns.TypeIXFR:
		return dns.RcodeRefused
	case r.IsEdns0() != nil && r.IsEdns0().Version() != 0:
		return dns.RcodeBadVers
	}
	return dns.RcodeSuccess
}

// fit makes an answer one that its asker can take: with EDNS where the question has it, and cut to what fits.
func fit(m, r *dns.Msg, stream bool) *dns.Msg {
	size := dns.MinMsgSize
	if opt := r.IsEdns0(); opt != nil {
		size = min(max(int(opt.UDPSize()), size), mostUDP)
		m.SetEdns0(mostUDP, opt.Do())
	}
	if stream {
		size = dns.MaxMsgSize
	}
	m.Truncate(size)
	return m
}
