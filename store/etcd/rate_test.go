package etcd

import (
	"fmt"
	"testing"
	"time"

	"sluice/pki"
	"sluice/store"
)

// BenchmarkConfined creates and deletes ports in turns: over TLS as a host that etcd confines, and in
// the clear. It reports how long the one takes in terms of the other.
func BenchmarkConfined(b *testing.B) {
	s := serveSecured(b)
	controller := s.as(pki.Controller("c1"))
	enrol(b, controller, "h1")
	plain := start(b)
	for _, c := range []*Client{controller, plain} {
		createTenant(b, c, store.TenantSpec{Name: "alice", Subnets: prefixes("10.0.0.0/16")})
	}
	confined := s.as(pki.Host("h1"))
	register(b, confined, "h1")
	register(b, plain, "h1")
	took := map[*Client]time.Duration{}
	n := 0
	for b.Loop() {
		for _, c := range []*Client{confined, plain} {
			begin := time.Now()
			for range 10 {
				n++
				p := createPort(b, c, portSpec("h1", "alice", fmt.Sprint("p", n)))
				if _, err := c.DeletePort(b.Context(), p.Key, 0); err != nil {
					b.Fatal(err)
				}
			}
			took[c] += time.Since(begin)
		}
	}
	b.ReportMetric(took[confined].Seconds()/took[plain].Seconds(), "times-plain")
	b.ReportMetric(float64(took[confined].Microseconds())/float64(n/2), "µs/port")
}
