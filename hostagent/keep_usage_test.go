package hostagent

import (
	"testing"
	"time"

	"sluice/store"
)

func TestWorthTelling(t *testing.T) {
	usage := func(u store.Used) store.Usage { return store.UsageOf(map[uint32]store.Used{7: u}) }
	for _, c := range []struct {
		what        string
		is, should  store.Used
		soon, later bool // at once, and after a minute
	}{
		{"nothing", store.Used{}, store.Used{}, false, false},
		{"the same", store.Used{Connections: 9}, store.Used{Connections: 9}, false, false},
		{"a first connection", store.Used{}, store.Used{Connections: 1}, false, true},
		{"some connections", store.Used{}, store.Used{Connections: 8}, false, true},
		{"more", store.Used{}, store.Used{Connections: 9}, true, true},
		{"an eighth more", store.Used{Connections: 800}, store.Used{Connections: 900}, false, true},
		{"and one", store.Used{Connections: 800}, store.Used{Connections: 901}, true, true},
		{"and one less", store.Used{Connections: 800}, store.Used{Connections: 699}, true, true},
		{"all gone", store.Used{Connections: 9}, store.Used{}, true, true},
		{"the last one gone", store.Used{Connections: 1}, store.Used{}, false, true},
		{"the kernel's", store.Used{KernelConnections: 0}, store.Used{KernelConnections: 9}, true, true},
		{"a first drop", store.Used{}, store.Used{KernelDrops: 1}, true, true},
		{"a second", store.Used{KernelDrops: 1}, store.Used{KernelDrops: 2}, false, true},
		{"many", store.Used{KernelDrops: 1}, store.Used{KernelDrops: 10}, true, true},
		{"a first attach beyond the ports", store.Used{}, store.Used{PortsRefused: 1}, true, true},
		{"a first attach too fast", store.Used{}, store.Used{NewPortsRefused: 1}, true, true},
	} {
		for ago, want := range map[time.Duration]bool{usageRest - 1: c.soon, usageRest: c.later} {
			if got := worthTelling(usage(c.should), usage(c.is), ago); got != want {
				t.Errorf("%s, told %v ago: worth telling %v, want %v", c.what, ago, got, want)
			}
		}
	}
	if worthTelling(store.Usage{Omitted: 1}, store.Usage{}, usageRest-1) || !worthTelling(store.Usage{Omitted: 1}, store.Usage{}, usageRest) {
		t.Error("more that are left out are told at once, or never")
	}
}
