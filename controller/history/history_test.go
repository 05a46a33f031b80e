package history

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice/store"
)

// asked is a store that notes which revisions were read, and has a tenant since revision 10.
type asked struct{ revisions []store.Revision }

func (a *asked) At(_ context.Context, rev store.Revision) (store.Batch, error) {
	a.revisions = append(a.revisions, rev)
	if rev > 90 {
		return store.Batch{}, store.ErrNoHistory
	}
	b := store.Batch{Revision: rev}
	if rev >= 10 {
		b.Events = []store.Event{{Key: store.TenantKey("alice"), Object: &store.Tenant{Number: 1}, Created: 10, Modified: 10}}
	}
	return b, nil
}

// revisions are those whose states are kept.
func (r *Reader) revisions() (list []store.Revision) {
	synctest.Wait() // for what forgets them
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.states {
		list = append(list, p.state.Revision())
	}
	return list
}

// The last two that were looked at are not read again, until nobody looked at them for a minute.
func TestFewStatesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		r := New(a)
		for _, rev := range []store.Revision{9, 10, 9, 10, 11, 10, 9} {
			s, err := r.At(t.Context(), rev)
			if err != nil || s.Revision() != rev || (s.Tenant("alice") != nil) != (rev >= 10) {
				t.Errorf("at %d: %v, %v", rev, s.Revision(), err)
			}
		}
		if want := []store.Revision{9, 10, 11, 9}; !slices.Equal(a.revisions, want) {
			t.Errorf("read %v, not %v", a.revisions, want)
		}
		for range 3 { // 9 is looked at again and again, 10 is not
			time.Sleep(keeps / 2)
			if _, err := r.At(t.Context(), 9); err != nil {
				t.Error(err)
			}
		}
		if kept := r.revisions(); !slices.Equal(kept, []store.Revision{9}) {
			t.Errorf("%v are kept", kept)
		}
		time.Sleep(keeps + 1)
		if kept := r.revisions(); len(kept) != 0 {
			t.Errorf("%v are kept when nobody looks", kept)
		}
	})
}

func TestWhatCannotBeReadIsNotKept(t *testing.T) {
	r := New(&asked{})
	if _, err := r.At(t.Context(), 91); !errors.Is(err, store.ErrNoHistory) || len(r.states) != 0 {
		t.Errorf("%v, and %d states", err, len(r.states))
	}
}
