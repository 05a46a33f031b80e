package datapath_test

import (
	"crypto/tls"
	"testing"
	"time"

	"sluice/datapath"
	"sluice/datapath/ovstest"
	"sluice/pki"
)

// A switch that is busy says nothing and is waited for, since its machine takes what is sent; one
// that was cut off without a word is given up long before.
func TestCutOffIsNoticed(t *testing.T) {
	const filter = "add table inet cut; add chain inet cut in { type filter hook input priority 0; policy drop; }"
	for _, c := range []struct {
		name    string
		cut     []string
		secured bool
	}{
		{"packets vanish", []string{"nft", filter}, false},
		{"packets of TLS vanish", []string{"nft", filter}, true},
		{"there is no way any more", []string{"ip", "link", "set", "lo", "down"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ovs := ovstest.Start(t)
			l, at := ovs.ListenTCP()
			o := datapath.Options{Log: testLog(t), EchoInterval: 100 * time.Millisecond, AckTime: time.Second, Patience: patience}
			_, issue := authority(t)
			target := "tcp:" + at
			if c.secured {
				o.TLS, target = issue(pki.Controller("c1")).Server(tls.RequireAndVerifyClientCert), "ssl:"+at
			}
			sessions := serve(t, l, o)
			ensureSwitch(t, dialDatabase(t, ovs), issue(pki.Host("h1")), target)
			s := sessions.next(t)

			ovs.PauseSwitch()
			time.Sleep(3 * o.AckTime)
			ovs.ResumeSwitch()
			if _, err := s.Ports(deadline(t)); err != nil {
				t.Fatalf("a switch that was busy: %v", err)
			}
			ovs.Exec(c.cut...)
			ended(t, s, "the way to it is cut")
		})
	}
}
