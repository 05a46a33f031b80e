package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// names are the hosts' names under which clients may know this controller, besides addresses.
//
// A browser that was led to a page elsewhere sends that page's name as Host, whatever address the
// name has by then (DNS rebinding), or as Origin. So a request for a name that is not ours was not
// meant for us.
type names []string

// check says what is wrong with the names in a request; nil: nothing.
func (n names) check(r *http.Request) error {
	if r.Host == "" {
		return fmt.Errorf("the header Host is missing")
	}
	if !n.ours(hostOf(r.Host), r) {
		return fmt.Errorf("host %q is no name of this controller: use its address, or name it with --api-hosts", r.Host)
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	if u, err := url.Parse(origin); err != nil || u.Host == "" || !n.ours(u.Hostname(), r) {
		return fmt.Errorf("origin %q is another site's", origin)
	}
	return nil
}

// ours reports whether a name or address is this controller's: a listed name, this machine's own,
// or the address at which the request came in.
func (n names) ours(name string, r *http.Request) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || slices.Contains(n, name) {
		return true
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	return ip.IsLoopback() || ip.Unmap() == arrivedAt(r)
}

// arrivedAt is the address of this machine at which a request came in.
func arrivedAt(r *http.Request) netip.Addr {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return at.AddrPort().Addr().Unmap()
}

// hostOf is the host of HOST or HOST:PORT.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
