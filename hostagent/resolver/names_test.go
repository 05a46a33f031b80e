package resolver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"sluice/store"
)

// cluster is what a store holds, as the names of host h1 are told of it.
type cluster struct {
	names    *Names
	revision store.Revision
}

// newCluster has two tenants with the same addresses. Alice has two networks.
func newCluster() *cluster {
	c := &cluster{names: NewNames("h1")}
	c.put(store.TenantKey("alice"), &store.Tenant{Number: 7})
	c.put(store.TenantKey("bob"), &store.Tenant{Number: 9})
	c.put(store.NetworkKey("alice", "default"), network4and6("10.0.0.0/24", "fd00:a::/64"))
	c.put(store.NetworkKey("alice", "back"), network4and6("10.1.0.0/24"))
	c.put(store.NetworkKey("bob", "default"), network4and6("10.0.0.0/24"))
	c.port("h1", "alice/default/web", nil, "10.0.0.11/24", "fd00:a::11/64")
	c.port("h2", "alice/default/api", nil, "10.0.0.12/24")
	c.port("h1", "alice/back/api", nil, "10.1.0.12/24")
	c.port("h2", "alice/back/db", nil, "10.1.0.13/24")
	c.port("h1", "bob/default/secret", nil, "10.0.0.11/24")
	c.port("h1", "bob/default/web", nil, "10.0.0.99/24")
	return c
}

func network4and6(subnets ...string) *store.Network {
	n := &store.Network{}
	for _, s := range subnets {
		n.Subnets = append(n.Subnets, store.Subnet{Prefix: netip.MustParsePrefix(s)})
	}
	return n
}

func (c *cluster) put(key store.Key, o store.Object) bool {
	c.revision++
	return c.names.Apply(key.Kind, store.Batch{Revision: c.revision, Events: []store.Event{{Key: key, Object: o, Created: c.revision, Modified: c.revision}}})
}

func (c *cluster) drop(key store.Key) bool {
	c.revision++
	return c.names.Apply(key.Kind, store.Batch{Revision: c.revision, Events: []store.Event{{Key: key, Modified: c.revision}}})
}

func portKey(host, name string) store.Key {
	f := strings.Split(name, "/")
	return store.PortKey(host, f[0], f[1], f[2])
}

func (c *cluster) port(host, name string, labels store.Labels, addresses ...string) bool {
	p := &store.Port{Labels: labels}
	for _, a := range addresses {
		p.Addresses = append(p.Addresses, netip.MustParsePrefix(a))
	}
	return c.put(portKey(host, name), p)
}

// ask is the answer as text; "upstream" where it is none of the resolver's own.
func (c *cluster) ask(tenant, from, name string, kind uint16) string {
	r := new(dns.Msg).SetQuestion(name, kind)
	m := c.names.local(tenant, netip.MustParseAddr(from), r)
	if m == nil {
		return "upstream"
	}
	var texts []string
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			texts = append(texts, rr.A.String())
		case *dns.AAAA:
			texts = append(texts, rr.AAAA.String())
		case *dns.PTR:
			texts = append(texts, rr.Ptr)
		}
		if h := rr.Header(); h.Name != name || h.Ttl != ownTTL {
			texts = append(texts, "under "+h.String())
		}
	}
	if len(texts) > 0 && len(m.Ns) == 0 && m.Rcode == dns.RcodeSuccess {
		return strings.Join(texts, " ")
	}
	if len(m.Ns) != 1 && m.Rcode != dns.RcodeServerFailure {
		texts = append(texts, "without authority")
	}
	return strings.Join(append(texts, dns.RcodeToString[m.Rcode]), " ")
}

