package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/controller/enrol"
	"sluice/datapath"
	"sluice/pki"
	"sluice/store"
)

// secure reads the controller's certificate (nil: it has none), settles the addresses that were not
// given, and refuses those where it would believe everybody.
func (o *controllerFlags) secure(name string, log *slog.Logger) (*pki.Source, error) {
	who := pki.Controller(name)
	s, err := o.pki.open(who, log)
	if err != nil {
		return nil, err
	}
	scheme, openflow := "http://", "127.0.0.1:6653"
	if s != nil {
		scheme, openflow = "https://", ":6653"
	}
	o.openflow = cmp.Or(o.openflow, openflow)
	o.embedClient = cmp.Or(o.embedClient, scheme+"127.0.0.1:2379")
	o.embedPeer = cmp.Or(o.embedPeer, scheme+"127.0.0.1:2380")
	for _, at := range o.served() {
		proof := s
		if strings.HasPrefix(at.address, "http://") {
			proof = nil
		}
		if err := o.pki.clear(proof, who, at.flag, at.address); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// served are the addresses where a controller serves, and the flags that name them.
func (o *controllerFlags) served() []served {
	all := []served{{"--listen-openflow", o.openflow}, {"--listen-api", o.api.listen}}
	if len(o.etcd.endpoints) == 0 {
		all = append(all, served{"--embedded-etcd-client-url", o.embedClient}, served{"--embedded-etcd-peer-url", o.embedPeer})
	}
	return all
}

type served struct{ flag, address string }

// etcdIdentity is the certificate of the embedded etcd; nil: its URLs say http.
func (o *controllerFlags) etcdIdentity(s *pki.Source) *pki.Source {
	if strings.HasPrefix(o.embedClient, "https://") {
		return s
	}
	return nil
}

// sessions are the options of sessions with switches: each must show a certificate of the authority.
func sessions(s *pki.Source, log *slog.Logger) datapath.Options {
	o := datapath.Options{Log: log}
	if s != nil {
		o.TLS = s.Server(tls.RequireAndVerifyClientCert)
	}
	return o
}

// webSecurity is how the API is served; nil: in the clear, which is for loopback. Who has no
// certificate may have a token.
func webSecurity(s *pki.Source, address string) *tls.Config {
	if s == nil || isLoopback(address) {
		return nil
	}
	return s.Server(tls.VerifyClientCertIfGiven)
}

// live is what the controller tells of itself in etcd.
func live(openflow, web net.Listener, security *tls.Config, s *pki.Source, authority *pki.Authority, etcd []string) store.LiveController {
	machine, _ := os.Hostname() // not known: then it is not told
	own := append(certifiedNames(s), texts(ownAddresses())...)
	scheme := "http://"
	if security != nil {
		scheme = "https://"
	}
	return store.LiveController{
		Machine: machine, OpenFlow: reachedAt(openflow, own), API: scheme + reachedAt(web, own), Since: time.Now().UTC(),
		Signs: authority != nil, Etcd: endpointHosts(etcd), Program: store.Program{Version: version()},
	}
}

// reachedAt is where others reach a listener: where it listens on all addresses of its machine, at the
// first of those that are its own.
func reachedAt(l net.Listener, own []string) string {
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok || !at.IP.IsUnspecified() || len(own) == 0 {
		return l.Addr().String()
	}
	first := max(slices.IndexFunc(own, func(name string) bool { return net.ParseIP(name) != nil }), 0) // a switch dials no name
	return net.JoinHostPort(own[first], strconv.Itoa(at.Port))
}

func texts[T fmt.Stringer](list []T) (all []string) {
	for _, v := range list {
		all = append(all, v.String())
	}
	return all
}

// etcdURLs are where hosts that join find etcd.
func (o *controllerFlags) etcdURLs() []string {
	if len(o.etcd.endpoints) > 0 {
		return o.etcd.endpoints
	}
	return []string{o.embedClient}
}

// keepRenewed renews the controller's certificate until ctx ends, by the authority that is here or by
// a controller that has it.
func keepRenewed(ctx context.Context, s *pki.Source, office *enrol.Office) error {
	if s != nil {
		s.KeepRenewed(ctx, office.Signer(s))
	}
	return nil
}
