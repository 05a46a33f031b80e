package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswerTimes(t *testing.T) {
	got, err := answerTimes([]byte(`PING 198.51.100.1 (198.51.100.1) 56(84) bytes of data.
[1700000000.500000] 64 bytes from 198.51.100.1: icmp_seq=1 ttl=62 time=0.5 ms
[1700000000.520000] From 10.0.0.1 icmp_seq=2 Destination Host Unreachable
[1700000000.920000] 64 bytes from 198.51.100.1: icmp_seq=3 ttl=62 time=0.5 ms

--- 198.51.100.1 ping statistics ---
`))
	if diff := cmp.Diff([]float64{1700000000.5, 1700000000.92}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := answerTimes([]byte("[soon] 64 bytes from 198.51.100.1: icmp_seq=1\n")); err == nil {
		t.Error("a line without a time is taken")
	}
}

// checkProbes needs a share of a processor for each number of hosts, of which the last is all.
func checkProbes(t *testing.T, results []Result) {
	if len(results) != 2 || results[1].Params["hosts"] != 10 {
		t.Fatalf("measured %+v", results)
	}
	for _, r := range results {
		if r.Unit != "%" || len(r.Samples) != 1 || r.Median < 0 || r.Median > 100 || r.Facts[0].Value != 0 {
			t.Errorf("probes: %+v", r)
		}
	}
}

// checkFailOver needs gaps of both kinds that ended, and the count of false alarms.
func checkFailOver(t *testing.T, results []Result) {
	if len(results) != 3 {
		t.Fatalf("measured %+v", results)
	}
	for _, r := range results[:2] {
		if r.Unit != "ms" || len(r.Facts) != 4 || r.Median < 20 || len(r.Samples) != killsInARound {
			t.Errorf("no answer: %+v", r)
		}
	}
	if r := results[2]; r.Unit != "s" || len(r.Facts) != 4 || r.Facts[0].Value < 0 || r.Facts[2].Value < 100 || r.Facts[3].Value < 100 {
		t.Errorf("false alarms: %+v", r)
	}
}