func TestQuestions(t *testing.T) {
	c := newCluster()
	const atDefault, atBack = "10.0.0.50", "10.1.0.50"
	for _, x := range []struct {
		tenant, from, name string
		kind               uint16
		want               string
	}{
		{"alice", atDefault, "web.", dns.TypeA, "10.0.0.11"},
		{"alice", atDefault, "web.", dns.TypeAAAA, "fd00:a::11"},
		{"alice", atDefault, "web.", dns.TypeANY, "10.0.0.11 fd00:a::11"},
		{"alice", atDefault, "web.", dns.TypeMX, "NOERROR"},
		{"alice", atDefault, "WEB.Alice.SLUICE.", dns.TypeA, "10.0.0.11"},
		{"alice", atDefault, "web.alice.sluice.", dns.TypeA, "10.0.0.11"},
		{"alice", atDefault, "web.default.alice.sluice.", dns.TypeA, "10.0.0.11"},
		{"alice", atDefault, "web.back.alice.sluice.", dns.TypeA, "NXDOMAIN"},
		// The asker's own network comes first, then default, then the others.
		{"alice", atDefault, "api.", dns.TypeA, "10.0.0.12"},
		{"alice", atBack, "api.", dns.TypeA, "10.1.0.12"},
		{"alice", atBack, "api.alice.sluice.", dns.TypeA, "10.1.0.12"},
		{"alice", "192.0.2.1", "api.", dns.TypeA, "10.0.0.12"},
		{"alice", atDefault, "api.back.alice.sluice.", dns.TypeA, "10.1.0.12"},
		{"alice", atDefault, "db.", dns.TypeA, "10.1.0.13"},
		{"alice", atDefault, "db.", dns.TypeAAAA, "NOERROR"},
		// What has names below it exists.
		{"alice", atDefault, "sluice.", dns.TypeA, "NOERROR"},
		{"alice", atDefault, "alice.sluice.", dns.TypeA, "NOERROR"},
		{"alice", atDefault, "back.alice.sluice.", dns.TypeA, "NOERROR"},
		// Of another tenant nothing does, nor of one that is not there.
		{"alice", atDefault, "secret.", dns.TypeA, "NXDOMAIN"},
		{"alice", atDefault, "secret.bob.sluice.", dns.TypeA, "NXDOMAIN"},
		{"alice", atDefault, "web.bob.sluice.", dns.TypeA, "NXDOMAIN"},
		{"alice", atDefault, "web.default.bob.sluice.", dns.TypeA, "NXDOMAIN"},
		{"alice", atDefault, "bob.sluice.", dns.TypeA, "NXDOMAIN"},
		{"alice", atDefault, "web.nobody.sluice.", dns.TypeA, "NXDOMAIN"},
		{"alice", atDefault, "a.web.default.alice.sluice.", dns.TypeA, "NXDOMAIN"},
		{"nobody", atDefault, "web.", dns.TypeA, "NXDOMAIN"},
		{"nobody", atDefault, "web.nobody.sluice.", dns.TypeA, "NXDOMAIN"},
		{"bob", atDefault, "web.", dns.TypeA, "10.0.0.99"},
		// Backwards.
		{"alice", atDefault, "11.0.0.10.in-addr.arpa.", dns.TypePTR, "web.alice.sluice."},
		{"bob", atDefault, "11.0.0.10.in-addr.arpa.", dns.TypePTR, "secret.bob.sluice."},
		{"alice", atDefault, "12.0.0.10.in-addr.arpa.", dns.TypePTR, "api.alice.sluice."},
		{"alice", atDefault, "12.0.1.10.in-addr.arpa.", dns.TypePTR, "api.back.alice.sluice."},
		{"alice", atDefault, "99.0.1.10.in-addr.arpa.", dns.TypePTR, "NXDOMAIN"},
		{"alice", atDefault, "13.0.1.10.in-addr.arpa.", dns.TypePTR, "db.alice.sluice."},
		{"alice", atDefault, "11.0.0.10.in-addr.arpa.", dns.TypeA, "NOERROR"},
		{"alice", atDefault, "1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.a.0.0.0.0.0.d.f.ip6.arpa.", dns.TypePTR, "web.alice.sluice."},
		// Nobody upstream is asked for private addresses, nor for names of one label.
		{"alice", atDefault, "1.0.168.192.in-addr.arpa.", dns.TypePTR, "NXDOMAIN"},
		{"alice", atDefault, "168.192.in-addr.arpa.", dns.TypeSOA, "NXDOMAIN"},
		{"alice", atDefault, "1.0.64.100.in-addr.arpa.", dns.TypePTR, "NXDOMAIN"},
		{"alice", atDefault, "254.169.254.169.in-addr.arpa.", dns.TypePTR, "NXDOMAIN"},
		{"alice", atDefault, "1.0.0.127.in-addr.arpa.", dns.TypePTR, "NXDOMAIN"},
		{"alice", atDefault, "8.8.8.8.in-addr.arpa.", dns.TypePTR, "upstream"},
		{"alice", atDefault, "www.example.com.", dns.TypeA, "upstream"},
		{"alice", atDefault, "web.alice.sluice.example.", dns.TypeA, "upstream"},
		{"alice", atDefault, "notsluice.", dns.TypeA, "NXDOMAIN"},
		{"alice", atDefault, "x.notsluice.", dns.TypeA, "upstream"},
		{"alice", atDefault, ".", dns.TypeNS, "upstream"},
		{"alice", atDefault, "in-addr.arpa.", dns.TypeSOA, "upstream"},
		{"alice", atDefault, "x.in-addr.arpa.", dns.TypePTR, "upstream"},
	} {
		if got := c.ask(x.tenant, x.from, x.name, x.kind); got != x.want {
			t.Errorf("%s at %s asks for %s %s: %q, want %q", x.tenant, x.from, dns.TypeToString[x.kind], x.name, got, x.want)
		}
	}
}

