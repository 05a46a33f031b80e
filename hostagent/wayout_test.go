package hostagent

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
)

// A way out is cut after a second without answers, and open again after three seconds with them: each letter is a ping,
// answered (a) or not (-); a capital one says that it is cut then.
func TestPulse(t *testing.T) {
	for _, tt := range []struct{ what, pings string }{
		{"all is well", "aaaaaaaa"},
		{"some are lost", "aa----aa---a----aaa"},
		{"it is cut", "aa-----=====AAAAAAAAAAAAAAa"},
		{"never answered", "-----==="},
		{"it comes and goes", "-----=AAAAAAAAAAAAAA======AAAAAAAAAAAAAAa-----="},
		{"one is lost while it comes back", "-----=AAAAAAA=AAAAAAAa"},
	} {
		var p pulse
		for i, c := range tt.pings {
			was := p.cut
			changed := p.sent()
			if c == 'a' || c == 'A' {
				changed = p.answered() || changed
			}
			if want := c == '=' || c == 'A'; p.cut != want || changed != (was != want) {
				t.Errorf("%s: after %q: %+v, changed %t", tt.what, tt.pings[:i+1], p, changed)
			}
		}
	}
}

// Only answers of the address that was asked, to this process, count.
func TestWayOutHearsItsAnswers(t *testing.T) {
	w := &wayOut{target: netip.MustParseAddr("192.0.2.1")}
	message := func(kind icmp.Type, id int) []byte {
		b, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: id}}).Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	own := os.Getpid() & 0xffff
	from := func(a string) net.Addr { return &net.IPAddr{IP: net.ParseIP(a)} }
	for _, tt := range []struct {
		b    []byte
		from string
		want bool
	}{
		{message(ipv4.ICMPTypeEchoReply, own), "192.0.2.1", true},
		{message(ipv4.ICMPTypeEchoReply, own), "192.0.2.2", false},
		{message(ipv4.ICMPTypeEchoReply, own^1), "192.0.2.1", false},
		{message(ipv4.ICMPTypeEcho, own), "192.0.2.1", false},
		{[]byte{0}, "192.0.2.1", false},
	} {
		if got := w.answers(tt.b, from(tt.from)); got != tt.want {
			t.Errorf("%x from %s: %t", tt.b, tt.from, got)
		}
	}
}

// A cut is a problem of the host while it lasts; who asks nobody is never cut.
func TestWayOutIsTold(t *testing.T) {
	told := 0
	w := &wayOut{target: netip.MustParseAddr("192.0.2.1"), problems: newProblems(slog.New(slog.DiscardHandler)), changed: func() { told++ }}
	for range cutAfter + 3 {
		w.note((*pulse).sent)
	}
	if !w.isCut() || told != 1 || w.problems.first(wayOutProblem) == "" {
		t.Errorf("cut %t, told %d times, problems %v", w.isCut(), told, w.problems.list())
	}
	for range openAfter {
		w.note((*pulse).sent)
		w.note((*pulse).answered)
	}
	if w.isCut() || told != 2 || len(w.problems.list()) > 0 {
		t.Errorf("cut %t, told %d times, problems %v", w.isCut(), told, w.problems.list())
	}
	if newWayOut(Options{Gateway: true}, nil, nil).isCut() || newWayOut(Options{ProbeOutside: w.target}, nil, nil) != nil {
		t.Error("who asks nobody is cut, or who is no gateway host asks")
	}
}
