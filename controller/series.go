package controller

import "github.com/prometheus/client_golang/prometheus"

// A host's own series begin when it is first mastered, and end with it.

func (s *session) startSeries() {
	s.ifRegistered(func() { s.c.metrics.AddHost(s.host.name) })
}

// count adds to the host's series that has the further labels.
func (s *session) count(series *prometheus.CounterVec, n int, labels ...string) {
	s.ifRegistered(func() {
		series.WithLabelValues(append([]string{s.host.name}, labels...)...).Add(float64(n))
	})
}

// ifRegistered calls f unless the host was deleted: a session that is about to end must not
// begin series that nobody would end.
func (s *session) ifRegistered(f func()) {
	s.c.mu.RLock()
	defer s.c.mu.RUnlock()
	if s.c.hosts[s.host.name] == s.host {
		f()
	}
}
