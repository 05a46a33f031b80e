package openflow_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
)

// maskedByOVS are fields that Open vSwitch sends back under a mask of the bits that it knows,
// also where they were sent whole.
var maskedByOVS = []openflow.Field{openflow.FieldCTState, openflow.FieldTunFlags}

func isMaskedByOVS(f *openflow.Flow) bool {
	return slices.ContainsFunc(maskedByOVS, func(field openflow.Field) bool {
		m, ok := f.Match.Get(field)
		return ok && m == openflow.IsValue(field, m.Value)
	})
}

// A flow comes back from a real switch in the very bytes in which it was sent: whoever wants
// to know whether it is still right need not decode it.
func TestSwitchReturnsOurBytes(t *testing.T) {
	ovs, p := connect(t)
	groundwork(ovs)
	sent := map[uint64]openflow.WireFlow{}
	flows := modelled(t)
	for i := range flows {
		_, sent[flows[i].Cookie] = flows[i].AppendWire(nil)
	}
	p.apply(adds(flows)...)
	p.send(openflow.AppendFlowStatsRequest(nil, 9, everything))
	for more := true; more; {
		var err error
		more, err = openflow.DecodeWireFlows(p.next(openflow.TypeMultipartReply), func(got *openflow.WireFlow) bool {
			want := sent[got.Cookie]
			f, err := got.Decode()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Match, want.Match) && !isMaskedByOVS(&f) {
				t.Errorf("%s: match\n%x, sent as\n%x", &f, got.Match, want.Match)
			}
			if !bytes.Equal(got.Instructions, want.Instructions) {
				t.Errorf("%s: instructions\n%x, sent as\n%x", &f, got.Instructions, want.Instructions)
			}
			delete(sent, got.Cookie)
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(sent) > 0 {
		t.Errorf("%d flows did not come back", len(sent))
	}
}

// Every modelled flow survives its own bytes.
func TestWireFlow(t *testing.T) {
	flows := modelled(t)
	var b []byte
	for i := range flows {
		var w openflow.WireFlow
		b, w = flows[i].AppendWire(b[:0])
		got, err := w.Decode()
		if err != nil || !got.Equal(&flows[i]) {
			t.Errorf("%s reads back as %s, %v", &flows[i], &got, err)
		}
	}
}

// FuzzDecodeWireFlows holds that flows read as bytes and decoded one by one are those that
// DecodeFlowStats reads, from anything that a switch may send.
func FuzzDecodeWireFlows(f *testing.F) {
	reply := openflow.AppendFlowStatsReply(nil, 1, true)
	for _, x := range modelled(f) {
		one := openflow.AppendFlowStatsReply(nil, 1, false)
		one = openflow.AppendFlowStats(one, &openflow.FlowStats{Flow: x, Packets: 3})
		f.Add(openflow.EndMessage(one, 0))
		reply = openflow.AppendFlowStats(reply, &openflow.FlowStats{Flow: x})
	}
	f.Add(openflow.EndMessage(reply, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = framed(b, openflow.TypeMultipartReply)
		var want, got []openflow.Flow
		wantMore, wantErr := openflow.DecodeFlowStats(b, func(f *openflow.FlowStats) bool {
			want = append(want, f.Flow)
			return true
		})
		var unread error
		gotMore, gotErr := openflow.DecodeWireFlows(b, func(w *openflow.WireFlow) bool {
			var x openflow.Flow
			if x, unread = w.Decode(); unread == nil {
				got = append(got, x)
			}
			return unread == nil
		})
		if gotErr == nil {
			gotErr = unread
		}
		if (wantErr == nil) != (gotErr == nil) {
			t.Fatalf("errors %v and %v", wantErr, gotErr)
		}
		if diff := cmp.Diff(want, got); diff != "" || wantErr == nil && wantMore != gotMore {
			t.Fatalf("more %t and %t, flows (-decoded +as bytes):\n%s", wantMore, gotMore, diff)
		}
	})
}
