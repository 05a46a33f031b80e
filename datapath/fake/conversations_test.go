package fake_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/datapath"
	"sluice/datapath/openflow"
)

func talkFlows(r *rig) {
	r.noteCommit(r.flowMods(openflow.Add,
		"cookie=0x1,table=0,priority=9,in_port=1,actions=resubmit(,5)",
		"cookie=0x1,table=5,priority=3,ip,nw_dst=10.0.0.0/24,actions=drop",
		"cookie=0x2,table=5,priority=3,ip,nw_dst=10.0.1.0/24,actions=drop",
		"cookie=0x3,table=7,priority=1,actions=drop")...)
	r.noteFlows("all flows", r.flows(0, nil))
	r.noteFlows("of cookies 1 and 3", r.flows(1, []uint64{1, 3, 99}))
	var table []string
	err := r.s[0].TableFlows(r.ctx, 5, func(f *openflow.FlowStats) bool {
		table = append(table, f.Flow.String())
		return true
	})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(table)
	r.noteFlows("of table 5", table)
	r.noteFlows("of no cookie", r.flows(0, []uint64{}))
}

func talkReplace(r *rig) {
	r.noteCommit(r.flowMods(openflow.Add, "cookie=0x1,table=1,priority=5,tcp,actions=output:1")...)
	r.noteCommit(r.flowMods(openflow.Add, "cookie=0x2,table=1,priority=5,tcp,actions=output:2")...)
	r.noteFlows("all flows", r.flows(0, nil))
}

