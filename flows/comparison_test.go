package flows

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	of "sluice/datapath/openflow"
)

func compare(t testing.TB, installed, desired []of.Flow) Mods {
	t.Helper()
	m, err := Compare(installed, desired)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A Comparison finds what Diff finds.
func TestComparisonIsDiff(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 4))
	for range 2000 {
		installed, desired := randomFlows(r), randomFlows(r)
		got, want := compare(t, installed, desired), Diff(installed, desired)
		for kind, pair := range map[string][2][]of.Flow{
			"add": {got.Add, want.Add}, "replace": {got.Replace, want.Replace},
			"modify": {got.Modify, want.Modify}, "delete": {got.Delete, want.Delete},
		} {
			if got, want := texts(pair[0]), texts(pair[1]); got != want {
				t.Fatalf("it has to %s\n%s\nwant\n%s", kind, got, want)
			}
		}
		if n := len(slices.Concat(got.Add, got.Replace, got.Modify, got.Delete)); got.Len() != n {
			t.Fatalf("it counts %d mods of %d", got.Len(), n)
		}
	}
}

// Every flow that is compiled reads back from its bytes as it was, and differs from none.
func TestComparisonOfCompiledFlows(t *testing.T) {
	s := manyTenants(20)
	list, _ := compileHost(s, switchOf(s, "h1"))
	if m := compare(t, list, list); m.Len() != 0 {
		t.Errorf("%d differences of flows with themselves", m.Len())
	}
	m := compare(t, nil, list)
	if got, want := texts(m.Add), texts(list); got != want {
		t.Errorf("an empty switch gets\n%s\nwant\n%s", got, want)
	}
	if m := compare(t, list, nil); texts(m.Delete) != texts(list) {
		t.Errorf("%d of %d flows deleted", len(m.Delete), len(list))
	}
}

// A flow that differs in what a modify would keep is replaced, whichever of that it is.
func TestComparisonReplacesWhatAModifyWouldKeep(t *testing.T) {
	want := of.Flow{Table: 3, Priority: 7, Cookie: 1, Match: of.NewMatch(of.Is(of.FieldReg0, 1))}
	for what, change := range map[string]func(*of.Flow){
		"cookie":       func(f *of.Flow) { f.Cookie = 2 },
		"idle timeout": func(f *of.Flow) { f.IdleTimeout = 5 },
		"hard timeout": func(f *of.Flow) { f.HardTimeout = 5 },
		"flags":        func(f *of.Flow) { f.Flags = of.SendFlowRemoved },
	} {
		have := want
		change(&have)
		if m := compare(t, []of.Flow{have}, []of.Flow{want}); m.Len() != 1 || len(m.Replace) != 1 {
			t.Errorf("another %s: the mods are %+v", what, m)
		}
	}
}

// The same flow in other bytes is the same flow.
func TestComparisonOfOtherBytes(t *testing.T) {
	want := of.Flow{
		Table: 3, Priority: 7, Match: of.NewMatch(of.Is(of.FieldReg0, 1), of.Is(of.FieldReg1, 2)),
		Actions: []of.Action{of.Output{Port: 9}, of.GotoTable{Table: 4}},
	}
	c := NewComparison(0)
	c.Want(want)
	_, w := want.AppendWire(nil)
	w.Match = swapFields(w.Match)
	// max_len says nothing for a port: OpenFlow 1.3, A.2.5.
	w.Instructions = slices.Clone(w.Instructions)
	w.Instructions[16], w.Instructions[17] = 0, 1
	if err := c.Have(&w); err != nil {
		t.Fatal(err)
	}
	if m, err := c.Mods(); err != nil || m.Len() != 0 {
		t.Errorf("%d differences, %v", m.Len(), err)
	}
}

// swapFields exchanges the two fields of a match, of eight bytes each.
func swapFields(match []byte) []byte {
	const head, field = 4, 8
	swapped := slices.Clone(match)
	copy(swapped[head:], match[head+field:head+2*field])
	copy(swapped[head+field:], match[head:head+field])
	return swapped
}

