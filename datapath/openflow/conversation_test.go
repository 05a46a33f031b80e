package openflow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
)

// TestSwitchAnswers asks a real switch all that a session asks.
func TestSwitchAnswers(t *testing.T) {
	ovs, p := connect(t)

	p.send(openflow.AppendFeaturesRequest(nil, 1))
	features, err := openflow.DecodeFeatures(p.next(openflow.TypeFeaturesReply))
	id := strings.Trim(ovs.VSCtl("get", "bridge", "br0", "datapath_id"), "\"\n")
	if got := hex16(features.DatapathID); err != nil || got != id || features.Tables != 254 {
		t.Errorf("features %+v, error %v; want datapath %s and 254 tables", features, err, id)
	}

	p.send(openflow.AppendRoleRequest(nil, 2, openflow.RoleMaster, 5))
	role, generation, err := openflow.DecodeRole(p.next(openflow.TypeRoleReply))
	if err != nil || role != openflow.RoleMaster || generation != 5 {
		t.Errorf("role %d of generation %d, error %v; want master of 5", role, generation, err)
	}
	p.send(openflow.AppendRoleRequest(nil, 3, openflow.RoleMaster, 4))
	if e := p.barrier()[3]; e == nil || !e.StaleError() {
		t.Errorf("master of an older generation: %v, want a stale generation", e)
	}

	p.send(openflow.AppendPortDescRequest(nil, 4))
	ports, more, err := openflow.DecodePortDesc(p.next(openflow.TypeMultipartReply))
	if err != nil || more || len(ports) != 1 || ports[0].Name != "br0" || ports[0].Number != openflow.PortLocal {
		t.Errorf("ports %+v, more %v, error %v; want br0 alone", ports, more, err)
	}

	p.send(openflow.AppendEchoRequest(nil, 5, []byte("sluice")))
	if reply := p.next(openflow.TypeEchoReply); string(reply[openflow.HeaderLength:]) != "sluice" {
		t.Errorf("echo of %q", reply)
	}
}

func hex16(v uint64) string {
	const digits = "0123456789abcdef"
	var b [16]byte
	for i := range b {
		b[i] = digits[v>>(60-4*i)&15]
	}
	return string(b[:])
}

// TestSwitchTells waits for what a switch says unasked.
func TestSwitchTells(t *testing.T) {
	ovs, p := connect(t)
	ovs.AddInternalPort("br0", "sluice-p7", 7)
	status, err := openflow.DecodePortStatus(p.next(openflow.TypePortStatus))
	if err != nil || status.Reason != openflow.PortAdded || status.Port.Name != "sluice-p7" || status.Port.Number != 7 {
		t.Errorf("port status %+v, error %v; want sluice-p7 added as 7", status, err)
	}

	f := mustParse(t, "cookie=0x77, table=3, send_flow_rem priority=9,tcp,tp_dst=80 actions=drop")
	p.apply(openflow.FlowMod{Flow: f})
	p.send(openflow.AppendFlowModCookie(nil, 1, openflow.Delete, &openflow.Flow{Table: openflow.TableAll, Cookie: 0x77}, ^uint64(0)))
	removed, err := openflow.DecodeFlowRemoved(p.next(openflow.TypeFlowRemoved))
	if err != nil || removed.Reason != openflow.RemovedDelete {
		t.Fatalf("flow removed %+v, error %v", removed, err)
	}
	want := f
	want.Flags = 0
	if diff := cmp.Diff(want, removed.Flow); diff != "" {
		t.Errorf("another flow was removed (-want +got):\n%s", diff)
	}
}

// bundle sends a bundle of mods up to its commit, or discards it where a mod was refused.
func (p *peer) bundle(mods ...openflow.FlowMod) map[uint32]*openflow.Error {
	p.t.Helper()
	const flags = openflow.BundleAtomic | openflow.BundleOrdered
	step := func(xid uint32, ask, want openflow.BundleStep) {
		p.send(openflow.AppendBundleControl(nil, xid, openflow.BundleControl{Bundle: 1, Step: ask, Flags: flags}))
		got, err := openflow.DecodeBundleControl(p.next(openflow.TypeExperimenter))
		if err != nil || got.Step != want || got.Bundle != 1 {
			p.t.Fatalf("bundle step %d answered by %+v, error %v", ask, got, err)
		}
	}
	step(100, openflow.BundleOpen, openflow.BundleOpened)
	for i := range mods {
		p.send(openflow.AppendBundleFlowMod(nil, uint32(i), 1, flags, &mods[i]))
	}
	errs := p.barrier()
	if len(errs) > 0 {
		step(101, openflow.BundleDiscard, openflow.BundleDiscarded)
		return errs
	}
	step(101, openflow.BundleCommit, openflow.BundleCommitted)
	return nil
}

// TestSwitchTakesBundles commits one, and discards one of which a flow was refused.
func TestSwitchTakesBundles(t *testing.T) {
	_, p := connect(t)
	first := mustParse(t, "cookie=0x1, priority=1,ip actions=drop")
	second := mustParse(t, "cookie=0x2, priority=2,ip actions=goto_table:1")
	if errs := p.bundle(openflow.FlowMod{Flow: first}, openflow.FlowMod{Flow: second}); errs != nil {
		t.Fatalf("refused: %v", errs)
	}
	want := []openflow.Flow{first, second}
	if diff := cmp.Diff(want, p.dump(everything)); diff != "" {
		t.Errorf("after the commit (-want +got):\n%s", diff)
	}

	bad := openflow.Flow{Priority: 3, Match: openflow.Match{openflow.Is(openflow.FieldTCPDst, 80)}}
	errs := p.bundle(openflow.FlowMod{Command: openflow.DeleteStrict, Flow: first}, openflow.FlowMod{Flow: bad})
	if e := errs[1]; e == nil || !strings.Contains(e.Error(), "bad prerequisite") || len(errs) != 1 {
		t.Errorf("errors %v, want a bad prerequisite for the second mod alone", errs)
	}
	if diff := cmp.Diff(want, p.dump(everything)); diff != "" {
		t.Errorf("after the discard (-want +got):\n%s", diff)
	}
}

// TestModifyKeepsWhatItShould changes actions alone, and adds nothing where no flow is.
func TestModifyKeepsWhatItShould(t *testing.T) {
	_, p := connect(t)
	f := mustParse(t, "cookie=0x1, priority=1,ip actions=drop")
	p.apply(openflow.FlowMod{Flow: f})
	f.Actions = []openflow.Action{openflow.GotoTable{Table: 9}}
	absent := mustParse(t, "cookie=0x2, priority=2,ip actions=drop")
	p.apply(openflow.FlowMod{Command: openflow.ModifyStrict, Flow: f}, openflow.FlowMod{Command: openflow.ModifyStrict, Flow: absent})
	if diff := cmp.Diff([]openflow.Flow{f}, p.dump(everything)); diff != "" {
		t.Errorf("after modify_strict (-want +got):\n%s", diff)
	}
}
