package lab

import (
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// OutsideZone is the domain that the fake internet's DNS server knows. Each name below it that is not "absent" is that
// of InternetAddress.
const OutsideZone = "outside.example."

// listenDNS are the DNS servers of an address, over UDP and TCP, ready to serve.
func listenDNS(address netip.Addr) ([]*dns.Server, error) {
	at := netip.AddrPortFrom(address, 53).String()
	packets, err := net.ListenPacket("udp", at)
	if err != nil {
		return nil, err
	}
	streams, err := net.Listen("tcp", at)
	if err != nil {
		packets.Close()
		return nil, err
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) { _ = w.WriteMsg(outsideAnswer(r, address)) })
	return []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: streams, Handler: handler}}, nil
}

func outsideAnswer(r *dns.Msg, address netip.Addr) *dns.Msg {
	q := r.Question[0]
	name := dns.CanonicalName(q.Name)
	if !dns.IsSubDomain(OutsideZone, name) || name == "absent."+OutsideZone {
		return new(dns.Msg).SetRcode(r, dns.RcodeNameError)
	}
	m := new(dns.Msg).SetReply(r)
	if q.Qtype == dns.TypeA {
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: address.AsSlice()}}
	}
	return m
}
