package openflow_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
	"sluice/datapath/ovstest"
)

// peer is the controller's end of a connection that a real switch dialled.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// connect starts Open vSwitch with a bridge br0, which dials in and says hello.
func connect(t *testing.T) (*ovstest.OVS, *peer) {
	t.Helper()
	ovs := ovstest.Start(t)
	l, target := ovs.Listen("controller")
	ovs.AddBridge("br0", target)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := &peer{t: t, conn: conn, in: bufio.NewReader(conn)}
	p.send(openflow.AppendHello(nil, 0))
	hello, err := openflow.DecodeHello(p.next(openflow.TypeHello))
	if err != nil || !hello.Speaks(openflow.Version) {
		t.Fatalf("hello %+v, error %v", hello, err)
	}
	return ovs, p
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// read is the next message that is no echo request; those it answers.
func (p *peer) read() (openflow.Type, []byte) {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		head, err := p.in.Peek(openflow.HeaderLength)
		if err != nil {
			p.t.Fatal(err)
		}
		h, err := openflow.ParseHeader(head)
		if err != nil {
			p.t.Fatal(err)
		}
		b := make([]byte, h.Length)
		if _, err := io.ReadFull(p.in, b); err != nil {
			p.t.Fatal(err)
		}
		if h.Type != openflow.TypeEchoRequest {
			return h.Type, b
		}
		p.send(openflow.AppendEchoReply(nil, h.XID, b[openflow.HeaderLength:]))
	}
}

// next is the next message of a type; an error in its place fails the test.
func (p *peer) next(want openflow.Type) []byte {
	p.t.Helper()
	for {
		got, b := p.read()
		if got == want {
			return b
		}
		if got == openflow.TypeError {
			e, err := openflow.DecodeError(b)
			p.t.Fatalf("waiting for type %d: %v (%v)", want, e, err)
		}
	}
}

// barrier gathers the errors, by xid, of all that was sent before.
func (p *peer) barrier() map[uint32]*openflow.Error {
	p.t.Helper()
	p.send(openflow.AppendBarrierRequest(nil, 0xffff))
	errs := map[uint32]*openflow.Error{}
	for {
		got, b := p.read()
		switch got {
		case openflow.TypeBarrierReply:
			return errs
		case openflow.TypeError:
			e, err := openflow.DecodeError(b)
			if err != nil {
				p.t.Fatal(err)
			}
			errs[e.Request.XID] = e
		}
	}
}

// apply sends flow mods whose xid is their place, and fails on any error.
func (p *peer) apply(mods ...openflow.FlowMod) {
	p.t.Helper()
	var b []byte
	for i := range mods {
		b = openflow.AppendFlowModCookie(b, uint32(i), mods[i].Command, &mods[i].Flow, mods[i].CookieMask)
	}
	p.send(b)
	for xid, err := range p.barrier() {
		p.t.Errorf("%s %s: %v", mods[xid].Command, mods[xid].Flow.String(), err)
	}
}