// What two ports claim the older one has, wherever it is, so that nobody takes a name over.
func TestTheOlderPortHasTheName(t *testing.T) {
	c := newCluster()
	c.port("h9", "alice/default/web", nil, "10.0.0.66/24")
	c.port("h9", "alice/default/thief", nil, "10.0.0.11/24")
	want := func(name string, kind uint16, want string) {
		t.Helper()
		if got := c.ask("alice", "10.0.0.50", name, kind); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want("web.", dns.TypeA, "10.0.0.11")
	want("11.0.0.10.in-addr.arpa.", dns.TypePTR, "web.alice.sluice.")
	c.drop(portKey("h1", "alice/default/web"))
	want("web.", dns.TypeA, "10.0.0.66")
	want("11.0.0.10.in-addr.arpa.", dns.TypePTR, "thief.alice.sluice.")
	c.drop(portKey("h9", "alice/default/web"))
	c.drop(portKey("h9", "alice/default/thief"))
	want("web.", dns.TypeA, "NXDOMAIN")
	want("11.0.0.10.in-addr.arpa.", dns.TypePTR, "NXDOMAIN")
}

// A port that moves, or gets another address, is found where it is.
func TestAPortChanges(t *testing.T) {
	c := newCluster()
	c.port("h1", "alice/default/web", nil, "10.0.0.77/24")
	for name, want := range map[string]string{"web.": "10.0.0.77", "77.0.0.10.in-addr.arpa.": "web.alice.sluice.", "11.0.0.10.in-addr.arpa.": "NXDOMAIN"} {
		kind := dns.TypeA
		if strings.HasSuffix(name, "arpa.") {
			kind = dns.TypePTR
		}
		if got := c.ask("alice", "10.0.0.50", name, kind); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// What a runtime calls containers leads to all of them; a port of that name goes before.
func TestAliases(t *testing.T) {
	c := newCluster()
	pod := func(name string) store.Labels { return store.Labels{aliasLabel: name} }
	c.port("h1", "alice/default/shop-1", pod("shop"), "10.0.0.31/24")
	c.port("h2", "alice/default/shop-2", pod("shop"), "10.0.0.32/24")
	c.port("h2", "alice/default/fake", pod("web"), "10.0.0.33/24")
	c.port("h2", "alice/default/same", pod("same"), "10.0.0.34/24")
	for name, want := range map[string]string{
		"shop.": "10.0.0.31 10.0.0.32", "shop.alice.sluice.": "10.0.0.31 10.0.0.32", "web.": "10.0.0.11", "same.": "10.0.0.34",
		"shop-1.": "10.0.0.31",
	} {
		if got := c.ask("alice", "10.0.0.50", name, dns.TypeA); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	c.drop(portKey("h1", "alice/default/shop-1"))
	if got := c.ask("alice", "10.0.0.50", "shop.", dns.TypeA); got != "10.0.0.32" {
		t.Errorf("after one went: %q", got)
	}
}

// Before the store was read, an absence is no answer.
func TestNothingIsDeniedBeforeTheStoreIsKnown(t *testing.T) {
	c := &cluster{names: NewNames("h1")}
	for i, kind := range Kinds() {
		for _, name := range []string{"web.", "web.alice.sluice.", "11.0.0.10.in-addr.arpa."} {
			if got := c.ask("alice", "10.0.0.50", name, dns.TypeA); got != "SERVFAIL" {
				t.Errorf("%d kinds are known: %s: %s", i, name, got)
			}
		}
		if got := c.ask("alice", "10.0.0.50", "www.example.com.", dns.TypeA); got != "upstream" {
			t.Errorf("another's name: %s", got)
		}
		c.names.Apply(kind, store.Batch{})
	}
	if got := c.ask("alice", "10.0.0.50", "web.", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("once it is known: %s", got)
	}
}

// Who asks on this host is who has a port here.
func TestHere(t *testing.T) {
	c := newCluster()
	want := map[string]Asker{"alice": {Number: 7}, "bob": {Number: 9}}
	here := func(about string) {
		t.Helper()
		if diff := cmp.Diff(want, c.names.Here()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", about, diff)
		}
	}
	moved := func(about string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: it says %t of whether tenants moved", about, got)
		}
	}
	here("at first")
	moved("one of several ports goes", c.drop(portKey("h1", "alice/back/api")), false)
	moved("a port of another host goes", c.drop(portKey("h2", "alice/default/api")), false)
	here("while alice has one")
	moved("the last port goes", c.drop(portKey("h1", "alice/default/web")), true)
	delete(want, "alice")
	here("after alice left")
	moved("a port comes", c.port("h1", "alice/default/new", nil, "10.0.0.20/24"), true)
	moved("it changes", c.port("h1", "alice/default/new", nil, "10.0.0.21/24"), false)
	want["alice"] = Asker{Number: 7}
	here("after alice came")
	slow := store.Limits{Questions: 3}
	moved("another limit", c.put(store.TenantKey("alice"), &store.Tenant{Number: 7, Limits: slow}), true)
	want["alice"] = Asker{7, slow}
	here("after alice may ask less")
	moved("another number", c.put(store.TenantKey("bob"), &store.Tenant{Number: 10}), true)
	want["bob"] = Asker{Number: 10}
	here("after bob got another number")
	moved("a tenant goes first", c.drop(store.TenantKey("bob")), true)
	delete(want, "bob")
	here("without bob")
}

// Nothing is kept of what is gone.
func TestNothingIsLeft(t *testing.T) {
	c := newCluster()
	if got := c.names.Count(); got != 6 {
		t.Errorf("%d names, want 6", got)
	}
	for _, name := range []string{"h1 alice/default/web", "h2 alice/default/api", "h1 alice/back/api", "h2 alice/back/db", "h1 bob/default/secret", "h1 bob/default/web"} {
		var host, port string
		fmt.Sscan(name, &host, &port)
		c.drop(portKey(host, port))
		c.drop(portKey(host, port)) // twice is once
	}
	for _, key := range []store.Key{store.NetworkKey("alice", "default"), store.NetworkKey("alice", "back"), store.NetworkKey("bob", "default"), store.TenantKey("alice"), store.TenantKey("bob")} {
		c.drop(key)
	}
	if len(c.names.tenants) != 0 || c.names.Count() != 0 {
		t.Errorf("left: %v", c.names.tenants)
	}
}
