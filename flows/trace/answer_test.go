package trace

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/golden"
)

var update = flag.Bool("update", false, "write golden files anew")

// questions are asked of the lab; testdata/answers.txt holds the answers.
var questions = []string{
	"alice/web-1 10.0.0.7 tcp dport=80",
	"alice/default/web-1 alice/db/db-1",
	"alice/web-1 alice/db/web-2 udp sport=53 dport=5353",
	"alice/web-1 fd00::7 tcp",
	"alice/web-1 10.0.0.1",
	"alice/web-1 fd00::1",
	"alice/web-1 10.0.0.7 arp",
	"alice/web-1 fd00::7 arp",
	"alice/web-1 10.0.0.99",
	"alice/web-1 10.0.0.99 arp",
	"alice/web-1 fd00::99",
	"alice/web-1 10.0.1.99",
	"alice/web-1 10.0.1.2 ttl=1",
	"alice/web-1 bob/b-3",
	"alice/web-1 bob/web-9",
	"alice/web-1 10.0.0.255 udp",
	"alice/web-1 224.0.0.9 udp",
	"alice/web-1 8.8.8.8 tcp dport=443",
	"alice/default/web-2 8.8.8.8 udp dport=53",
	"alice/web-1 8.8.8.8 tcp dport=443 state=established",
	"alice/web-1 8.8.8.8 state=established",
	"alice/web-1 8.8.8.8 tcp state=related",
	"alice/web-1 8.8.8.8 tcp state=invalid",
	"alice/web-1 172.30.0.2 tcp dport=22",
	"alice/web-1 169.254.169.254 tcp",
	"alice/web-1 100.64.0.9",
	"alice/web-1 2001:db8::1",
	"alice/web-1 alice/default/web-2 tcp state=established",
	"alice/default/web-2 alice/web-1 tcp state=reply dport=80",
	"alice/db-1 alice/default/web-2 udp state=related",
	"alice/web-1 alice/default/web-2 47",
	"carol/c-1 8.8.8.8",
	"outside alice/web-1 tcp sport=443",
	"outside alice/web-1 tcp sport=443 state=reply",
	"8.8.8.8 alice/default/web-2 udp sport=53 state=established",
	"outside alice/web-1 state=related",
	"outside 100.64.0.7 tcp dport=22",
	"outside 100.64.0.7 tcp dport=22 state=invalid",
	"outside bob/b-3 tcp state=reply",
}

// ask reads a question as the tests write it.
func question(t *testing.T, text string) Question {
	t.Helper()
	words := strings.Fields(text)
	q := Question{From: words[0], To: words[1]}
	for _, w := range words[2:] {
		name, value, given := strings.Cut(w, "=")
		n, err := strconv.ParseUint(value, 10, 16)
		switch {
		case !given:
			q.Proto = w
		case name == "state":
			q.State = State(value)
		case err != nil:
			t.Fatal(err)
		case name == "sport":
			q.SrcPort = uint16(n)
		case name == "dport":
			q.DstPort = uint16(n)
		default:
			q.TTL = uint8(n)
		}
	}
	return q
}

func TestAnswers(t *testing.T) {
	l := newLab(t)
	var b strings.Builder
	for _, text := range questions {
		fmt.Fprintf(&b, "? %s\n%s\n", text, written(l.ask(all, question(t, text))))
	}
	golden.Check(t, "testdata/answers.txt", []byte(b.String()), *update)
}

// written is an answer as a text, without the flows' own.
func written(a Answer) string {
	var b strings.Builder
	for _, w := range a.Before {
		fmt.Fprintf(&b, "before: %s: %s\n", w.About, w.Packet)
		for _, e := range w.Ends {
			fmt.Fprintf(&b, "  %s\n", e.Text)
		}
	}
	fmt.Fprintf(&b, "%s %s to %s: %s\n", a.State, a.From, a.To, a.Packet)
	for _, h := range a.Hops {
		fmt.Fprintf(&b, "  %s, %s: %s\n", h.Host, h.From, h.Packet)
		for _, s := range h.Steps {
			fmt.Fprintf(&b, "    %s%s | %s | %s | %s\n", strings.Repeat("  ", s.Depth), s.TableName, s.Owner, s.Note, strings.Join(s.Did, "; "))
		}
	}
	fmt.Fprintf(&b, "%s: %s\n", a.Verdict, a.Text)
	if a.Reason != "" {
		fmt.Fprintf(&b, "reason: %s; allow: %s\n", a.Reason, a.Allow)
	}
	for _, n := range a.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	if !a.Complete {
		b.WriteString("not complete\n")
	}
	return b.String()
}
