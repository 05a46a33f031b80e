package web

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"sluice/metrics/overtime"
)

// Bounds of what is kept of Prometheus's answers: for how long one answers for now, and how many there are.
const (
	pastTime = 15 * time.Second
	pastKept = 256
)

// past keeps what Prometheus answered, that it was away included, so that it is asked no more because more people look.
// Its zero value keeps nothing yet.
type past struct {
	asked singleflight.Group

	mu   sync.Mutex
	kept map[question]pastAnswer
	last time.Time // when it answered
}

// question is what Prometheus is asked.
type question struct {
	tenant string
	since  time.Duration
}

type pastAnswer struct {
	at     time.Time
	course overtime.Course
	err    error
}

// ask answers a question by what is kept, or by asking once for all who wait. Nobody's leaving ends it for the others.
func (m *past) ask(ctx context.Context, q question, f asker) (overtime.Course, error) {
	if a, fresh := m.fresh(q, time.Now()); fresh {
		return a.course, a.err
	}
	found, _, _ := m.asked.Do(fmt.Sprint(q.tenant, " ", q.since), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
		defer cancel()
		now := time.Now()
		course, err := f(ctx, q.tenant, q.since, now)
		a := pastAnswer{time.Now(), course, err}
		m.keep(q, a)
		return a, nil
	})
	a := found.(pastAnswer)
	return a.course, a.err
}

func (m *past) fresh(q question, now time.Time) (pastAnswer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, kept := m.kept[q]
	return a, kept && now.Sub(a.at) < pastTime
}

func (m *past) keep(q question, a pastAnswer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil || len(m.kept) >= pastKept {
		m.kept = map[question]pastAnswer{}
	}
	m.kept[q] = a
	if a.err == nil {
		m.last = a.at
	}
}

// answered is when Prometheus answered last; zero: it did not.
func (m *past) answered() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}
