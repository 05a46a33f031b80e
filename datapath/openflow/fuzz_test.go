package openflow_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
)

// FuzzParseFlow holds that what was read is written so that it reads the same, and that it
// survives the wire wherever the wire can carry it.
func FuzzParseFlow(f *testing.F) {
	for _, line := range workedFlows(f) {
		f.Add(line)
	}
	for _, x := range features(f) {
		f.Add(x.flow)
	}
	f.Add("oxm=0x80004e0401020304,actions=opaque(0017000800000005),write_metadata:0x1/0xf")
	f.Add("vlan_tci=0x2000/0x2000,idle_timeout=3,check_overlap,actions=ct(exec(clone(ct(nat(dst=[fe80::1]-[fe80::2]:1-2,hash)))))")
	f.Fuzz(func(t *testing.T, s string) {
		x, err := openflow.ParseFlow(s)
		if err != nil {
			return
		}
		text := x.String()
		y, err := openflow.ParseFlow(text)
		if err != nil {
			t.Fatalf("%q\nis written as %q: %v", s, text, err)
		}
		if diff := cmp.Diff(x, y); diff != "" {
			t.Fatalf("%q\nis written as %q (-read +read back):\n%s", s, text, diff)
		}
		b := openflow.AppendFlowMod(nil, 1, openflow.Add, &x)
		m, err := openflow.DecodeFlowMod(b)
		if err != nil {
			t.Fatalf("%s does not decode: %v", text, err)
		}
		if c := openflow.AppendFlowMod(nil, 1, openflow.Add, &m.Flow); !bytes.Equal(b, c) {
			t.Fatalf("%s\nencodes as %x\nthen as    %x", text, b, c)
		}
	})
}

// sameFlow holds what must be true of every flow that came off the wire: its text and its
// bytes read back as the same flow.
func sameFlow(t *testing.T, x *openflow.Flow) {
	t.Helper()
	text := x.String()
	y, err := openflow.ParseFlow(text)
	if err != nil {
		t.Fatalf("text %q: %v", text, err)
	}
	if !x.Equal(&y) {
		t.Fatalf("%q reads back as %q", text, y.String())
	}
	m, err := openflow.DecodeFlowMod(openflow.AppendFlowMod(nil, 1, openflow.Add, x))
	if err != nil {
		t.Fatalf("%q does not decode: %v", text, err)
	}
	if diff := cmp.Diff(*x, m.Flow); diff != "" {
		t.Fatalf("%q decodes differently (-want +got):\n%s", text, diff)
	}
}

// framed gives mutated bytes a header that fits them, so that they get past it.
func framed(b []byte, t openflow.Type) []byte {
	if len(b) < openflow.HeaderLength || len(b) > 1<<15 {
		return nil // near the longest message the canonical form may be longer still
	}
	b = bytes.Clone(b)
	b[0], b[1] = openflow.Version, byte(t)
	return openflow.EndMessage(b, 0)
}

func FuzzDecodeFlowMod(f *testing.F) {
	for _, x := range modelled(f) {
		f.Add(openflow.AppendFlowMod(nil, 1, openflow.Add, &x))
	}
	empty := openflow.Flow{Actions: []openflow.Action{openflow.WriteActions{}, openflow.Clone{}, openflow.WriteMetadata{Value: 3, Mask: 1}}}
	f.Add(openflow.AppendFlowMod(nil, 1, openflow.Add, &empty))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := openflow.DecodeFlowMod(framed(b, openflow.TypeFlowMod))
		if err != nil {
			return
		}
		sameFlow(t, &m.Flow)
	})
}

