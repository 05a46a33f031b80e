package hostagent

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"

	"sluice/hostagent/api"
	"sluice/store"
)

// asksResolver reports whether the resolver's room leads to the bridge, and alice's desk in it answers for one of her
// ports. That frames cross it the end-to-end tests show.
func (h *host) asksResolver(a *Agent, name string) bool {
	h.t.Helper()
	room := a.resolving.room
	leads, err := room.leadsTo(resolverEnd)
	if err != nil || !leads {
		return false
	}
	at := netip.AddrPortFrom(store.Desk(h.tenant("alice").Number, store.Resolver4), 53)
	var answer *dns.Msg
	err = inNamespace(room.ns, func() error {
		conn, err := net.Dial("udp", at.String())
		if err != nil {
			return err
		}
		defer conn.Close()
		client := dns.Client{Timeout: time.Second}
		answer, _, err = client.ExchangeWithConn(new(dns.Msg).SetQuestion(name+".alice.sluice.", dns.TypeA), &dns.Conn{Conn: conn})
		return err
	})
	return err == nil && len(answer.Answer) == 1
}

// A host that shall have no resolver has nothing of one, though it had.
func TestResolverGoes(t *testing.T) {
	h := newHost(t)
	h.options.Resolver, h.options.Upstream = true, []string{"none"}
	a, _, stop := h.agent()
	h.eventually("the resolver is there", func() bool {
		leads, err := a.resolving.room.leadsTo(resolverEnd)
		return err == nil && leads
	})
	stop()
	h.options.Resolver = false
	h.agent()
	h.eventually("nothing of the resolver is left", func() bool {
		_, err := netlink.LinkByName(store.ResolverInterface)
		return isGone(err) && !strings.Contains(h.vsctl("list-ports", store.BridgeName), store.ResolverInterface)
	})
}

// What the answer to an attach says of names is what its port can ask.
func TestWhatContainersAreToldOfDNS(t *testing.T) {
	r := &resolving{o: Options{Resolver: true}}
	key := store.PortKey("h1", "alice", "default", "a1")
	for addresses, want := range map[string]*api.DNS{
		"10.0.0.2/24":            {Nameservers: []string{"169.254.53.53"}, Search: []string{"alice.sluice"}},
		"fd00::2/64":             {Nameservers: []string{"fd73:6c75:6963:65::53"}, Search: []string{"alice.sluice"}},
		"10.0.0.2/24 fd00::2/64": {Nameservers: []string{"169.254.53.53", "fd73:6c75:6963:65::53"}, Search: []string{"alice.sluice"}},
	} {
		if diff := cmp.Diff(want, r.dnsFor(key, prefixes(strings.Fields(addresses)...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", addresses, diff)
		}
	}
	if got := (&resolving{}).dnsFor(key, prefixes("10.0.0.2/24")); got != nil {
		t.Errorf("a host without a resolver tells %+v", got)
	}
}
