package hostagent

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sluice/hostagent/api"
	"sluice/store"
)

const (
	// paceBurst is how many seconds' worth of new ports a tenant may make at once, as when a machine starts.
	paceBurst = 10
	// pacePatience is how long an attach waits for its tenant's turn; past it, it is refused.
	pacePatience = 5 * time.Second
)

// pace spaces the ports that each tenant makes on this host: each is work for etcd, for the
// controller and for the switches of all hosts of the tenant, which serve the others too.
type pace struct {
	mu      sync.Mutex
	tenants map[string]*rate.Limiter
}

func newPace() *pace { return &pace{tenants: make(map[string]*rate.Limiter)} }

// take waits until the tenant may make one more port. It refuses where that is too far away.
func (p *pace) take(ctx context.Context, tenant string, l store.Limits) error {
	turn := p.of(tenant, l).Reserve()
	delay := turn.Delay()
	if delay > pacePatience {
		turn.Cancel()
		return api.NewProblem(http.StatusTooManyRequests,
			"tenant %s: it makes more than %d ports a second on this host: try again in %s, or raise the limit of new ports (sluice tenant set %s --limit-new-ports NUMBER)",
			tenant, l.MaxNewPorts(), delay.Round(time.Second), tenant)
	}
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		turn.Cancel()
		return fmt.Errorf("wait for a turn to make a port of tenant %s: %w", tenant, ctx.Err())
	}
}

// of is the tenant's limiter, with its limit of now.
func (p *pace) of(tenant string, l store.Limits) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	per, burst := rate.Limit(l.MaxNewPorts()), paceBurst*l.MaxNewPorts()
	limiter := p.tenants[tenant]
	switch {
	case limiter == nil:
		limiter = rate.NewLimiter(per, burst)
		p.tenants[tenant] = limiter
	case limiter.Limit() != per:
		limiter.SetLimit(per)
		limiter.SetBurst(burst)
	}
	return limiter
}
