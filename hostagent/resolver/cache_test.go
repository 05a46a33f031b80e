package resolver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func reply(r *dns.Msg, rcode int, records ...string) *dns.Msg {
	m := new(dns.Msg).SetRcode(r, rcode)
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

func TestHowLongAnswersAreKept(t *testing.T) {
	r := for4("www.example.com.")
	cut := reply(r, dns.RcodeSuccess, "www.example.com. 60 A 203.0.113.1")
	cut.Truncated = true
	for about, x := range map[string]struct {
		m    *dns.Msg
		want time.Duration
	}{
		"as it says":          {reply(r, dns.RcodeSuccess, "www.example.com. 60 A 203.0.113.1"), time.Minute},
		"the least":           {reply(r, dns.RcodeSuccess, "www.example.com. 60 CNAME a.", "a. 7 A 203.0.113.1"), 7 * time.Second},
		"not for ever":        {reply(r, dns.RcodeSuccess, "www.example.com. 86400 A 203.0.113.1"), longest},
		"an absence":          {reply(r, dns.RcodeNameError, "example.com. 3600 SOA a. b. 1 2 3 4 30"), 30 * time.Second},
		"by the SOA's own":    {reply(r, dns.RcodeNameError, "example.com. 20 SOA a. b. 1 2 3 4 30"), 20 * time.Second},
		"an absence for long": {reply(r, dns.RcodeSuccess, "example.com. 3600 SOA a. b. 1 2 3 4 3600"), longestAbsence},
		"without authority":   {reply(r, dns.RcodeNameError), 0},
		"a failure":           {reply(r, dns.RcodeServerFailure, "www.example.com. 60 A 203.0.113.1"), 0},
		"a part":              {cut, 0},
	} {
		if got := lifetime(x.m); got != x.want {
			t.Errorf("%s: %s, want %s", about, got, x.want)
		}
	}
}

func TestCache(t *testing.T) {
	now := time.Unix(0, 0)
	c := newCache(func() time.Time { return now })
	r := for4("www.example.com.")
	c.put(r, reply(r, dns.RcodeSuccess, "www.example.com. 60 A 203.0.113.1"))
	ttl := func(r *dns.Msg) string {
		m := c.get(r)
		if m == nil {
			return "unknown"
		}
		return fmt.Sprint(m.Answer[0].Header().Ttl)
	}
	want := func(about string, r *dns.Msg, want string) {
		t.Helper()
		if got := ttl(r); got != want {
			t.Errorf("%s: %s, want %s", about, got, want)
		}
	}
	want("at once", r, "60")
	c.get(r).Answer[0].Header().Ttl = 1 // the copy is the caller's
	now = now.Add(20 * time.Second)
	want("later", r, "40")
	want("whatever its case", for4("WWW.example.com."), "40")
	want("another type", new(dns.Msg).SetQuestion("www.example.com.", dns.TypeAAAA), "unknown")
	want("with signatures", for4("www.example.com.").SetEdns0(1232, true), "unknown")
	want("another name", for4("example.com."), "unknown")
	now = now.Add(40 * time.Second)
	want("too late", r, "unknown")
	if len(c.kept) != 0 {
		t.Error("what is too old is kept")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(time.Now)
	for i := range mostCached + 10 {
		r := for4(fmt.Sprintf("n%d.example.com.", i))
		c.put(r, reply(r, dns.RcodeSuccess, fmt.Sprintf("n%d.example.com. 60 A 203.0.113.1", i)))
	}
	if len(c.kept) != mostCached {
		t.Errorf("%d are kept, want %d", len(c.kept), mostCached)
	}
	large := for4("large.example.com.")
	text := `large.example.com. 60 TXT` + strings.Repeat(` "`+strings.Repeat("x", 250)+`"`, 20)
	c.put(large, reply(large, dns.RcodeSuccess, text))
	if c.get(large) != nil {
		t.Error("a large one is kept")
	}
}

func TestUpstreamServers(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.53": "192.0.2.53:53", "192.0.2.53:5353": "192.0.2.53:5353", "2001:db8::53": "[2001:db8::53]:53", "[2001:db8::53]:5353": "[2001:db8::53]:5353",
		"none": "", "dns.example.com": "error", "": "error", "192.0.2.53:": "error",
	} {
		u, err := NewUpstream([]string{text})
		got := "error"
		if err == nil {
			servers, _ := u.asked()
			got = strings.Join(servers, " ")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// The host's own resolv.conf counts as it is now. What it says of search domains does not: see TestWhatUpstreamIsAsked.
func TestUpstreamOfTheHost(t *testing.T) {
	u, err := NewUpstream(nil)
	if err != nil || u.file != resolvConf {
		t.Fatalf("file %s, %v", u.file, err)
	}
	u.file = filepath.Join(t.TempDir(), "resolv.conf")
	if _, err := u.asked(); err == nil {
		t.Error("a file that is not there says who resolves")
	}
	write := func(text string, at time.Time) {
		if err := os.WriteFile(u.file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(u.file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i, x := range []struct{ text, want string }{
		{"nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch corp.example\n", "192.0.2.1:53 [2001:db8::1]:53"},
		{"nameserver 192.0.2.2\n", "192.0.2.2:53"},
	} {
		write(x.text, time.Unix(int64(i+1), 0))
		for range 2 {
			got, err := u.asked()
			if diff := cmp.Diff(x.want, strings.Join(got, " ")); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		}
	}
}
