package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rivals are both sides on a switch of their own, which send a few flows.
func rivals(t *testing.T) (*rival, []commonFlow) {
	t.Helper()
	requireOVS(t)
	b, err := newTestbed(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	s, err := b.connected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := commonFlows(30)
	v := newRival(b, s, list)
	if err := buildOfctrl(t.Context(), v.program); err != nil {
		t.Fatal(err)
	}
	return v, list
}

// One flow that ofctrl leaves otherwise is one that lacks and one too many.
func TestRivalsAreCompared(t *testing.T) {
	v, list := rivals(t)
	for _, tt := range []struct {
		cookie uint64
		want   int
	}{{list[7].Cookie, 0}, {0xbad, 2}} {
		list[7].Cookie = tt.cookie
		if err := writeLines(v.file, list); err != nil {
			t.Fatal(err)
		}
		v.differ = 0
		for _, turn := range []Side{{Measure: v.bySession}, {Measure: v.byOfctrl}} {
			if _, err := turn.Measure(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if v.differ != tt.want {
			t.Errorf("%d flows differ, want %d", v.differ, tt.want)
		}
	}
}

// A helper that fails says why.
func TestOfctrlSaysWhatFailed(t *testing.T) {
	v, _ := rivals(t)
	v.file = v.Path("no-such-file")
	if _, err := v.byOfctrl(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-file") {
		t.Errorf("%v does not name the file", err)
	}
}

// What both sides can say is a pipeline of three tables, and each flow is there once.
func TestCommonFlows(t *testing.T) {
	const n = 900
	seen := map[string]bool{}
	var text []string
	for _, c := range commonFlows(n) {
		f := c.flow()
		seen[string(f.AppendMatchKey(nil))] = true
		text = append(text, strings.TrimSpace(f.String()))
	}
	if len(seen) != n {
		t.Errorf("%d flows are %d matches", n, len(seen))
	}
	want := []string{
		"cookie=0x379, priority=100,in_port=297,dl_src=02:00:00:00:01:29 actions=goto_table:1",
		"cookie=0x37a, table=1, priority=100,ip,nw_src=10.0.1.41,nw_dst=172.16.41.0/24 actions=goto_table:2",
		"cookie=0x37b, table=2, priority=100,dl_dst=02:00:00:00:01:29 actions=output:297",
	}
	if diff := cmp.Diff(want, text[888:891]); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}
