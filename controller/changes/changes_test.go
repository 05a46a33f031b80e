package changes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/controller/cluster"
	"sluice/store"
)

// window is a window of tenants and ports that keeps so many changes, after a first batch at revision 10.
func window(most int) *Window {
	w := New(store.KindTenant, store.KindPort)
	w.most = most
	w.tell(10, store.TenantKey("old"))
	return w
}

// tell tells of one batch with a change of each key.
func (w *Window) tell(rev store.Revision, keys ...store.Key) {
	b := store.Batch{Revision: rev}
	for _, key := range keys {
		b.Events = append(b.Events, store.Event{Key: key, Modified: rev})
	}
	w.Observe(cluster.Update{Batch: b})
}

// told is the look after a revision as text: "11 a b | 12 c, up to 12".
func (w *Window) told(t *testing.T, rev store.Revision) string {
	t.Helper()
	look, err := w.After(rev)
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, b := range look.Batches {
		part := fmt.Sprint(b.Revision)
		for _, e := range b.Events {
			part += " " + e.Key.Tenant
		}
		parts = append(parts, part)
	}
	return fmt.Sprintf("%s, up to %d", strings.Join(parts, " | "), look.UpTo)
}

func TestEachSeesWhatHappenedAfterItsRevision(t *testing.T) {
	w := window(4)
	check := func(rev store.Revision, want string) {
		t.Helper()
		if got := w.told(t, rev); got != want {
			t.Errorf("after %d: %q, not %q", rev, got, want)
		}
	}
	check(10, ", up to 10")
	w.tell(11, store.TenantKey("a"), store.TenantKey("b"))
	w.tell(12, store.MasterKey("h1"))
	check(10, "11 a b, up to 12")
	check(11, ", up to 12")
	check(12, ", up to 12")
	check(99, ", up to 99") // another controller told it; this one will get there
	check(9, "the changes after revision 9 are not kept any more, only those after 10: begin anew without a revision")
	w.tell(13, store.TenantKey("c"), store.MasterKey("h1"))
	w.tell(14, store.TenantKey("d"))
	check(11, "13 c | 14 d, up to 14")
	check(10, "11 a b | 13 c | 14 d, up to 14") // 4 are kept
	w.tell(15, store.TenantKey("e"))
	check(11, "13 c | 14 d | 15 e, up to 15")
	if _, err := w.After(10); !errors.As(err, new(GoneError)) || !strings.Contains(err.Error(), "only those after 11") {
		t.Errorf("after 10: %v", err)
	}
	w.tell(20, slices.Repeat([]store.Key{store.TenantKey("f")}, 5)...) // more than are kept, in one transaction
	check(20, ", up to 20")
	check(19, "the changes after revision 19 are not kept any more, only those after 20: begin anew without a revision")
}

// A look is bounded, and never ends within a batch.
func TestManyChangesComeInParts(t *testing.T) {
	w := window(most)
	w.tell(11, slices.Repeat([]store.Key{store.TenantKey("a")}, perLook+1)...)
	w.tell(12, slices.Repeat([]store.Key{store.TenantKey("b")}, perLook-1)...)
	w.tell(13, store.TenantKey("c"))
	w.tell(14, store.TenantKey("d"))
	var parts []string
	for rev := store.Revision(10); rev < 14; {
		look, err := w.After(rev)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range look.Batches {
			parts = append(parts, fmt.Sprint(b.Revision, "x", len(b.Events)))
		}
		parts, rev = append(parts, "|"), look.UpTo
	}
	want := []string{fmt.Sprint("11x", perLook+1), "|", fmt.Sprint("12x", perLook-1), "13x1", "|", "14x1", "|"}
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], " ", "")
	}
	if !slices.Equal(parts, want) {
		t.Errorf("parts are %v, not %v", parts, want)
	}
}

func TestNewsWakes(t *testing.T) {
	w := window(4)
	look, err := w.After(10)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-look.News:
		t.Fatal("woken by nothing")
	default:
	}
	w.tell(11, store.TenantKey("a"))
	<-look.News
}
