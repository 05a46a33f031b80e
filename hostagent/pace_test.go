package hostagent

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"sluice/hostagent/api"
	"sluice/store"
)

// A tenant makes a burst of ports, then waits for each, and is refused where the wait is too long.
// Others make theirs meanwhile.
func TestPace(t *testing.T) {
	p := newPace()
	gone, cancel := context.WithCancel(t.Context())
	cancel() // so that whoever would wait says so at once
	slow := store.Limits{NewPorts: 1}
	for i := range paceBurst {
		if err := p.take(t.Context(), "greedy", slow); err != nil {
			t.Fatalf("port %d of the burst: %v", i, err)
		}
	}
	waiting := 0
	var err error
	for err = p.take(gone, "greedy", slow); errors.Is(err, context.Canceled); err = p.take(gone, "greedy", slow) {
		waiting++
		if waiting < 100 {
			p.of("greedy", slow).Reserve() // one that goes on waiting
			continue
		}
		break
	}
	var refused *api.Problem
	if !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests || !strings.Contains(err.Error(), "tenant greedy: it makes more than 1 ports a second") {
		t.Errorf("after %d that wait: %v, want a refusal that names tenant and limit", waiting, err)
	}
	if want := int(pacePatience.Seconds()); waiting < want-1 || waiting > want {
		t.Errorf("%d ports wait for their turn, want about %d", waiting, want)
	}
	if err := p.take(t.Context(), "other", slow); err != nil {
		t.Errorf("another tenant's port: %v", err)
	}
	if err := p.take(t.Context(), "greedy", store.Limits{NewPorts: 1000}); err != nil {
		t.Errorf("with another limit: %v", err)
	}
}
