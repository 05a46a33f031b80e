package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var idleSince = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// batchState has tenant batch with a time to live of two hours, and two networks.
func batchState(events ...Event) *State {
	s := NewState()
	s.Apply(Batch{Revision: 9, Events: append([]Event{
		{Key: TenantKey("batch"), Created: 4, Modified: 5, Object: &Tenant{Number: 1, TTL: Duration(2 * time.Hour)}},
		{Key: NetworkKey("batch", "default"), Created: 4, Modified: 4, Object: &Network{Number: 2}},
		{Key: NetworkKey("batch", "db"), Created: 6, Modified: 6, Object: &Network{Number: 3}},
		{Key: HostKey("h1"), Created: 3, Modified: 3, Object: &Host{}},
	}, events...)})
	return s
}

var (
	idleMark  = Event{Key: IdleKey("batch"), Created: 7, Modified: 8, Object: &Idle{Since: idleSince}}
	batchPort = Event{Key: PortKey("h1", "batch", "db", "p"), Created: 7, Modified: 7, Object: &Port{UID: "p", Number: 9}}
)

func TestEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events []Event
		want   time.Time
	}{
		{"not marked", nil, time.Time{}},
		{"marked", []Event{idleMark}, idleSince.Add(2 * time.Hour)},
		{"marked, and a port came", []Event{idleMark, batchPort}, time.Time{}},
		{"its time to live was taken away", []Event{idleMark, {Key: TenantKey("batch"), Created: 4, Modified: 6, Object: &Tenant{Number: 1}}}, time.Time{}},
	} {
		s := batchState(tc.events...)
		if got := s.Ends(s.Tenant("batch")); !got.Equal(tc.want) {
			t.Errorf("%s: it ends at %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestProposeIdle(t *testing.T) {
	s := batchState()
	p, err := ProposeIdle(s, "batch", idleSince)
	proposed(t, "idle", p, err, Proposal{
		Writes: []Event{{Key: IdleKey("batch"), Object: &Idle{Since: idleSince}}},
		Presumes: []Presumption{
			{Condition: CreatedAt, Path: "/sluice/v1/tenants/batch", Revision: 4, Refusal: noSuchTenant("batch")},
			{Condition: Absent, Path: "/sluice/v1/idle/batch"},
			{Condition: NoneUnder, Path: "/sluice/v1/alloc/ports/batch/", InUse: usedByPorts},
		},
	})
	if _, err := ProposeIdle(s, "carol", idleSince); !errors.Is(err, ErrNotFound) {
		t.Errorf("a tenant that is not there: %v", err)
	}
	s = batchState(idleMark)
	if p, err := ProposeIdle(s, "batch", idleSince); err != nil || len(p.Writes) > 0 {
		t.Errorf("a second mark: %v, %v", p.Writes, err)
	}
}

func TestProposeEnd(t *testing.T) {
	late := idleSince.Add(2 * time.Hour)
	p, err := ProposeEnd(batchState(idleMark), "batch", late)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range p.Writes {
		got = append(got, fmt.Sprint(e.Key.Short(), " ", e.Object == nil))
	}
	for _, f := range p.Frees {
		got = append(got, f.Dir+" "+f.Value)
	}
	for _, presumed := range p.Presumes {
		got = append(got, fmt.Sprintf("%s %s %d", presumed.Condition, presumed.Path, presumed.Revision))
	}
	want := []string{
		"tenants/batch true", "networks/batch/db true", "networks/batch/default true", "gateways/batch true", "idle/batch true",
		"tenant-numbers 1", "network-numbers 3", "network-numbers 2",
		"unchanged /sluice/v1/tenants/batch 5", "nothing new under /sluice/v1/networks/batch/ 9", "none under /sluice/v1/alloc/ports/batch/ 0",
		"unchanged /sluice/v1/idle/batch 8",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	var many []Event
	for n := range mostEnding {
		many = append(many, Event{Key: NetworkKey("batch", fmt.Sprint("n", n)), Created: 5, Modified: 5, Object: &Network{Number: uint32(100 + n)}})
	}
	for name, tc := range map[string]struct {
		s    *State
		at   time.Time
		want error
	}{
		"too early":                  {batchState(idleMark), late.Add(-1), ErrInUse},
		"not marked":                 {batchState(), late, ErrInUse},
		"with a port":                {batchState(idleMark, batchPort), late, ErrInUse},
		"too large":                  {batchState(append(many, idleMark)...), late, ErrLimit},
		"not there":                  {NewState(), late, ErrNotFound},
		"no time to live (any more)": {batchState(idleMark, Event{Key: TenantKey("batch"), Created: 4, Modified: 6, Object: &Tenant{Number: 1}}), late, ErrInUse},
	} {
		if _, err := ProposeEnd(tc.s, "batch", tc.at); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestTimeToLive(t *testing.T) {
	for ttl, valid := range map[time.Duration]bool{0: true, MinTTL: true, MinTTL - 1: false, -time.Hour: false} {
		if err := (TenantSpec{Name: "batch", TTL: ttl}).Validate(); (err == nil) != valid {
			t.Errorf("%s: %v", ttl, err)
		}
	}
	var d Duration
	if err := d.UnmarshalText([]byte("soon")); err == nil {
		t.Error("soon is a time")
	}
}