// What no flow mod can carry is kept and shown as it is, so that the switch's refusal names it.
func TestComparisonOfTooLongAFlow(t *testing.T) {
	for _, outputs := range []int{10, 4080, 4096, 10_000} { // of 16 bytes each; lengths have 16 bits
		long := of.Flow{Table: 1, Actions: make([]of.Action, outputs)}
		for i := range long.Actions {
			long.Actions[i] = of.Output{Port: uint32(i + 1)}
		}
		if m := compare(t, nil, []of.Flow{long}); len(m.Add) != 1 || !m.Add[0].Equal(&long) {
			t.Errorf("%d outputs: adds %d flows", outputs, len(m.Add))
		}
	}
}

func TestComparisonKeepsTheFirstOfTwo(t *testing.T) {
	first := of.Flow{Cookie: 1, Match: of.NewMatch(of.Is(of.FieldReg0, 1))}
	second := first
	second.Cookie = 2
	c := NewComparison(0)
	if sl, ok := c.Want(first); !ok || sl != 1 {
		t.Errorf("the first: %t, %d", ok, sl)
	}
	if sl, ok := c.Want(second); ok || sl != 1 {
		t.Errorf("the second: %t, behind %d", ok, sl)
	}
	if m, err := c.Mods(); err != nil || len(m.Add) != 1 || m.Add[0].Cookie != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestComparisonOfUnreadableFlow(t *testing.T) {
	c := NewComparison(0)
	if c.Have(&of.WireFlow{Match: []byte{0, 9}}) == nil {
		t.Error("a flow whose match cannot be read is no error")
	}
}

// BenchmarkResync takes a host's flows from a switch's reply to the mods, which are none: by
// decoding all and Diff, and by a Comparison of bytes. Compiling is not counted.
func BenchmarkResync(b *testing.B) {
	s := manyTenants(1000)
	desired, _ := compileHost(s, switchOf(s, "h1"))
	reply := replyOf(desired)
	run := func(name string, resync func() Mods) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := resync().Len(); n != 0 {
					b.Fatalf("%d mods", n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(desired)), "ns/flow")
		})
	}
	run("way=decoded", func() Mods { return Diff(decoded(b, reply), desired) })
	run("way=bytes", func() Mods {
		c := NewComparison(len(desired))
		for i := range desired {
			c.Want(desired[i])
		}
		return read(b, c, reply)
	})
}

// replyOf is a switch's reply that holds the flows, in messages of less than 64 KiB.
func replyOf(list []of.Flow) (parts [][]byte) {
	const most = 60 << 10
	for len(list) > 0 {
		part := of.AppendFlowStatsReply(nil, 1, true)
		for len(list) > 0 && len(part) < most {
			part = of.AppendFlowStats(part, &of.FlowStats{Flow: list[0]})
			list = list[1:]
		}
		parts = append(parts, of.EndMessage(part, 0))
	}
	return parts
}

func decoded(t testing.TB, reply [][]byte) (list []of.Flow) {
	for _, part := range reply {
		_, err := of.DecodeFlowStats(part, func(f *of.FlowStats) bool {
			list = append(list, f.Flow)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func read(t testing.TB, c *Comparison, reply [][]byte) Mods {
	for _, part := range reply {
		var unread error
		_, err := of.DecodeWireFlows(part, func(w *of.WireFlow) bool {
			unread = c.Have(w)
			return unread == nil
		})
		if err = errors.Join(err, unread); err != nil {
			t.Fatal(err)
		}
	}
	m, err := c.Mods()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A reply of compiled flows asks for nothing, by bytes as decoded.
func TestResyncOfAReply(t *testing.T) {
	s := manyTenants(50)
	list, _ := compileHost(s, switchOf(s, "h1"))
	reply := replyOf(list)
	if len(reply) < 2 || len(decoded(t, reply)) != len(list) {
		t.Fatalf("%d parts", len(reply))
	}
	c := NewComparison(0)
	for _, f := range list {
		c.Want(f)
	}
	if m := read(t, c, reply); m.Len() != 0 {
		t.Errorf("%d mods", m.Len())
	}
}