func FuzzDecodeFlowStats(f *testing.F) {
	for _, x := range modelled(f) {
		b := openflow.AppendFlowStatsReply(nil, 1, false)
		b = openflow.AppendFlowStats(b, &openflow.FlowStats{Flow: x, Packets: 1})
		f.Add(openflow.EndMessage(b, 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		openflow.DecodeFlowStats(framed(b, openflow.TypeMultipartReply), func(s *openflow.FlowStats) bool {
			sameFlow(t, &s.Flow)
			return true
		})
	})
}

// FuzzDecodeMessages feeds every other decoder, which must neither panic nor accept what
// it would not write the same way.
func FuzzDecodeMessages(f *testing.F) {
	port := openflow.Port{Number: 7, Name: "sixteen-letters!", MAC: [6]byte{2, 0, 0, 0, 0, 1}, State: 1}
	flow := mustParse(f, "cookie=0x7, table=3, priority=9,tcp,tp_dst=80 actions=drop")
	request := openflow.AppendFlowMod(nil, 7, openflow.Add, &flow)
	for _, b := range [][]byte{
		openflow.AppendHello(nil, 1),
		openflow.AppendEchoRequest(nil, 1, []byte("x")),
		openflow.AppendFeaturesReply(nil, 1, openflow.Features{DatapathID: 7, Tables: 254}),
		openflow.AppendRoleReply(nil, 1, openflow.RoleMaster, 3),
		openflow.AppendPortDescReply(nil, 1, []openflow.Port{port}, true),
		openflow.AppendPortStatus(nil, 1, openflow.PortStatus{Reason: openflow.PortDeleted, Port: port}),
		openflow.AppendFlowStatsRequest(nil, 1, openflow.FlowQuery{Table: 3, Cookie: 1, CookieMask: 1, Match: flow.Match}),
		openflow.AppendFlowRemoved(nil, 1, &openflow.FlowRemoved{FlowStats: openflow.FlowStats{Flow: flow}}),
		openflow.AppendBundleControl(nil, 1, openflow.BundleControl{Bundle: 1, Step: openflow.BundleCommitted}),
		openflow.AppendBundleFlowMod(nil, 1, 1, openflow.BundleAtomic, &openflow.FlowMod{Flow: flow}),
		openflow.AppendRoleStatus(nil, 1, openflow.RoleStatus{Role: openflow.RoleSlave, Generation: 2}),
		openflow.AppendError(nil, &openflow.Error{Type: openflow.ErrorBadMatch, Code: 9}, request),
		openflow.AppendError(nil, &openflow.Error{Type: openflow.ErrorExtension, Code: 2313, Experimenter: 0x4f4e4600}, request),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1 {
			b = framed(b, openflow.Type(b[1]))
		}
		openflow.DecodeHello(b)
		openflow.DecodeMultipart(b)
		openflow.DecodeExperimenter(b)
		if e, err := openflow.DecodeError(b); err == nil && e.Error() == "" {
			t.Error("an error without words")
		}
		if x, err := openflow.DecodeBundleAdd(b); err == nil && len(x.Message) < openflow.HeaderLength {
			t.Errorf("bundled message of %d bytes", len(x.Message))
		}
		rereads(t, b, openflow.DecodeFeatures, func(x openflow.Features) []byte { return openflow.AppendFeaturesReply(nil, 1, x) })
		rereads(t, b, openflow.DecodePortStatus, func(x openflow.PortStatus) []byte { return openflow.AppendPortStatus(nil, 1, x) })
		rereads(t, b, openflow.DecodeFlowStatsRequest, func(x openflow.FlowQuery) []byte { return openflow.AppendFlowStatsRequest(nil, 1, x) })
		rereads(t, b, openflow.DecodeFlowRemoved, func(x openflow.FlowRemoved) []byte { return openflow.AppendFlowRemoved(nil, 1, &x) })
		rereads(t, b, openflow.DecodeBundleControl, func(x openflow.BundleControl) []byte { return openflow.AppendBundleControl(nil, 1, x) })
		rereads(t, b, openflow.DecodeRoleStatus, func(x openflow.RoleStatus) []byte { return openflow.AppendRoleStatus(nil, 1, x) })
		if ports, more, err := openflow.DecodePortDesc(b); err == nil {
			rereads(t, openflow.AppendPortDescReply(nil, 1, ports, more), func(b []byte) ([]openflow.Port, error) {
				ports, _, err := openflow.DecodePortDesc(b)
				return ports, err
			}, func(x []openflow.Port) []byte { return openflow.AppendPortDescReply(nil, 1, x, more) })
		}
		if r, g, err := openflow.DecodeRole(b); err == nil {
			if r2, g2, err := openflow.DecodeRole(openflow.AppendRoleReply(nil, 1, r, g)); err != nil || r2 != r || g2 != g {
				t.Errorf("role %d, %d reads back as %d, %d: %v", r, g, r2, g2, err)
			}
		}
	})
}

// rereads holds that what was read is written so that it reads the same.
func rereads[T any](t *testing.T, b []byte, decode func([]byte) (T, error), encode func(T) []byte) {
	t.Helper()
	x, err := decode(b)
	if err != nil {
		return
	}
	y, err := decode(encode(x))
	if err != nil {
		t.Fatalf("%+v does not read back: %v", x, err)
	}
	if diff := cmp.Diff(x, y); diff != "" {
		t.Fatalf("reads back differently (-want +got):\n%s", diff)
	}
}