func talkMeters(r *rig) {
	read := func(what string) {
		list, err := r.s[0].Meters(r.ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		slices.SortFunc(list, func(a, b openflow.MeterSpec) int { return cmp.Compare(a.ID, b.ID) })
		r.note("%s: %v", what, list)
	}
	read("no meters")
	first := openflow.MeterSpec{ID: 29, Unit: openflow.MeterKilobits, Rate: 1000, Burst: 1500}
	second := openflow.MeterSpec{ID: 30, Unit: openflow.MeterPackets, Rate: 7, Burst: 7}
	r.note("set: %s", outcome(r.s[0].SetMeters(r.ctx, []openflow.MeterSpec{first, second})))
	read("two")
	second.Rate, second.Burst = 8, 9
	r.note("one has another rate: %s", outcome(r.s[0].SetMeters(r.ctx, []openflow.MeterSpec{second})))
	read("two")
}

func talkModify(r *rig) {
	r.noteCommit(r.flowMods(openflow.Add,
		"cookie=0x1,table=1,priority=5,tcp,actions=output:1",
		"cookie=0x2,table=1,priority=6,udp,actions=output:1",
		"cookie=0x3,table=2,priority=6,udp,actions=output:1")...)
	r.one("modify strict, no such flow", r.flowMods(openflow.ModifyStrict, "cookie=0x4,table=3,priority=1,actions=output:4")[0])
	r.one("modify strict", r.flowMods(openflow.ModifyStrict, "cookie=0x9,table=2,priority=6,udp,actions=output:9")[0])
	m := r.flowMods(openflow.ModifyStrict, "cookie=0x9,table=2,priority=6,udp,actions=output:8")[0]
	m.CookieMask = ^uint64(0)
	r.one("modify strict, another cookie", m)
	r.one("modify, wider match", r.flowMods(openflow.Modify, "table=1,ip,actions=output:7")[0])
	r.noteFlows("all flows", r.flows(0, nil))
}

func talkDelete(r *rig) {
	r.noteCommit(r.flowMods(openflow.Add,
		"cookie=0x1,table=1,priority=1,actions=drop",
		"cookie=0x1,table=1,priority=2,tcp,tp_dst=80,actions=drop",
		"cookie=0x1,table=1,priority=3,tcp,tp_dst=443,actions=drop",
		"cookie=0x2,table=2,priority=3,udp,tp_dst=53,actions=drop",
		"cookie=0x22,table=3,priority=3,arp,actions=drop",
		"cookie=0x32,table=4,priority=4,arp,actions=drop")...)
	strict := r.flowMods(openflow.DeleteStrict, "table=1,priority=4,tcp,tp_dst=443", "table=1,priority=3,tcp,tp_dst=443")
	r.one("strict, another priority", strict[0])
	other := strict[1]
	other.Flow.Cookie, other.CookieMask = 7, ^uint64(0)
	r.one("strict, another cookie", other)
	r.one("strict", strict[1])
	everywhere := r.flowMods(openflow.Delete, "udp")[0]
	everywhere.Flow.Table = openflow.TableAll
	r.one("by match in every table", everywhere)
	r.one("by cookie mask", datapath.Mod{Command: openflow.Delete, CookieMask: 0xf,
		Flow: openflow.Flow{Table: openflow.TableAll, Cookie: 2}})
	r.noteFlows("all flows", r.flows(0, nil))
}

func talkSwap(r *rig) {
	r.noteCommit(r.flowMods(openflow.Add,
		"cookie=0x1,table=1,priority=5,tcp,actions=drop", "cookie=0x2,table=1,priority=6,tcp,actions=drop")...)
	deletion := datapath.Mod{Command: openflow.Delete, Flow: openflow.Flow{Table: openflow.TableAll}}
	r.noteCommit(append([]datapath.Mod{deletion}, r.flowMods(openflow.Add,
		"cookie=0x3,table=1,priority=5,tcp,actions=drop", "cookie=0x4,table=1,priority=6,tcp,actions=drop")...)...)
	r.noteFlows("all flows", r.flows(0, nil))
}

func talkRefusedAtAdd(r *rig) {
	mods := r.flowMods(openflow.Add, "cookie=0x1,table=1,priority=1,actions=drop",
		"cookie=0x77,table=7,actions=drop", "cookie=0x2,table=1,priority=2,actions=drop")
	mods[1].Flow.Actions = []openflow.Action{openflow.GotoTable{Table: 3}}
	r.noteCommit(mods...)
	r.noteFlows("all flows", r.flows(0, nil))
	var outcomes []string
	for _, err := range r.s[0].Apply(r.ctx, mods) {
		outcomes = append(outcomes, outcome(err))
	}
	r.note("apply: %s", strings.Join(outcomes, ", "))
	r.noteFlows("all flows", r.flows(0, nil))
	r.noteCommit(r.flowMods(openflow.Add, "cookie=0x3,priority=3,actions=drop")...)
}

func talkRefusedAtCommit(r *rig) {
	r.noteCommit(r.flowMods(openflow.Add, "cookie=0x1,table=1,priority=5,in_port=1,actions=drop")...)
	mods := r.flowMods(openflow.Delete, "table=1,udp")
	mods = append(mods, r.flowMods(openflow.Add, "cookie=0x2,table=1,priority=6,ip,actions=drop",
		"cookie=0x3,table=1,priority=5,ip,actions=drop", "cookie=0x4,table=1,priority=7,actions=drop")...)
	mods[2].Flow.Flags = openflow.CheckOverlap
	r.noteCommit(mods...)
	r.noteFlows("all flows", r.flows(0, nil))
	disjoint := r.flowMods(openflow.Add, "cookie=0x5,table=1,priority=5,in_port=2,ip,actions=drop")[0]
	disjoint.Flow.Flags = openflow.CheckOverlap
	r.note("commit 1, of disjoint matches: %s", outcome(r.commit(0, disjoint)))
	r.note("commit 1, the same flow again: %s", outcome(r.commit(0, disjoint)))
}

func talkTables(r *rig) {
	m := r.flowMods(openflow.Add, "cookie=0x1,table=0,actions=drop")[0]
	for _, table := range []uint8{255, 254} {
		m.Flow.Table = table
		r.one(fmt.Sprintf("table %d", table), m)
	}
	m.Flow.Table = 0
	for _, to := range []uint8{255, 253} {
		m.Flow.Actions = []openflow.Action{openflow.GotoTable{Table: to}}
		r.one(fmt.Sprintf("goto_table:%d", to), m)
	}
	r.one("delete from table 7, which is empty", r.flowMods(openflow.Delete, "table=7")[0])
}

var names = [...]string{"first", "second"}

var roles = map[openflow.Role]string{openflow.RoleEqual: "equal", openflow.RoleMaster: "master", openflow.RoleSlave: "slave"}

func (r *rig) role(n int) string {
	r.t.Helper()
	role, generation, err := r.s[n].Role(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("%s: %s at %d", names[n], roles[role], generation)
}

func (r *rig) become(n int, role openflow.Role, generation uint64) {
	err := r.s[n].Become(r.ctx, role, generation)
	r.note("%s as %s at %d: %s", names[n], roles[role], generation, outcome(err))
}

func (r *rig) told(n int) {
	r.t.Helper()
	if _, ok := r.event(n).(datapath.Demoted); ok {
		r.note("%s is told: demoted", names[n])
	}
}

func talkRoles(r *rig) {
	mods := r.flowMods(openflow.Add, "cookie=0xa,priority=1,actions=drop", "cookie=0xb,priority=2,actions=drop", "cookie=0xc,priority=3,actions=drop")
	r.note("%s, %s", r.role(0), r.role(1))
	r.become(0, openflow.RoleMaster, 5)
	r.become(1, openflow.RoleMaster, 4)
	r.become(1, openflow.RoleSlave, 4)
	r.note("second writes: %s", outcome(r.commit(1, mods[0], mods[1]))) // it is still equal
	r.become(1, openflow.RoleMaster, 5)
	r.told(0)
	r.note("%s, %s", r.role(0), r.role(1))
	r.note("first commits: %s", outcome(r.commit(0, mods[2])))
	r.note("first applies: %s", outcome(r.s[0].Apply(r.ctx, mods[2:])[0]))
	r.note("first reads: %d flows", len(r.flows(0, nil)))
	r.become(1, openflow.RoleMaster, 3)
	r.become(0, openflow.RoleEqual, 0)
	r.note("first writes: %s", outcome(r.commit(0, mods[2])))
	r.become(0, openflow.RoleMaster, 9)
	r.told(1)
	r.become(1, openflow.RoleSlave, 8)
	r.become(1, openflow.RoleSlave, 9)
	r.note("%s", r.role(1))
}

func (r *rig) notePortEvent() {
	if e, ok := r.event(0).(datapath.PortEvent); ok {
		what := map[openflow.PortReason]string{datapath.PortAdded: "added", datapath.PortDeleted: "deleted"}
		r.note("%s %s as %d", what[e.Reason], e.Port.Name, e.Port.Number)
	}
}

func (r *rig) notePorts() {
	ports, err := r.s[0].Ports(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range ports {
		if p.Number != openflow.PortLocal {
			r.note("ports: %s as %d", p.Name, p.Number)
		}
	}
}

func talkPorts(r *rig) {
	r.addPort("sl-one", 11)
	r.notePortEvent()
	r.notePorts()
	r.addPort("sl-two", 12)
	r.notePortEvent()
	r.deletePort("sl-one", 11)
	r.notePortEvent()
	r.notePorts()
}

func talkRemoved(r *rig) {
	mods := r.flowMods(openflow.Add, "cookie=0x1,table=1,priority=1,tcp,actions=output:1", "cookie=0x2,table=1,priority=2,actions=drop")
	mods[0].Flow.Flags = openflow.SendFlowRemoved
	r.noteCommit(mods...)
	r.noteCommit(datapath.Mod{Command: openflow.Delete, Flow: openflow.Flow{Table: openflow.TableAll}})
	if e, ok := r.event(0).(datapath.FlowRemoved); ok {
		r.note("removed: %s for reason %d", &e.Flow, e.Reason)
	}
	r.noteFlows("all flows", r.flows(0, nil))
}

// whoIsTold has one controller change flows and notes who hears of it.
func (r *rig) whoIsTold(n int, what string, mods ...datapath.Mod) {
	r.t.Helper()
	if err := r.commit(n, mods...); err != nil {
		r.t.Fatal(err)
	}
	told := "nobody"
	select {
	case <-r.s[1-n].Edited():
		told = "the other"
	case <-time.After(notTold):
	}
	select {
	case <-r.s[n].Edited():
		told += " and who did it"
	case <-time.After(notTold / 10):
	}
	r.note("%s %s: %s is told", names[n], what, told)
}

// notTold is how long a test waits for what must not come.
const notTold = time.Second

func talkEdits(r *rig) {
	for n := range r.s {
		r.note("%s watches: %s", names[n], outcome(r.s[n].WatchFlows(r.ctx)))
	}
	r.whoIsTold(0, "commits 2 flows", r.flowMods(openflow.Add,
		"cookie=0x1,table=1,priority=5,tcp,actions=drop", "cookie=0x2,table=1,priority=6,tcp,actions=drop")...)
	r.whoIsTold(1, "commits 1 flow", r.flowMods(openflow.Add, "cookie=0x3,table=2,arp,actions=drop")...)
	r.whoIsTold(1, "changes it", r.flowMods(openflow.ModifyStrict, "cookie=0x3,table=2,arp,actions=output:1")...)
	r.whoIsTold(1, "deletes it", r.flowMods(openflow.DeleteStrict, "table=2,arp")...)
	r.whoIsTold(1, "deletes what is not there", r.flowMods(openflow.DeleteStrict, "table=2,arp")...)
	r.note("first watches again: %s", outcome(r.s[0].WatchFlows(r.ctx)))
	r.whoIsTold(1, "commits 1 flow", r.flowMods(openflow.Add, "cookie=0x3,table=2,arp,actions=drop")...)
	count, err := r.s[0].CountFlows(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	r.note("first holds %d flows, of %d that it reads of cookie 0x1", count, len(r.flows(0, []uint64{1})))
}

func talkLarge(r *rig) {
	const flows = 5000
	var mods []datapath.Mod
	for n := range flows {
		mods = append(mods, datapath.Mod{Flow: openflow.Flow{
			Table: 1, Priority: 10, Cookie: uint64(n),
			Match:   openflow.NewMatch(openflow.Is(openflow.FieldMetadata, uint64(n))),
			Actions: []openflow.Action{openflow.Output{Port: 1}, openflow.Output{Port: 2}},
		}})
	}
	r.noteCommit(mods...)
	r.note("read %d flows", len(r.flows(0, nil)))
	cookies := make([]uint64, 300)
	for n := range cookies {
		cookies[n] = uint64(flows - 3 + n)
	}
	r.note("read %d flows of 3 cookies among 300", len(r.flows(1, cookies)))
	for n := range mods {
		mods[n].Command = openflow.DeleteStrict
	}
	r.noteCommit(mods...)
	r.note("read %d flows", len(r.flows(0, nil)))
}
