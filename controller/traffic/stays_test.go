package traffic

import (
	"log/slog"
	"maps"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"sluice/flows"
	"sluice/internal/stage"
	"sluice/store"
)

// What passes a host before the tenant left it is nothing that stays; what passes it after that is measured from then on, and forgotten once it is left
// for good.
func TestWhatStaysIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, picture, total := &recorder{at: 20, told: map[string]store.Event{}}, stage.NewPicture(), uint64(0)
		picture.Put(t, stage.Put(store.TenantKey("t7"), &store.Tenant{Number: 7}), stage.Put(store.GatewayKey("t7"), &store.Gateway{Active: "h1"}))
		m := New(Options{Picture: picture.Picture, Store: r, Log: slog.New(slog.DiscardHandler)})
		read := func(rate uint64, want float64) {
			t.Helper()
			time.Sleep(10 * time.Second)
			total += 10 * rate
			r.through("h1", 7, total)
			if err := m.read(t.Context(), time.Hour); err != nil {
				t.Fatal(err)
			}
			if got := m.averages().stays[place{7, "h1"}]; math.Abs(got-want) > 0.02*want {
				t.Errorf("%.1f bytes a second stay, want %.1f", got, want)
			}
		}
		for range 4 {
			read(1000, 0)
		}
		picture.Put(t, stage.Put(store.GatewayKey("t7"), &store.Gateway{Active: "h2", Draining: []string{"h1"}}))
		read(1000, 0)
		read(500, 0)
		read(100, 100)
		read(100, 100)
		read(0, 66.7)
		read(0, 50)
		picture.Put(t, stage.Put(store.GatewayKey("t7"), &store.Gateway{Active: "h2"}))
		read(100, 0)
		picture.Put(t, stage.Put(store.GatewayKey("t7"), &store.Gateway{Active: "h2", Draining: []string{"h1"}}))
		read(100, 0)
		read(100, 0)
		read(30, 30)
		r.at = 5 // another store
		read(100, 0)
	})
}

// through has a host's checkpoint say what passed it of a tenant as a gateway host.
func (r *recorder) through(host string, tenant uint32, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at++
	saved := &store.StatusCounters{Counters: []store.Counter{
		{Tenant: tenant, Direction: flows.DirectionOut, Scope: flows.ScopeGateway, Bytes: bytes / 2},
		{Tenant: tenant, Direction: flows.DirectionIn, Scope: flows.ScopeGateway, LastBytes: bytes - bytes/2},
		{Tenant: tenant, Direction: flows.DirectionOut, Scope: flows.ScopeEgress, Bytes: 1000},
	}}
	r.told[host] = store.Event{Key: store.StatusCountersKey(host), Object: saved, Created: 3, Modified: r.at}
}

// What stays at hosts before is no more than the tenant's load, and nothing stays where it leaves now.
func TestStaysOf(t *testing.T) {
	known := measured{stays: map[place]float64{{7, "h2"}: 40, {7, "h3"}: 40, {7, "h1"}: 5, {8, "h4"}: 9}}
	for _, c := range []struct {
		draining []string
		load     float64
		want     map[string]float64
	}{
		{nil, 60, nil},
		{[]string{"h4"}, 60, nil},
		{[]string{"h2"}, 60, map[string]float64{"h2": 40}},
		{[]string{"h2", "h3"}, 60, map[string]float64{"h2": 40, "h3": 20}},
		{[]string{"h2", "h3"}, 30, map[string]float64{"h2": 30}},
		{[]string{"h1", "h3"}, 60, map[string]float64{"h3": 40}},
	} {
		if got := staysOf(&store.Gateway{Draining: c.draining}, 7, c.load, "h1", known); !maps.Equal(got, c.want) {
			t.Errorf("of %v there stays at %v %v, want %v", c.load, c.draining, got, c.want)
		}
	}
}
