package flows

import (
	"slices"
	"testing"

	of "sluice/datapath/openflow"
)

// Any order of the same flows has one fingerprint; whatever else a switch may hold instead
// has another.
func TestFingerprint(t *testing.T) {
	texts := []string{
		"cookie=0x1,table=1,priority=5,ip,nw_dst=10.0.0.1,actions=output:1",
		"cookie=0x2,table=1,priority=5,ip,nw_dst=10.0.0.2,actions=output:2",
		"cookie=0x3,table=2,priority=9,actions=drop",
	}
	right := fingerprintOf(t, texts)
	for _, c := range []struct {
		name  string
		flows []string
		same  bool
	}{
		{"another order", []string{texts[2], texts[0], texts[1]}, true},
		{"one missing", texts[:2], false},
		{"none", nil, false},
		{"one more", append(slices.Clone(texts), "cookie=0x4,table=3,actions=drop"), false},
		{"one twice, another missing", []string{texts[0], texts[0], texts[2]}, false},
		{"another action", replaced(texts, "cookie=0x3,table=2,priority=9,actions=output:1"), false},
		{"another cookie", replaced(texts, "cookie=0x4,table=2,priority=9,actions=drop"), false},
		{"another table", replaced(texts, "cookie=0x3,table=3,priority=9,actions=drop"), false},
		{"another priority", replaced(texts, "cookie=0x3,table=2,priority=8,actions=drop"), false},
		{"another match", replaced(texts, "cookie=0x3,table=2,priority=9,ip,actions=drop"), false},
		{"a time-out", replaced(texts, "cookie=0x3,table=2,priority=9,idle_timeout=5,actions=drop"), false},
		{"actions exchanged", []string{
			"cookie=0x1,table=1,priority=5,ip,nw_dst=10.0.0.1,actions=output:2",
			"cookie=0x2,table=1,priority=5,ip,nw_dst=10.0.0.2,actions=output:1", texts[2]}, false},
	} {
		if same := fingerprintOf(t, c.flows) == right; same != c.same {
			t.Errorf("%s: the same fingerprint: %v", c.name, same)
		}
	}
}

// A part's fingerprint that makes way for another part's yields the fingerprint of the new whole.
func TestFingerprintReplaced(t *testing.T) {
	texts := []string{
		"cookie=0x1,table=1,priority=5,ip,nw_dst=10.0.0.1,actions=output:1",
		"cookie=0x2,table=1,priority=5,ip,nw_dst=10.0.0.2,actions=output:2",
		"cookie=0x3,table=2,priority=9,actions=drop",
		"cookie=0x4,table=2,priority=8,actions=drop",
	}
	before, gone, come := fingerprintOf(t, texts[:3]), fingerprintOf(t, texts[1:3]), fingerprintOf(t, texts[3:])
	after := fingerprintOf(t, []string{texts[3], texts[0]})
	if got := before.Replaced(gone, come); got != after {
		t.Errorf("%v, want %v", got, after)
	}
	if got := before.Flows(); got != 3 {
		t.Errorf("it stands for %d flows, want 3", got)
	}
	if got := after.Flows(); got != 2 {
		t.Errorf("then for %d flows, want 2", got)
	}
	if got := before.Replaced(before, come); got != come {
		t.Errorf("all of it replaced: %v, want %v", got, come)
	}
}

// replaced has the last text replaced.
func replaced(texts []string, last string) []string {
	return append(slices.Clone(texts[:len(texts)-1]), last)
}

func fingerprintOf(t *testing.T, texts []string) Fingerprint {
	t.Helper()
	var p Fingerprint
	for _, text := range texts {
		f, err := of.ParseFlow(text)
		if err != nil {
			t.Fatal(err)
		}
		_, w := f.AppendWire(nil)
		p.Add(&w)
	}
	return p
}
