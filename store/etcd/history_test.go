package etcd

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/etcd/freeport"
)

// What was is told as it was, with what is deleted by now, and nothing of what came later.
func TestAt(t *testing.T) {
	c, ctx := start(t), testContext(t)
	first, err := c.CreateTenant(ctx, store.TenantSpec{Name: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateTenant(ctx, store.TenantSpec{Name: "bob"}); err != nil {
		t.Fatal(err)
	}
	last, err := c.DeleteTenant(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	at := func(rev store.Revision) (names []string) {
		t.Helper()
		batch, err := c.At(ctx, rev)
		if err != nil || batch.Revision != rev {
			t.Fatalf("at %d: %+v, %v", rev, batch, err)
		}
		for _, e := range batch.Events {
			names = append(names, e.Key.Short())
		}
		return names
	}
	for rev, want := range map[store.Revision][]string{
		first - 1: nil, first: {"tenants/alice", "networks/alice/default"}, last - 1: {"tenants/alice", "tenants/bob", "networks/alice/default", "networks/bob/default"},
		last: {"tenants/bob", "networks/bob/default"},
	} {
		if got := at(rev); !slices.Equal(got, want) {
			t.Errorf("at %d: %v, not %v", rev, got, want)
		}
	}
	for _, rev := range []store.Revision{0, -3} {
		if _, err := c.At(ctx, rev); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("at %d: %v", rev, err)
		}
	}
	if _, err := c.At(ctx, last+1); !errors.Is(err, store.ErrNoHistory) || !strings.Contains(err.Error(), "etcd is at revision "+strconv.Itoa(int(last))) {
		t.Errorf("a revision to come: %v", err)
	}
	if _, err := c.etcd.Compact(ctx, int64(last-1)); err != nil {
		t.Fatal(err)
	}
	if got := at(last - 1); len(got) != 4 {
		t.Errorf("at the first that is left: %v", got)
	}
	if _, err := c.At(ctx, first); !errors.Is(err, store.ErrNoHistory) || !strings.Contains(err.Error(), "goes back to revision "+strconv.Itoa(int(last-1))+":") || !strings.Contains(err.Error(), "--keep-history") {
		t.Errorf("a revision that is gone: %v", err)
	}
}

func TestHistoryIsKeptForAsLongAsIsSaid(t *testing.T) {
	for said, want := range map[time.Duration]string{0: "10m0s", 24 * time.Hour: "24h0m0s"} {
		config, err := EmbedOptions{Dir: t.TempDir(), ClientURL: freeport.URL(t), PeerURL: freeport.URL(t), History: said}.config(&gate{})
		if err != nil || config.AutoCompactionRetention != want || config.AutoCompactionMode != "periodic" {
			t.Errorf("%v: %s %s, %v", said, config.AutoCompactionMode, config.AutoCompactionRetention, err)
		}
	}
}
