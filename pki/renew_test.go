package pki

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const days = 24 * time.Hour

// TestKeepRenewed lets half a year pass: a certificate is renewed at two thirds of its life, an
// authority that is away is asked again, and one that somebody else renewed is left alone.
func TestKeepRenewed(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a := authorityIn(t, dir)
		must(t, a.Issue(dir, Host("h1"), nil, Lifetime))
		s, err := Open(dir, Host("h1"), slog.New(slog.DiscardHandler))
		must(t, err)
		var asked atomic.Int64
		var away atomic.Bool
		sign := func(ctx context.Context, request []byte) ([]byte, error) {
			asked.Add(1)
			if away.Load() {
				return nil, errors.New("away")
			}
			return a.RenewalOf(s.Certificate())(ctx, request)
		}
		begin := time.Now()
		until := func(day int) {
			t.Helper()
			time.Sleep(time.Until(begin.Add(time.Duration(day) * days)))
			synctest.Wait()
		}
		go s.KeepRenewed(t.Context(), sign)

		first := s.Certificate()
		until(59)
		if n := asked.Load(); n != 0 {
			t.Fatalf("after 59 days it was renewed %d times", n)
		}
		until(61)
		second := s.Certificate()
		if n := asked.Load(); n != 1 || second.Equal(first) || !second.NotAfter.After(first.NotAfter) {
			t.Fatalf("after 61 days it was renewed %d times, and lives until %s", n, second.NotAfter)
		}
		away.Store(true) // the next is due at day 120
		until(125)
		if n := asked.Load(); n < 24 || !s.Certificate().Equal(second) {
			t.Errorf("for 5 days the authority was asked %d times", n-1)
		}
		away.Store(false)
		until(126)
		third := s.Certificate()
		if third.Equal(second) {
			t.Error("not renewed when the authority was back")
		}
		until(150)
		must(t, Renew(t.Context(), dir, Host("h1"), a.RenewalOf(third)))
		before := asked.Load()
		until(200) // 126 + 60 would have been the time
		if n := asked.Load(); n != before {
			t.Errorf("asked %d times though it was renewed by hand", n-before)
		}
	})
}

// TestRenewalSaysTheSame: for whom and under which names does not change.
func TestRenewalSaysTheSame(t *testing.T) {
	dir := t.TempDir()
	a := authorityIn(t, dir)
	for who, names := range map[Identity][]string{
		Host("h1"): nil, Person("alice"): nil, Controller("c1"): {"192.0.2.1", "c1.example", "2001:db8::1"},
	} {
		must(t, a.Issue(dir, who, names, Lifetime))
		old, err := Read(dir, who)
		must(t, err)
		must(t, Renew(t.Context(), dir, who, a.RenewalOf(old)))
		renewed, err := Read(dir, who)
		must(t, err)
		of, err := Of(renewed)
		must(t, err)
		if of != who || !cmp.Equal(renewed.DNSNames, old.DNSNames) || !cmp.Equal(NamesOf(renewed), NamesOf(old)) {
			t.Errorf("%s with names %v became %s with %v", who, NamesOf(old), of, NamesOf(renewed))
		}
		if samePublicKey(old.PublicKey, renewed.PublicKey) {
			t.Errorf("%s has its old key", who)
		}
	}
	list, err := List(dir)
	must(t, err)
	if want := []Identity{Host("h1"), Controller("c1"), Person("alice")}; !cmp.Equal(want, list) {
		t.Errorf("the directory has %v, want %v", list, want)
	}
}
