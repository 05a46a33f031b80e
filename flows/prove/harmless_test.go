package prove_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/prove"

	of "sluice/datapath/openflow"
)

// Rewrites that change nothing of what a switch does are proved as what they were.
func TestHarmlessRewritesAreProved(t *testing.T) {
	for name, rewrite := range map[string]func(*rand.Rand, of.Flow) []of.Flow{
		"set_field in the place of load":   func(_ *rand.Rand, f of.Flow) []of.Flow { return withActions(f, loadAsSet) },
		"load in the place of set_field":   func(_ *rand.Rand, f of.Flow) []of.Flow { return withActions(f, setAsLoad) },
		"a register written by halves":     func(_ *rand.Rand, f of.Flow) []of.Flow { return withActions(f, halved) },
		"metadata by load":                 func(_ *rand.Rand, f of.Flow) []of.Flow { return withActions(f, metadataByLoad) },
		"moves by the stack":               func(_ *rand.Rand, f of.Flow) []of.Flow { return withActions(f, moveByStack) },
		"outputs in a clone":               func(_ *rand.Rand, f of.Flow) []of.Flow { return withActions(f, outputInClone) },
		"split by a bit of the source MAC": split,
		"priorities doubled":               func(_ *rand.Rand, f of.Flow) []of.Flow { f.Priority *= 2; return []of.Flow{f} },
		"priorities plus one":              func(_ *rand.Rand, f of.Flow) []of.Flow { f.Priority++; return []of.Flow{f} },
		"drops without a reason":           func(_ *rand.Rand, f of.Flow) []of.Flow { return dropAtOnce(f) },
		"tables without order renumbered":  renumbered,
		"refusals of which one is another": func(_ *rand.Rand, f of.Flow) []of.Flow { return []of.Flow{f, wider(f)} },
	} {
		t.Run(name, func(t *testing.T) {
			changed := 0
			for seed := range worldsProved() / 20 {
				w := worlds.New(seed)
				for _, sw := range w.Switches() {
					all, _ := flows.Desired(w.State, sw)
					var list []of.Flow
					for _, f := range all {
						list = append(list, rewrite(w.Rand, f)...)
					}
					changed += differing(all, list)
					for _, f := range prove.Host(w.State, prove.Tables{Switch: sw, Flows: list}) {
						t.Fatalf("seed %d: false alarm: %s", seed, &f)
					}
				}
			}
			if changed < 10 {
				t.Errorf("only %d flows were rewritten", changed)
			}
		})
	}
}

func differing(before, after []of.Flow) (n int) {
	for i := range after {
		if i >= len(before) || !before[i].Match.Equal(after[i].Match) || before[i].Priority != after[i].Priority ||
			!slices.EqualFunc(before[i].Actions, after[i].Actions, func(a, b of.Action) bool {
				return text(a) == text(b)
			}) {
			n++
		}
	}
	return n
}

func text(a of.Action) string {
	f := of.Flow{Actions: []of.Action{a}}
	return f.String()
}

// withActions rewrites each action.
func withActions(f of.Flow, rewrite func(of.Action) []of.Action) []of.Flow {
	var list []of.Action
	for _, a := range f.Actions {
		list = append(list, rewrite(a)...)
	}
	f.Actions = list
	return []of.Flow{f}
}

func loadAsSet(a of.Action) []of.Action {
	if l, ok := a.(of.Load); ok && l.Target.Field != of.FieldInPort {
		return []of.Action{of.SetField{Field: l.Target.Field, Value: of.U64(l.Value)}}
	}
	return []of.Action{a}
}

func setAsLoad(a of.Action) []of.Action {
	if s, ok := a.(of.SetField); ok && s.Field.Bits() <= 64 && s.Field != of.FieldVLANVID && s.Mask.IsZero() {
		return []of.Action{of.Load{Target: of.Subfield{Field: s.Field}, Value: s.Value.Lo}}
	}
	return []of.Action{a}
}

func halved(a of.Action) []of.Action {
	l, ok := a.(of.Load)
	if !ok || l.Target.Field < of.FieldReg0 || l.Target.Field > of.FieldReg4 {
		return []of.Action{a}
	}
	return []of.Action{
		of.Load{Target: of.Subfield{Field: l.Target.Field, Offset: 16, Bits: 16}, Value: l.Value >> 16},
		of.SetField{Field: l.Target.Field, Value: of.U64(l.Value & 0xffff), Mask: of.U64(0xffff)},
	}
}

func metadataByLoad(a of.Action) []of.Action {
	if m, ok := a.(of.WriteMetadata); ok {
		return []of.Action{
			of.Load{Target: of.Subfield{Field: of.FieldMetadata, Offset: 32, Bits: 32}, Value: m.Value >> 32},
			of.Load{Target: of.Subfield{Field: of.FieldMetadata, Bits: 32}, Value: m.Value & 0xffffffff},
		}
	}
	return []of.Action{a}
}

func moveByStack(a of.Action) []of.Action {
	if m, ok := a.(of.Move); ok {
		return []of.Action{of.Push{Source: m.Source}, of.Pop{Target: m.Target}}
	}
	return []of.Action{a}
}

