package hostagent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestJournalOverRestart walks an intent through the fates that an attach can have.
func TestJournalOverRestart(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	acknowledged := intent{UID: "aaaaaaaaaaaa", Tenant: "alice", Network: "default", Name: "a1"}
	failed := intent{UID: "bbbbbbbbbbbb", Tenant: "alice", Network: "default", Name: "a2"}
	crashed := intent{UID: "cccccccccccc", Tenant: "bob", Network: "default", Name: "b1"}
	for _, i := range []intent{acknowledged, failed, crashed} {
		if err := j.begin(i); err != nil {
			t.Fatal(err)
		}
	}
	expectAbandoned(t, j)

	if err := j.done(acknowledged.UID); err != nil {
		t.Fatal(err)
	}
	j.abandon(failed.UID)
	expectAbandoned(t, j, failed)
	if held := j.held(); !held[crashed.UID] || len(held) != 1 {
		t.Errorf("held %v, want only %s", held, crashed.UID)
	}

	expectAbandoned(t, open(t, dir), failed, crashed) // after a crash
}

func open(t *testing.T, dir string) *journal {
	t.Helper()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func expectAbandoned(t *testing.T, j *journal, want ...intent) {
	t.Helper()
	got, err := j.abandoned()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("abandoned intents: -want +got\n%s", diff)
	}
}

func TestIdentityIsKept(t *testing.T) {
	dir := t.TempDir()
	first, err := loadIdentity(dir, "h1")
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadIdentity(dir, "h1")
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("after a restart %+v, before %+v", second, first)
	}
	other, err := loadIdentity(t.TempDir(), "h1")
	if err != nil {
		t.Fatal(err)
	}
	if other.incarnation == first.incarnation || other.datapath != first.datapath {
		t.Errorf("a host set up anew: %+v, want another incarnation and the datapath id of %+v", other, first)
	}
	if elsewhere := datapathID("h2"); elsewhere == first.datapath {
		t.Errorf("hosts h1 and h2 share datapath id %s", elsewhere)
	}
}

func TestStateDirHasOneAgent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "state")
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state directory: mode %v, error %v; want it for its owner alone", info.Mode(), err)
	}
	if _, err := lockDir(dir); err == nil {
		t.Error("a second agent got the state directory")
	}
	unlock()
	again, err := lockDir(dir)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	again()
}
