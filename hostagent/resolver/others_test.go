package resolver

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// A name of another tenant is answered as one that nobody has, to the byte and by as much work: neither what an error says
// nor how long it takes tells that it is there.
func TestOthersNamesAreAsIfAbsent(t *testing.T) {
	c := newCluster() // in which secret is bob's
	from := netip.MustParseAddr("10.0.0.11")
	for _, pair := range [][2]string{
		{"secret.", "absent."}, {"secret.bob.sluice.", "absent.bob.sluice."}, {"secret.default.bob.sluice.", "secret.default.bib.sluice."},
	} {
		answer := func(name string) (text string, size int, allocations float64) {
			m := c.names.local("alice", from, for4(name))
			if m == nil {
				t.Fatalf("%s is asked for outside", name)
			}
			packed, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			m.Id, m.Question = 0, nil
			return m.String(), len(packed), testing.AllocsPerRun(100, func() { c.names.local("alice", from, for4(name)) })
		}
		there, size, work := answer(pair[0])
		absent, otherSize, otherWork := answer(pair[1])
		if diff := cmp.Diff(absent, there); diff != "" || size != otherSize || work != otherWork {
			t.Errorf("%s and %s: %d and %d bytes, %v and %v allocations; -absent +there\n%s", pair[0], pair[1], size, otherSize, work, otherWork, diff)
		}
	}
}

// BenchmarkOthersName is how long each of the two takes.
func BenchmarkOthersName(b *testing.B) {
	c, from := newCluster(), netip.MustParseAddr("10.0.0.11")
	for _, name := range []string{"secret.bob.sluice.", "absent.bob.sluice."} {
		b.Run(name, func(b *testing.B) {
			q := new(dns.Msg).SetQuestion(name, dns.TypeA)
			for b.Loop() {
				c.names.local("alice", from, q)
			}
		})
	}
}
