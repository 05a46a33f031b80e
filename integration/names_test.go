package integration

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/integration/lab"
	"sluice/store"
)

// lookUp asks the resolver from inside a container. The answer is a text: its code, then what its records say.
func lookUp(t *testing.T, from lab.Container, network string, at netip.Addr, name string, kind uint16) (string, error) {
	t.Helper()
	conn, err := lab.DialIn(t.Context(), from.NetNS, network, netip.AddrPortFrom(at, 53).String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	client := dns.Client{Net: network, Timeout: 3 * time.Second}
	m, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(name, kind), &dns.Conn{Conn: conn})
	if err != nil {
		return "", err
	}
	says := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			says = append(says, rr.A.String())
		case *dns.AAAA:
			says = append(says, rr.AAAA.String())
		case *dns.PTR:
			says = append(says, rr.Ptr)
		}
	}
	return strings.Join(says, " "), nil
}

func reverse(t *testing.T, a netip.Addr) string {
	t.Helper()
	name, err := dns.ReverseAddr(a.String())
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// wantLeader waits until a tenant that comes gets a gateway: after a leader was killed that takes as long as its lease.
func wantLeader(t *testing.T) {
	t.Helper()
	sluice(t, "tenant", "create", "led")
	defer sluice(t, "tenant", "delete", "led")
	eventually(t, "a leader places gateways", func() error {
		for _, g := range answer[[]struct{ Tenant, Active string }](t, "gateway", "list") {
			if g.Tenant == "led" && g.Active != "" {
				return nil
			}
		}
		return errors.New("none is placed")
	})
}

// Containers find each other, and the world, by name, also while no controller and no etcd is there; of another tenant
// nobody learns a name.
func TestNames(t *testing.T) {
	needLab(t)
	tenant(t, "named", "--subnet", "10.0.0.0/24", "--subnet", "fd00:a::/64")
	tenant(t, "hidden", "--subnet", "10.0.0.0/24")
	web, api := container(t, "h1", "named", "web"), container(t, "h2", "named", "api")
	secret := container(t, "h1", "hidden", "secret")
	v4, v6 := web.IPs[0], web.IPs[1]
	questions := []struct {
		from lab.Container
		name string
		kind uint16
		want string
	}{
		{api, "web.", dns.TypeA, "NOERROR " + v4.String()},
		{api, "web.named.sluice.", dns.TypeA, "NOERROR " + v4.String()},
		{api, "web.default.named.sluice.", dns.TypeAAAA, "NOERROR " + v6.String()},
		{api, reverse(t, v4), dns.TypePTR, "NOERROR web.named.sluice."},
		{api, reverse(t, v6), dns.TypePTR, "NOERROR web.named.sluice."},
		{web, "api.named.sluice.", dns.TypeA, "NOERROR " + api.IPs[0].String()},
		{web, "secret.", dns.TypeA, "NXDOMAIN"},
		{web, "secret.hidden.sluice.", dns.TypeA, "NXDOMAIN"},
		{web, "nobody.nowhere.sluice.", dns.TypeA, "NXDOMAIN"},
		{web, "www." + lab.OutsideZone, dns.TypeA, "NOERROR " + lab.InternetAddress.String()},
		{web, "absent." + lab.OutsideZone, dns.TypeA, "NXDOMAIN"},
		{secret, "web.named.sluice.", dns.TypeA, "NXDOMAIN"},
		{secret, "secret.", dns.TypeA, "NOERROR " + secret.IPs[0].String()},
	}
	ask := func(when string) {
		for _, q := range questions {
			for _, at := range []netip.Addr{store.Resolver4, store.Resolver6} {
				if at.Is6() && q.from.Name == secret.Name {
					continue // which has no IPv6
				}
				for _, network := range []string{"udp", "tcp"} {
					got, err := lookUp(t, q.from, network, at, q.name, q.kind)
					if err != nil || got != q.want {
						t.Errorf("%s: %s asks %s over %s for %s %s: %q (%v), want %q", when, q.from.Name, at, network, dns.TypeToString[q.kind], q.name, got, err, q.want)
					}
				}
			}
		}
	}
	ask("at first")
	// The container's resolv.conf says so.
	if got := sluice(t, "lab", "exec", api.Name, "--", "getent", "ahostsv4", "web"); !strings.Contains(got, v4.String()) {
		t.Errorf("getent says %q", got)
	}
	if conn, err := lab.DialIn(t.Context(), web.NetNS, "tcp", netip.AddrPortFrom(store.Resolver4, 80).String()); err == nil {
		conn.Close()
		t.Error("the resolver's address takes connections to another port")
	}
	traced := traceOf(t, "named/web", store.Resolver4.String(), "--proto", "udp")
	if !strings.HasPrefix(traced.Text, "delivered to the resolver of h1: ") {
		t.Errorf("a trace says %s", traced.Text)
	}

	port := func() string { return inHost(t, "h1", "ip", "-o", "link", "show", "dev", store.ResolverInterface) }
	before := port()
	sluice(t, "lab", "kill", "controller")
	sluice(t, "lab", "kill", "agent/h1")
	t.Cleanup(func() {
		sluice(t, "lab", "up")
		wantNoDiff(t)
		wantLeader(t)
	})
	questions = questions[:6] // the names that h2's agent answers: h1's is away
	for i := range questions {
		questions[i].from = api
	}
	ask("without a controller")
	sluice(t, "lab", "up")
	wantNoDiff(t)
	if after := port(); after != before {
		t.Errorf("the agent's restart changed the resolver's port:\n%s%s", before, after)
	}
	eventually(t, "the agent answers again", func() error {
		got, err := lookUp(t, web, "udp", store.Resolver4, "api.", dns.TypeA)
		if want := "NOERROR " + api.IPs[0].String(); err == nil && got != want {
			return fmt.Errorf("%q, want %q", got, want)
		}
		return err
	})
}
