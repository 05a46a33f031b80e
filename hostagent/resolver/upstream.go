package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// upstreamTimeout is what one server gets to answer one question.
const upstreamTimeout = 2 * time.Second

// resolvConf is where the host says who resolves names for it.
const resolvConf = "/etc/resolv.conf"

// Upstream is who is asked for names that are no tenant's own. A name is asked for as the container wrote it: search
// domains of the host add nothing. It is safe for concurrent use.
type Upstream struct {
	servers []string // HOST:PORT each; nil: those of the host's resolv.conf
	file    string

	mu   sync.Mutex
	read time.Time // when the file was written that is known
	of   []string  // its servers
}

// NewUpstream asks servers, each an address with or without port; without any, those of the host's own
// resolv.conf, as it is then. "none" asks nobody.
func NewUpstream(servers []string) (*Upstream, error) {
	u := &Upstream{file: resolvConf}
	for _, text := range servers {
		if text == "none" {
			return &Upstream{servers: []string{}}, nil
		}
		at, err := endpoint(text)
		if err != nil {
			return nil, err
		}
		u.servers = append(u.servers, at)
	}
	return u, nil
}

func endpoint(text string) (string, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return net.JoinHostPort(a.String(), "53"), nil
	}
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.String(), nil
	}
	return "", fmt.Errorf("%q is no address of a DNS server: write it as 192.0.2.53, [2001:db8::53]:53 or none", text)
}

// asked are the servers to ask, in order.
func (u *Upstream) asked() ([]string, error) {
	if u.servers != nil {
		return u.servers, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	info, err := os.Stat(u.file)
	if err != nil {
		return nil, fmt.Errorf("who resolves names for this host: %w", err)
	}
	if info.ModTime().Equal(u.read) {
		return u.of, nil
	}
	config, err := dns.ClientConfigFromFile(u.file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", u.file, err)
	}
	u.read, u.of = info.ModTime(), nil
	for _, server := range config.Servers {
		u.of = append(u.of, net.JoinHostPort(server, config.Port))
	}
	return u.of, nil
}

// errNobody says that nobody is there to ask.
var errNobody = errors.New("no DNS server is known")

// exchange asks the servers one after another until one answers.
func (u *Upstream) exchange(ctx context.Context, r *dns.Msg) (*dns.Msg, error) {
	servers, err := u.asked()
	if err != nil {
		return nil, err
	}
	err = errNobody
	for _, server := range servers {
		var m *dns.Msg
		if m, err = ask(ctx, server, r); err == nil && m.Rcode != dns.RcodeServerFailure && m.Rcode != dns.RcodeRefused {
			return m, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// ask asks one server, and again over TCP where the answer was too long.
func ask(ctx context.Context, server string, r *dns.Msg) (*dns.Msg, error) {
	q := question(r)
	client := dns.Client{Timeout: upstreamTimeout, UDPSize: mostUDP}
	m, _, err := client.ExchangeContext(ctx, q, server)
	if err == nil && m.Truncated {
		client.Net = "tcp"
		m, _, err = client.ExchangeContext(ctx, q, server)
	}
	return m, err
}

// question is what is asked upstream: the container's question, and nothing else that it sent along.
func question(r *dns.Msg) *dns.Msg {
	q := new(dns.Msg).SetQuestion(r.Question[0].Name, r.Question[0].Qtype)
	q.CheckingDisabled = r.CheckingDisabled
	opt := r.IsEdns0()
	q.SetEdns0(mostUDP, opt != nil && opt.Do())
	return q
}

// answered makes of upstream's answer one to a container's question.
func answered(r, m *dns.Msg) *dns.Msg {
	a := new(dns.Msg).SetRcode(r, m.Rcode)
	a.RecursionAvailable = true
	a.Answer, a.Ns = m.Answer, m.Ns
	for _, rr := range m.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			a.Extra = append(a.Extra, rr)
		}
	}
	return a
}
