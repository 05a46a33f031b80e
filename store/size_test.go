package store

import (
	"fmt"
	"runtime"
	"testing"
)

// A port costs State at most 3 KiB at 100,000 ports, its indexes and decoded object included.
func TestStateSize(t *testing.T) {
	const ports, perTenant, hosts, most = 100_000, 20, 1000, 3 << 10
	before := liveBytes()
	s := NewState()
	for i := range ports {
		tenant := fmt.Sprintf("tenant-%05d", i/perTenant)
		key := PortKey(fmt.Sprintf("host-%04d", i%hosts), tenant, "default", fmt.Sprintf("web-%06d", i))
		value := fmt.Appendf(nil, `{"uid":"%012d","number":%d,"mac":%q,"addresses":["10.0.0.%d/24"],"interface":"sl-%012d",`+
			`"containerID":"%064d","runtime":"containerd"}`, i, i+1, MACFromUint64(2<<40+uint64(i)), 10+i%perTenant, i, i)
		object, err := Decode(key, value)
		if err != nil {
			t.Fatal(err)
		}
		r := Revision(i + 1)
		s.Apply(Batch{Revision: r, Events: []Event{{Key: key, Object: object, Created: r, Modified: r}}})
	}
	each := (liveBytes() - before) / ports
	t.Logf("%d bytes a port", each)
	if each > most {
		t.Errorf("a port costs %d bytes, at most %d are meant", each, most)
	}
	if _, _, _, n := s.Counts(); n != ports {
		t.Fatalf("%d ports", n)
	}
}

// liveBytes are those that the garbage collector cannot free.
func liveBytes() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
