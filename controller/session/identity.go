package session

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"sluice/controller/host"
	"sluice/datapath"
	"sluice/pki"
	"sluice/store"
)

// impostorTime is how long after its last attempt a switch that was refused is told of.
const impostorTime = 10 * time.Minute

// impostors are switches that were refused since their certificate is not that of the host whose
// datapath id they said: the last one of each host. The zero value has none.
type impostors struct {
	mu   sync.Mutex
	last map[string]impostor // by the host that it said to be
}

type impostor struct {
	shows string // whose certificate it has
	at    string // where it dialled from, without the port
	when  time.Time
}

// note reports whether this one is news.
func (i *impostors) note(host string, one impostor) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last == nil {
		i.last = map[string]impostor{}
	}
	before := i.last[host]
	i.last[host] = one
	return before.shows != one.shows || before.at != one.at || one.when.Sub(before.when) > impostorTime
}

// problems forgets those of long ago.
func (i *impostors) problems(now time.Time) store.Problems {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.last, func(_ string, one impostor) bool { return now.Sub(one.when) > impostorTime })
	var list store.Problems
	for _, host := range slices.Sorted(maps.Keys(i.last)) {
		one := i.last[host]
		list = append(list, store.ProblemOf(store.HostKey(host),
			"a switch at %s says that it is this host's and shows %s: it is refused; find out what runs there", one.at, one.shows))
	}
	return list
}

// Problems are of hosts for whose switch another one gave itself out lately.
func (srv *Server) Problems() store.Problems { return srv.impostors.problems(time.Now()) }

// believes reports whether a switch may be the host's whose datapath id it said. Whoever is reached
// over TLS needs that host's certificate: the id is a number that anybody can say. In the clear,
// which is for loopback, there is nothing to check.
func (srv *Server) believes(sw *datapath.Switch, h *host.Host, log *slog.Logger) bool {
	c := sw.Certificate()
	if c == nil {
		return true
	}
	shows := shownIn(c)
	switch who, err := pki.Of(c); {
	case err != nil || who != pki.Host(h.Name):
	case srv.outdated(h.Name, c.NotBefore):
		shows = "a certificate from before the host joined anew"
	default:
		return true
	}
	srv.Metrics.Impostors.WithLabelValues(h.Name).Inc()
	if srv.impostors.note(h.Name, impostor{shows, machineOf(sw.RemoteAddr()), time.Now()}) {
		log.Warn("refused a switch that says it is another host's", "host", h.Name, "shows", shows, "remote", sw.RemoteAddr())
		srv.Reports.Poke()
	}
	return false
}

// shownIn says whose certificate it is, in few bytes.
func shownIn(c *x509.Certificate) string {
	who, err := pki.Of(c)
	if err != nil {
		subject := c.Subject.String()
		return fmt.Sprintf("a certificate of nobody (%s)", subject[:min(len(subject), maxSubject)])
	}
	return fmt.Sprintf("the certificate of %s", who)
}

// maxSubject bounds what a certificate says of nobody: others read it in a status key.
const maxSubject = 80

// outdated reports whether a host was enrolled anew since a certificate of its began to be valid. One
// that is not enrolled at all is in an etcd that asks nobody who he is.
func (srv *Server) outdated(host string, validFrom time.Time) (is bool) {
	srv.Picture.View(func(s *store.State) {
		e := s.Enrolment(host)
		is = e != nil && !e.Value.Believes(validFrom)
	})
	return is
}

// machineOf leaves out the port, which is another one for each connection.
func machineOf(remote string) string {
	if machine, _, err := net.SplitHostPort(remote); err == nil {
		return machine
	}
	return remote
}
