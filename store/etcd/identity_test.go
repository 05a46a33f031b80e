package etcd

import (
	"errors"
	"testing"

	"sluice/store"
)

// Each stamp stands under its own number, and the chain's end names the newest.
func TestChainGrows(t *testing.T) {
	c := start(t)
	for n := int64(1); n <= 3; n++ {
		if err := c.ExtendChain(testContext(t)); err != nil {
			t.Fatal(err)
		}
		chain := get[store.Chain](t, c, store.ChainKey())
		if stamp := *get[store.Stamp](t, c, store.StampKey(n)); stamp != chain.Newest || stamp.Number != n || len(stamp.Value) < 16 {
			t.Errorf("stamp %+v, chain %+v", stamp, chain)
		}
	}
	if got := len(keysUnder(t, c, "stamps/")); got != 3 {
		t.Errorf("%d stamps", got)
	}
}

// A chain that is long loses the stamp that it keeps no more, in the same transaction.
func TestChainIsPrunedAsItGrows(t *testing.T) {
	c := start(t)
	newest := store.Stamp{Number: 20_000, Value: "x"}
	var pruned []store.Stamp
	for _, s := range append(store.PrunedBy(newest.Number+1), store.Stamp{Number: 19_999, Value: "y"}, newest) {
		if s.Pruned(newest.Number + 1) {
			pruned = append(pruned, s)
		}
		putStamp(t, c, store.StampKey(s.Number), &s)
	}
	putStamp(t, c, store.ChainKey(), &store.Chain{Newest: newest})
	if err := c.ExtendChain(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if got := keysUnder(t, c, "stamps/"); len(pruned) != 1 || len(got) != 3 {
		t.Errorf("stamps %v, without %v", got, pruned)
	}
}

// Of two leaders one stamps: the other fails, and its stamp is not there.
func TestOneStampAtATime(t *testing.T) {
	c := start(t)
	failed := 0
	for _, err := range together(8, func(int) error { return c.ExtendChain(testContext(t)) }) {
		switch {
		case errors.Is(err, store.ErrConflict):
			failed++
		case err != nil:
			t.Error(err)
		}
	}
	if chain := get[store.Chain](t, c, store.ChainKey()); chain.Newest.Number != int64(8-failed) || len(keysUnder(t, c, "stamps/")) != 8-failed {
		t.Errorf("%d failed, and the chain is %+v", failed, chain)
	}
}

func putStamp(t *testing.T, c *Client, key store.Key, o store.Object) {
	t.Helper()
	if _, err := c.PutIf(testContext(t), key, o, 0, 0); err != nil {
		t.Fatal(err)
	}
}