func outputInClone(a of.Action) []of.Action {
	if o, ok := a.(of.Output); ok {
		return []of.Action{of.Clone{Actions: []of.Action{o}}}
	}
	return []of.Action{a}
}

// split makes two flows of one, which together match what it did.
func split(r *rand.Rand, f of.Flow) []of.Flow {
	if _, has := f.Match.Get(of.FieldEthSrc); has {
		return []of.Flow{f}
	}
	bit := of.U64(1 << r.IntN(48))
	one, other := f, f
	one.Match = of.NewMatch(append(slices.Clone(f.Match), of.Masked(of.FieldEthSrc, bit, bit))...)
	other.Match = of.NewMatch(append(slices.Clone(f.Match), of.Masked(of.FieldEthSrc, of.U64(0), bit))...)
	return []of.Flow{one, other}
}

// dropAtOnce drops where the flow went to the drop table.
func dropAtOnce(f of.Flow) []of.Flow {
	if n := len(f.Actions); n > 0 && f.Actions[n-1] == (of.GotoTable{Table: flows.TableDrop}) {
		f.Actions = nil
	}
	return []of.Flow{f}
}

// renumbered gives a flow any priority, in tables whose refusals protect nobody.
func renumbered(r *rand.Rand, f of.Flow) []of.Flow {
	if slices.Contains([]uint8{flows.TableForward, flows.TableL3Resolve, flows.TableResolve, flows.TableDeliver, flows.TableDecap, flows.TableTrunk,
		flows.TableClassify, flows.TableAccountIn, flows.TableAnswer, flows.TableHop, flows.TableNATKnown, flows.TableNATOut}, f.Table) {
		f.Priority = uint16(r.IntN(1000))
	}
	return []of.Flow{f}
}

// wider is a refusal that refuses more, below all that pass.
func wider(f of.Flow) of.Flow {
	if n := len(f.Actions); n > 0 && f.Actions[n-1] == (of.GotoTable{Table: flows.TableDrop}) {
		f.Match, f.Priority = nil, 1
	}
	return f
}

// A merged flow is proved where all that it matches may pass.
func TestMergedFlowsAreProved(t *testing.T) {
	c := newCluster(t)
	// 10.0.0.128/25 in two halves, one of them cut in two again.
	c.edit("h1", "port alice/default/a1", "dl_src=02:00:00:00:00:11,nw_src=10.0.0.128/25", "dl_src=02:00:00:00:00:11,nw_src=10.0.0.128/26")
	c.edit("h1", "port alice/default/a1", "", "table=10,priority=201,ip,reg1=0x65,dl_src=02:00:00:00:00:11,nw_src=10.0.0.192/26 actions=goto_table:30")
	// One refusal for what two refused.
	c.edit("h1", "base", "table=54, priority=200,ip,nw_dst=192.0.2.0/24", "table=54, priority=200,ip,nw_dst=192.0.2.0/25")
	c.edit("h1", "base", "", "table=54, priority=201,ip,nw_dst=192.0.2.128/25 actions=drop")
	c.edit("h1", "base", "udp,tp_src=67", "")
	c.edit("h1", "base", "", "table=10, priority=999,udp,tp_src=66/0xfffe actions=drop")
	if found := texts(prove.Host(c.state, *c.at("h1"))); len(found) > 0 {
		t.Errorf("false alarms:\n%s", strings.Join(found, "\n"))
	}
}

// Flows that are missing are drift: each alone may be away but for those that refuse what others pass.
func TestMissingFlowsAreNoFindings(t *testing.T) {
	c := newCluster(t)
	at := c.at("h1")
	findings := 0
	for i := range at.Flows {
		f := at.Flows[i]
		refuses := len(f.Actions) == 0 || len(f.Actions) > 0 && f.Actions[len(f.Actions)-1] == (of.GotoTable{Table: flows.TableDrop})
		found := prove.Host(c.state, prove.Tables{Switch: at.Switch, Flows: slices.Delete(slices.Clone(at.Flows), i, i+1)})
		if len(found) > 0 && !refuses {
			t.Errorf("without %s: %s", &f, &found[0])
		}
		findings += len(found)
	}
	if findings < 10 {
		t.Errorf("only %d findings without refusals", findings)
	}
}

// What passes and never fires is told with what is before it.
func TestShadowIsNamed(t *testing.T) {
	c := newCluster(t)
	c.edit("h1", "port bob/default/b1", "", "table=80,priority=90,metadata=0x700000070,dl_dst=02:00:00:00:00:11 actions=load:0x68->NXM_NX_REG2[],goto_table:90")
	found := prove.Host(c.state, *c.at("h1"))
	if len(found) == 0 || found[0].ShadowedBy == nil || !strings.Contains(found[0].ShadowedBy.String(), "table=80, priority=100,metadata=0x700000070,dl_dst=02:00:00:00:00:11") {
		t.Fatalf("found %v", texts(found))
	}
	if !strings.Contains(found[0].String(), "it never fires, since") {
		t.Errorf("%s", &found[0])
	}
}
