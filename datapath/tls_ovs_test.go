package datapath_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
	"sluice/datapath/ovstest"
	"sluice/pki"
)

// authority makes one, and a function that gives an identity's certificate from it.
func authority(t *testing.T) (dir string, issue func(who pki.Identity) *pki.Source) {
	t.Helper()
	dir = t.TempDir()
	a, err := pki.CreateAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, func(who pki.Identity) *pki.Source {
		t.Helper()
		if err := a.Issue(dir, who, nil, pki.Lifetime); err != nil {
			t.Fatal(err)
		}
		s, err := pki.Open(dir, who, testLog(t))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// useTLS gives the switch its certificate and a bridge that dials with it.
func useTLS(ovs *ovstest.OVS, s *pki.Source, ca, target string) {
	ovs.VSCtl("set-ssl", s.File(), s.File(), ca)
	ovs.AddBridge("br-test", "ssl:"+target)
}

func TestSwitchOverTLS(t *testing.T) {
	ovs := ovstest.Start(t)
	_, issue := authority(t)
	h1 := issue(pki.Host(strings.Repeat("h", 63))) // the longest name that a host may have
	l, target := ovs.ListenTCP()
	o := datapath.Options{Log: testLog(t), TLS: issue(pki.Controller("c1")).Server(tls.RequireAndVerifyClientCert)}
	c := serve(t, l, o)
	useTLS(ovs, h1, h1.AuthorityFile(), target)
	s := c.next(t)
	if who, err := pki.Of(s.Certificate()); err != nil || who != h1.Identity() {
		t.Errorf("the switch shows a certificate of %s, %v; want %s", who, err, h1.Identity())
	}
	if _, err := s.Ports(deadline(t)); err != nil {
		t.Error(err)
	}
}

// TestSwitchRefusesFalseController: Open vSwitch asks for no name, but for a certificate for servers,
// which no host and no person has.
func TestSwitchRefusesFalseController(t *testing.T) {
	ovs := ovstest.Start(t)
	_, issue := authority(t)
	_, foreign := authority(t)
	h1 := issue(pki.Host("h1"))
	for n, c := range []struct {
		name   string
		source *pki.Source
	}{
		{"a stolen certificate of a host", issue(pki.Host("h2"))},
		{"one of a person", issue(pki.Person("eve"))},
		{"a controller of another authority", foreign(pki.Controller("c1"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, target := ovs.ListenTCP()
			refused := make(chan error, 1)
			go func() { refused <- poseAsController(l, c.source.Server(tls.RequireAnyClientCert)) }()
			useTLS(ovs, h1, h1.AuthorityFile(), target)
			defer ovs.VSCtl("del-br", "br-test")
			select {
			case err := <-refused:
				if err == nil {
					t.Error("the switch took it for its controller")
				}
			case <-time.After(patience):
				t.Fatal("the switch did not dial")
			}
			ovs.AppCtl("version") // it has logged what it did before
			if got := strings.Count(ovs.Log(), "certificate verify failed"); got <= n {
				t.Errorf("the switch refused %d certificates, want %d at least", got, n+1)
			}
		})
	}
}

// TestRefusesFalseSwitch: a switch without a certificate of the authority, or without TLS, becomes no
// session, and the log says why.
func TestRefusesFalseSwitch(t *testing.T) {
	ovs := ovstest.Start(t)
	_, issue := authority(t)
	_, foreign := authority(t)
	own, stranger := issue(pki.Host("h1")), foreign(pki.Host("h1"))
	for _, c := range []struct {
		name, kind string
		shows      *pki.Source
		why        string
	}{
		{"of another authority", "ssl:", stranger, "certificate signed by unknown authority"},
		{"without TLS", "tcp:", own, "first record does not look like a TLS handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, target := ovs.ListenTCP()
			said := &logged{}
			server := issue(pki.Controller("c1")).Server(tls.RequireAndVerifyClientCert)
			sessions := serve(t, l, datapath.Options{Log: slog.New(slog.NewTextHandler(said, nil)), TLS: server})
			ovs.VSCtl("set-ssl", c.shows.File(), c.shows.File(), own.AuthorityFile())
			ovs.AddBridge("br-test", c.kind+target)
			defer ovs.VSCtl("del-br", "br-test")
			for ctx := deadline(t); !strings.Contains(said.String(), c.why); {
				if ctx.Err() != nil {
					t.Fatalf("the log does not say %q: %s", c.why, said)
				}
				time.Sleep(5 * time.Millisecond)
			}
			if len(sessions.sessions) > 0 {
				t.Error("it became a session")
			}
		})
	}
}

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// poseAsController takes one session, and returns why the switch refused it; nil: it did not.
func poseAsController(l net.Listener, config *tls.Config) error {
	plain, err := l.Accept()
	if err != nil {
		return err
	}
	conn := tls.Server(plain, config)
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := conn.Handshake(); err != nil {
		return err
	}
	hello := make([]byte, openflow.HeaderLength) // TLS 1.3: the server is done before it hears that it was refused
	if _, err := conn.Read(hello); err != nil {
		return err
	}
	return nil
}
