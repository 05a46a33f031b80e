package bench

import (
	"runtime/metrics"
	"time"
)

// heapInterval is how often the heap's size is looked at while something runs.
const heapInterval = time.Millisecond

// heapGrowth is by how many bytes the heap of this process grows at most while f runs. What
// nobody needs any more counts until it is collected.
func heapGrowth(f func() error) (uint64, error) {
	before := heapBytes()
	most := make(chan uint64)
	done := make(chan struct{})
	go func() {
		peak := before
		tick := time.NewTicker(heapInterval)
		defer tick.Stop()
		for {
			peak = max(peak, heapBytes())
			select {
			case <-done:
				most <- max(peak, heapBytes())
				return
			case <-tick.C:
			}
		}
	}()
	err := f()
	close(done)
	return <-most - before, err
}

// heapBytes is what objects take, those included that are not collected yet. Unlike
// runtime.ReadMemStats it does not stop the world.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
