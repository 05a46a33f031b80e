package dump

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/controller/cluster"
	"sluice/datapath/openflow"
	"sluice/store"
)

// some are flows that differ, of a switch with so many.
func some(t testing.TB, n int) (list []openflow.FlowStats) {
	t.Helper()
	for i := range n {
		f, err := openflow.ParseFlow(fmt.Sprintf("cookie=%#x,table=%d,priority=%d,in_port=%d,dl_src=02:00:00:00:%02x:%02x actions=load:%#x->NXM_NX_REG5[],goto_table:%d",
			i+1, i%8, 100+i%3, i+1, i>>8&255, i&255, i, 9+i%8))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, openflow.FlowStats{Flow: f, Packets: uint64(i), Bytes: uint64(i) * 98, Seconds: 7, Nanoseconds: uint32(i)})
	}
	return list
}

func (s *Shelf) record(t testing.TB, host string, list []openflow.FlowStats, at time.Time) {
	t.Helper()
	r := s.Record(host)
	for i := range list {
		r.Add(&list[i])
	}
	if err := r.Keep(at); err != nil {
		t.Fatal(err)
	}
}

// What was recorded is told as it was, of each host the last, and nothing of a reading that was not whole.
func TestTheLastReadingIsKept(t *testing.T) {
	s, at := New(), time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	if list, when, err := s.Last("h1"); list != nil || !when.IsZero() || err != nil {
		t.Errorf("of nothing: %v, %v, %v", list, when, err)
	}
	s.record(t, "h1", some(t, 3), at)
	s.record(t, "h2", some(t, 1), at)
	want := some(t, 2000) // more than a chunk
	s.record(t, "h1", want, at.Add(time.Minute))
	cut := s.Record("h1")
	cut.Add(&want[0]) // and the switch goes
	got, when, err := s.Last("h1")
	if diff := cmp.Diff(want, got); err != nil || !when.Equal(at.Add(time.Minute)) || diff != "" {
		t.Errorf("as of %v, %v:\n%s", when, err, diff)
	}
	s.Observe(cluster.Update{Batch: store.Batch{Events: []store.Event{{Key: store.HostKey("h1")}, {Key: store.HostKey("h2"), Object: &store.Host{}}}}})
	if _, when, _ := s.Last("h1"); !when.IsZero() {
		t.Error("a host that was deleted is kept")
	}
	if list, _, _ := s.Last("h2"); len(list) != 1 {
		t.Error("a host that was written is gone")
	}
}

// An empty switch was read too.
func TestAnEmptySwitch(t *testing.T) {
	s := New()
	s.record(t, "h1", nil, time.Unix(1, 0))
	if list, when, err := s.Last("h1"); len(list) != 0 || when.IsZero() || err != nil {
		t.Errorf("%v, %v, %v", list, when, err)
	}
}

func TestTheOldestGoes(t *testing.T) {
	s, at := New(), time.Unix(1000, 0)
	s.record(t, "h1", some(t, 100), at)
	one := s.size
	s.most = 2*one + one/2
	s.record(t, "h2", some(t, 100), at.Add(2*time.Second))
	s.record(t, "h1", some(t, 100), at.Add(3*time.Second)) // again: h2 is older now
	s.record(t, "h3", some(t, 100), at.Add(4*time.Second))
	for host, want := range map[string]bool{"h1": true, "h2": false, "h3": true} {
		if _, when, _ := s.Last(host); when.IsZero() == want {
			t.Errorf("%s is kept: %v", host, !want)
		}
	}
	s.record(t, "h4", some(t, 5000), at.Add(5*time.Second)) // it alone is too large
	if _, when, _ := s.Last("h4"); !when.IsZero() || len(s.dumps) != 2 || s.size != 2*one {
		t.Errorf("%d dumps of %d bytes", len(s.dumps), s.size)
	}
}

// BenchmarkRecord is what a reading of 100,000 flows takes longer because it is kept.
func BenchmarkRecord(b *testing.B) {
	list := some(b, 100_000)
	s := New()
	for b.Loop() {
		s.record(b, "h1", list, time.Unix(1, 0))
	}
	b.ReportMetric(float64(s.size)/float64(len(list)), "bytes/flow")
}
