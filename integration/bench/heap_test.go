package bench

import (
	"runtime"
	"testing"
	"time"
)

// What is held only for a while is seen, also when it is gone at the end.
func TestHeapGrowth(t *testing.T) {
	const size = 32 << 20
	runtime.GC()
	got, err := heapGrowth(func() error {
		func() {
			held := make([]byte, size)
			time.Sleep(20 * heapInterval)
			runtime.KeepAlive(held)
		}()
		runtime.GC()
		return nil
	})
	if err != nil || got < size*3/4 || got > size*5/4 {
		t.Errorf("the heap grew by %d bytes, want about %d, %v", got, size, err)
	}
}
