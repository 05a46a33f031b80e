package main

import "testing"

func TestGarbageIsLimited(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		held uint64
		want int
	}{
		{0, 50}, {20 * mib, 50}, {512 * mib, 50}, {513 * mib, 49}, {1024 * mib, 25}, {1280 * mib, 20}, {8192 * mib, 20},
	} {
		if got := garbageOf(c.held); got != c.want {
			t.Errorf("of %d MiB %d %% may be garbage, want %d", c.held/mib, got, c.want)
		}
	}
}