// dump reads flows back.
func (p *peer) dump(q openflow.FlowQuery) []openflow.Flow {
	p.t.Helper()
	p.send(openflow.AppendFlowStatsRequest(nil, 9, q))
	var out []openflow.Flow
	for more := true; more; {
		var err error
		more, err = openflow.DecodeFlowStats(p.next(openflow.TypeMultipartReply), func(f *openflow.FlowStats) bool {
			out = append(out, f.Flow)
			return true
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	slices.SortFunc(out, func(a, b openflow.Flow) int { return int(int64(a.Cookie) - int64(b.Cookie)) })
	return out
}

var everything = openflow.FlowQuery{Table: openflow.TableAll}

// groundwork makes the group and the meter that features name.
func groundwork(o *ovstest.OVS) {
	o.OFCtl("add-group", "br0", "group_id=1,type=indirect,bucket=output:1")
	o.OFCtl("add-meter", "br0", "meter=1,kbps,band=type=drop,rate=1000")
}

func adds(flows []openflow.Flow) []openflow.FlowMod {
	mods := make([]openflow.FlowMod, len(flows))
	for i, f := range flows {
		mods[i].Flow = f
	}
	return mods
}

// TestSwitchHoldsWhatWasSent sends every modelled flow to a real switch, which must hold
// equal ones, print them in our very text, and find each by its cookie.
func TestSwitchHoldsWhatWasSent(t *testing.T) {
	ovs, p := connect(t)
	groundwork(ovs)
	want := modelled(t)
	p.apply(adds(want)...)
	if diff := cmp.Diff(want, p.dump(everything)); diff != "" {
		t.Errorf("the switch holds other flows (-sent +held):\n%s", diff)
	}

	printed := map[string]bool{}
	for line := range strings.Lines(ovs.OFCtl("dump-flows", "br0", "--no-stats", "--no-names")) {
		printed[strings.TrimSpace(line)] = true
	}
	for _, f := range want {
		if !printed[f.String()] {
			t.Errorf("ovs-ofctl prints no %s", f.String())
		}
		delete(printed, f.String())
	}
	for line := range printed {
		t.Errorf("ovs-ofctl prints     %s", line)
	}

	for _, f := range want[:20] {
		got := p.dump(openflow.FlowQuery{Table: openflow.TableAll, Cookie: f.Cookie, CookieMask: ^uint64(0)})
		if diff := cmp.Diff([]openflow.Flow{f}, got); diff != "" {
			t.Errorf("by cookie %#x (-want +got):\n%s", f.Cookie, diff)
		}
	}
}

// TestSwitchTakesOurText loads every modelled flow's text with ovs-ofctl.
func TestSwitchTakesOurText(t *testing.T) {
	ovs, p := connect(t)
	groundwork(ovs)
	want := modelled(t)
	var text strings.Builder
	for i := range want {
		fmt.Fprintln(&text, want[i].String())
	}
	file := filepath.Join(t.TempDir(), "flows")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ovs.OFCtl("add-flows", "br0", file)
	for i := range want {
		want[i].Actions = asOFCtlSends(want[i].Actions)
	}
	if diff := cmp.Diff(want, p.dump(everything)); diff != "" {
		t.Errorf("the switch holds other flows (-ours +held):\n%s", diff)
	}
}

// asOFCtlSends is what ovs-ofctl makes of actions in OpenFlow 1.3: a masked set_field goes
// out as loads, one for each run of bits under the mask.
func asOFCtlSends(actions []openflow.Action) []openflow.Action {
	var out []openflow.Action
	for _, a := range actions {
		if s, ok := a.(openflow.SetField); ok && !s.Mask.IsZero() {
			out = append(out, loads(s)...)
		} else {
			out = append(out, a)
		}
	}
	return out
}

func loads(s openflow.SetField) []openflow.Action {
	var out []openflow.Action
	for low := 0; low < 128; low++ {
		high := low
		for high < 128 && bit(s.Mask, high) == 1 {
			high++
		}
		if high == low {
			continue
		}
		load := openflow.Load{Target: openflow.Subfield{Field: s.Field, Offset: uint16(low), Bits: uint16(high - low)}}
		for at := low; at < high; at++ {
			load.Value |= bit(s.Value, at) << (at - low)
		}
		out = append(out, load)
		low = high
	}
	return out
}

func bit(v openflow.Value, at int) uint64 {
	if at >= 64 {
		return v.Hi >> (at - 64) & 1
	}
	return v.Lo >> at & 1
}

// TestForeignFlowsSurvive loads the features that this package does not model with
// ovs-ofctl, reads them, sends them back as new flows, and deletes them by what was read.
func TestForeignFlowsSurvive(t *testing.T) {
	ovs, p := connect(t)
	groundwork(ovs)
	ovs.OFCtl("add-tlv-map", "br0", "{class=0xffff,type=0,len=4}->tun_metadata0")
	loaded := 0
	for i, f := range features(t) {
		if _, not := notModelled[f.name]; !not || f.name == "tun_ttl" {
			continue // nothing carries a match on tun_ttl over OpenFlow
		}
		ovs.OFCtl("add-flow", "br0", fmt.Sprintf("cookie=%d,priority=%d,%s", i+1, 10000+i, f.flow))
		loaded++
	}
	held := p.dump(everything)
	if len(held) != loaded {
		t.Fatalf("%d flows read of %d", len(held), loaded)
	}
	copies := make([]openflow.Flow, len(held))
	for i, f := range held {
		if got := mustParse(t, f.String()); !got.Equal(&f) {
			t.Errorf("%s reads back as %s", f.String(), got.String())
		}
		f.Priority += 10000
		copies[i] = f
	}
	p.apply(adds(copies)...)
	deletes := adds(held)
	for i := range deletes {
		deletes[i].Command = openflow.DeleteStrict
	}
	p.apply(deletes...)
	if diff := cmp.Diff(copies, p.dump(everything)); diff != "" {
		t.Errorf("the switch holds other flows (-sent +held):\n%s", diff)
	}
}

// TestSwitchRefusesWhatCannotBeSent sends flows that OpenFlow cannot carry: each brings an
// error of its xid, none changes the switch or ends the session.
func TestSwitchRefusesWhatCannotBeSent(t *testing.T) {
	_, p := connect(t)
	big := make([]openflow.Action, 5000)
	for i := range big {
		big[i] = openflow.Output{Port: 1}
	}
	flows := []openflow.Flow{
		{Match: openflow.Match{{Field: 250, Mask: openflow.U64(1)}}},
		{Match: openflow.Match{openflow.Is(openflow.FieldIPTTL, 256)}},
		{Actions: []openflow.Action{nil, openflow.Output{Port: 1}}},
		{Actions: []openflow.Action{openflow.Clone{Actions: []openflow.Action{openflow.GotoTable{Table: 1}}}}},
		{Actions: big},
	}
	var b []byte
	for i := range flows {
		b = openflow.AppendFlowMod(b, uint32(i), openflow.Add, &flows[i])
	}
	p.send(b)
	errs := p.barrier()
	for i := range flows {
		if errs[uint32(i)] == nil {
			t.Errorf("flow %d was not refused", i)
		}
	}
	if held := p.dump(everything); len(held) != 0 {
		t.Errorf("the switch holds %v", held)
	}
}
