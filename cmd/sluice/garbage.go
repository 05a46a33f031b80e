package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage a controller lets pile up: garbagePercent of what it holds, which is a cluster's state, seldom any of it garbage; and
// no more than mostGarbage, or leastPercent where that is more. What a collection costs grows with what is held, so that a controller of a very
// large cluster shall not collect all the time. GOGC in the environment overrides it.
const (
	garbagePercent  = 50
	leastPercent    = 20
	mostGarbage     = 256 << 20
	garbageInterval = 10 * time.Second
)

// limitGarbage follows what is held until ctx ends.
func limitGarbage(ctx context.Context) {
	for now := 0; ; {
		if percent := garbageOf(held()); percent != now {
			debug.SetGCPercent(percent)
			now = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(garbageInterval):
		}
	}
}

// held are the bytes that the last collection found in use.
func held() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// garbageOf is the garbage, in percent of what is held, that may pile up.
func garbageOf(held uint64) int {
	if held <= mostGarbage*100/garbagePercent {
		return garbagePercent
	}
	return max(leastPercent, int(mostGarbage*100/held))
}
