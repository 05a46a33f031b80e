package resolver

import (
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// mostCached is how many answers are kept for one tenant, and mostBytes how large one may be.
	mostCached = 1000
	mostBytes  = 4096
	// longest and longestAbsence bound how long an answer is kept, and that there is no such name.
	longest        = 5 * time.Minute
	longestAbsence = time.Minute
)

// cache is what upstream answered one tenant. It is safe for concurrent use. A tenant has its own, so that nobody
// learns by a fast answer what another asked for.
type cache struct {
	now func() time.Time

	mu   sync.Mutex
	kept map[cached]*kept
}

// cached is a question.
type cached struct {
	name    string
	kind    uint16
	secured bool // with signatures
}

// kept is its answer.
type kept struct {
	answer       *dns.Msg
	since, until time.Time
}

func newCache(now func() time.Time) *cache { return &cache{now: now, kept: map[cached]*kept{}} }

func keyOf(r *dns.Msg) cached {
	opt := r.IsEdns0()
	return cached{dns.CanonicalName(r.Question[0].Name), r.Question[0].Qtype, opt != nil && opt.Do() || r.CheckingDisabled}
}

// get is the answer to a question, if it is known; it is the caller's.
func (c *cache) get(r *dns.Msg) *dns.Msg {
	c.mu.Lock()
	defer c.mu.Unlock()
	key, now := keyOf(r), c.now()
	k := c.kept[key]
	if k == nil {
		return nil
	}
	if !now.Before(k.until) {
		delete(c.kept, key)
		return nil
	}
	m := k.answer.Copy()
	aged(m, uint32(now.Sub(k.since)/time.Second))
	return m
}

// aged takes from the records' times what has passed.
func aged(m *dns.Msg, seconds uint32) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				h.Ttl -= min(h.Ttl, seconds)
			}
		}
	}
}

// put keeps an answer as long as it says; where there is no room another one goes.
func (c *cache) put(r, answer *dns.Msg) {
	lives := lifetime(answer)
	if lives <= 0 || answer.Len() > mostBytes {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= mostCached {
		for any := range c.kept {
			delete(c.kept, any)
			break
		}
	}
	now := c.now()
	c.kept[keyOf(r)] = &kept{answer: answer.Copy(), since: now, until: now.Add(lives)}
}

// lifetime is how long an answer may be kept; 0: not at all.
func lifetime(m *dns.Msg) time.Duration {
	if m.Truncated || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return 0
	}
	if len(m.Answer) == 0 {
		return absence(m)
	}
	least := longest
	for _, rr := range m.Answer {
		least = min(least, time.Duration(rr.Header().Ttl)*time.Second)
	}
	return least
}

// absence is how long may be believed that there is nothing (RFC 2308, 5).
func absence(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(longestAbsence, time.Duration(min(soa.Hdr.Ttl, soa.Minttl))*time.Second)
		}
	}
	return 0
}
