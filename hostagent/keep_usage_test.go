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
		{"a first answer", store.Used{}, store.Used{Answers: store.Answers{1}}, true, true},
		{"a second answer", store.Used{Answers: store.Answers{0, 0, 0, 0, 1}}, store.Used{Answers: store.Answers{0, 1, 0, 0, 1}}, false, true},
		{"a first question too fast", store.Used{}, store.Used{QuestionsRefused: 1}, true, true},
	} {
		for ago, want := range map[time.Duration]bool{usageRest - 1: c.soon, usageRest: c.later} {
			if got := worthTelling(usage(c.should), usage(c.is), ago); got != want {
				t.Errorf("%s, told %v ago: worth telling %v, want %v", c.what, ago, got, want)
			}
		}
	}
	visits := func(tenants ...string) (u store.Usage) {
		for _, tenant := range tenants {
			u.Visits = append(u.Visits, store.Visit{Tenant: tenant})
		}
		return u
	}
	for _, c := range []struct {
		is, should  store.Usage
		soon, later bool
	}{{visits(), visits("a"), true, true}, {visits("a"), visits("b"), false, true}, {visits("a"), visits("a"), false, false}, {visits("a"), visits(), false, true}} {
		if soon, later := worthTelling(c.should, c.is, usageRest-1), worthTelling(c.should, c.is, usageRest); soon != c.soon || later != c.later {
			t.Errorf("visits of %v after %v: worth telling %t at once, %t after a minute", c.should, c.is, soon, later)
		}
	}
	damped := store.Usage{Damped: []string{"h2"}}
	if !worthTelling(damped, store.Usage{}, 0) || !worthTelling(store.Usage{}, damped, 0) || worthTelling(damped, damped, usageRest) {
		t.Error("a gateway host that is damped, or not any more, is not told at once, or again")
	}
	if worthTelling(store.Usage{Omitted: 1}, store.Usage{}, usageRest-1) || !worthTelling(store.Usage{Omitted: 1}, store.Usage{}, usageRest) {
		t.Error("more that are left out are told at once, or never")
	}
}
