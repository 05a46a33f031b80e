package lead

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/store"
)

// ExtendChain is noted apart from the other calls: it comes each minute, whatever else happens.
func (r *recorder) ExtendChain(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stamps = append(r.stamps, time.Since(r.Start))
	return r.errs["stamp"]
}

// The store is stamped at once when a controller begins to lead, and each minute while it does.
func TestTheLeaderStampsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := run(t)
		l.apply()
		l.Until(90 * time.Second)
		l.elect(true)
		l.Until(200 * time.Second)
		l.elect(false)
		l.Until(300 * time.Second)
		if diff := cmp.Diff([]time.Duration{90 * time.Second, 2 * time.Minute, 3 * time.Minute}, l.stamps); diff != "" {
			t.Errorf("stamped at (-want +got):\n%s", diff)
		}
		l.stop()
	})
}

// A stamp that fails is said, and tried again; not where a later leader was faster.
func TestStampFails(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{fmt.Errorf("extend: %w", store.ErrUnavailable), "cannot stamp the store"},
		{fmt.Errorf("extend: %w", store.ErrConflict), ""},
		{context.Canceled, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := run(t)
			l.apply()
			l.fails("stamp", c.err)
			l.elect(true)
			if said := l.log.String(); strings.Contains(said, "stamp") != (c.says != "") || !strings.Contains(said, c.says) {
				t.Errorf("%v: it says %q", c.err, said)
			}
			l.fails("stamp", nil)
			l.Until(time.Minute)
			if len(l.stamps) != 2 || errors.Is(l.errs["stamp"], c.err) {
				t.Errorf("%v: stamped at %v", c.err, l.stamps)
			}
			l.stop()
		})
	}
}
