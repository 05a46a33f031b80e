package openflow_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The request is what `ovs-ofctl monitor br watch:!initial,!own,!actions` of Open vSwitch 3.1
// sends, but for its id.
func TestFlowMonitorRequest(t *testing.T) {
	want := unhex(t, `04120030 00000006 ffff0000 00000000 4f4e4600 0000074e
		00000000 000e0004 ffffffff ff000000 00010004 00000000`)
	got := openflow.AppendFlowMonitorRequest(nil, 6, 0)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if id, err := openflow.DecodeFlowMonitorRequest(openflow.AppendFlowMonitorRequest(nil, 6, 77)); id != 77 || err != nil {
		t.Errorf("reads back as %d, %v", id, err)
	}
	for name, change := range map[string]struct {
		at int
		to byte
	}{"flags": {29, 0x0f}, "table": {36, 3}, "output port": {35, 1}, "a match": {31, 12}, "another extension": {23, 0x4f}} {
		b := bytes.Clone(got)
		b[change.at] = change.to
		if _, err := openflow.DecodeFlowMonitorRequest(b); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// updatesOfOVS are what Open vSwitch 3.1 tells of a flow that is added, modified and deleted.
const updatesOfOVS = `
	0028 0000 0000 0006 0000 0000 000a 04 00 0000000000000078 0001000a 80000a02 0806 000000000000
	0028 0002 0000 0006 0000 0000 000a 04 00 0000000000000078 0001000a 80000a02 0806 000000000000
	0028 0001 0002 0006 0000 0000 000a 04 00 0000000000000078 0001000a 80000a02 0806 000000000000
	0008 0003 00000005`

func TestFlowUpdates(t *testing.T) {
	message := openflow.EndMessage(append(unhex(t, `04130000 00000000 ffff0000 00000000 4f4e4600 0000074e`),
		unhex(t, updatesOfOVS)...), 0)
	match := unhex(t, "0001000a 80000a02 0806 000000000000")
	arp := openflow.FlowUpdate{Table: 4, Priority: 6, Cookie: 0x78, Match: match}
	want := []openflow.FlowUpdate{arp, arp, arp, {Event: openflow.FlowAbbreviated}}
	want[1].Event, want[2].Event = openflow.FlowModified, openflow.FlowDeleted
	if diff := cmp.Diff(want, updatesIn(t, message)); diff != "" {
		t.Errorf("updates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, updatesIn(t, openflow.AppendFlowUpdates(nil, 0, want...))); diff != "" {
		t.Errorf("written and read (-want +got):\n%s", diff)
	}
	for length := openflow.HeaderLength; length < len(message); length++ {
		b := openflow.EndMessage(bytes.Clone(message[:length]), 0)
		switch err := openflow.DecodeFlowUpdates(b, func(openflow.FlowUpdate) bool { return true }); length {
		case 24, 64, 104, 144: // the ends of updates
			if err != nil {
				t.Errorf("%d bytes: %v", length, err)
			}
		default:
			if err == nil {
				t.Errorf("%d bytes: no error", length)
			}
		}
	}
}

func updatesIn(t testing.TB, message []byte) (list []openflow.FlowUpdate) {
	t.Helper()
	err := openflow.DecodeFlowUpdates(message, func(u openflow.FlowUpdate) bool {
		u.Match = bytes.Clone(u.Match)
		list = append(list, u)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// FuzzDecodeFlowUpdates holds that what was read is written so that it reads the same.
func FuzzDecodeFlowUpdates(f *testing.F) {
	f.Add(append(unhex(f, `04130000 00000000 ffff0000 00000000 4f4e4600 0000074e`), unhex(f, updatesOfOVS)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = framed(b, openflow.TypeMultipartReply)
		var list []openflow.FlowUpdate
		if openflow.DecodeFlowUpdates(b, func(u openflow.FlowUpdate) bool { list = append(list, u); return true }) != nil {
			return
		}
		again := updatesIn(t, openflow.AppendFlowUpdates(nil, 0, list...))
		if diff := cmp.Diff(list, again); diff != "" {
			t.Fatalf("read (-first +again):\n%s", diff)
		}
	})
}

func TestAggregate(t *testing.T) {
	q := openflow.FlowQuery{Table: openflow.TableAll, Cookie: 7, CookieMask: 0xff}
	got, err := openflow.DecodeFlowStatsRequest(openflow.AppendAggregateRequest(nil, 9, q))
	if diff := cmp.Diff(q, got); diff != "" || err != nil {
		t.Errorf("request (-want +got):\n%s%v", diff, err)
	}
	flows, err := openflow.DecodeAggregate(openflow.AppendAggregateReply(nil, 9, 123456))
	if flows != 123456 || err != nil {
		t.Errorf("reply reads back as %d, %v", flows, err)
	}
	if _, err := openflow.DecodeAggregate(openflow.EndMessage(openflow.AppendFlowStatsReply(nil, 9, false), 0)); err == nil {
		t.Error("a reply of another kind was taken")
	}
}
