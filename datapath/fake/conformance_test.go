package fake_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath"
	"sluice/datapath/fake"
	"sluice/datapath/openflow"
	"sluice/datapath/ovstest"
)

// patience ends a test that hangs; no test measures time.
const patience = 30 * time.Second

// rig is a switch, simulated or real, with two controllers. A conversation writes down what
// came of it.
type rig struct {
	t          *testing.T
	ctx        context.Context
	s          [2]*datapath.Switch
	addPort    func(name string, number uint32)
	deletePort func(name string, number uint32)
	script     strings.Builder
}

// conversation is what controllers say to a switch, and what must come of it.
type conversation struct {
	name string
	talk func(r *rig)
	want string
}

var conversations = []conversation{
	{"flows", talkFlows, `
		commit 4: done
		all flows:
		  cookie=0x1, priority=9,in_port=1 actions=resubmit(,5)
		  cookie=0x1, table=5, priority=3,ip,nw_dst=10.0.0.0/24 actions=drop
		  cookie=0x2, table=5, priority=3,ip,nw_dst=10.0.1.0/24 actions=drop
		  cookie=0x3, table=7, priority=1 actions=drop
		of cookies 1 and 3:
		  cookie=0x1, priority=9,in_port=1 actions=resubmit(,5)
		  cookie=0x1, table=5, priority=3,ip,nw_dst=10.0.0.0/24 actions=drop
		  cookie=0x3, table=7, priority=1 actions=drop
		of table 5:
		  cookie=0x1, table=5, priority=3,ip,nw_dst=10.0.0.0/24 actions=drop
		  cookie=0x2, table=5, priority=3,ip,nw_dst=10.0.1.0/24 actions=drop
		of no cookie:
	`},
	{"add replaces", talkReplace, `
		commit 1: done
		commit 1: done
		all flows:
		  cookie=0x2, table=1, priority=5,tcp actions=output:2
	`},
	{"meters", talkMeters, `
		no meters: []
		set: done
		two: [{29 1 1000 1500} {30 2 7 7}]
		one has another rate: done
		two: [{29 1 1000 1500} {30 2 8 9}]
	`},
	{"modify", talkModify, `
		commit 3: done
		modify strict, no such flow: done
		modify strict: done
		modify strict, another cookie: done
		modify, wider match: done
		all flows:
		  cookie=0x1, table=1, priority=5,tcp actions=output:7
		  cookie=0x2, table=1, priority=6,udp actions=output:7
		  cookie=0x3, table=2, priority=6,udp actions=output:9
	`},
	{"delete", talkDelete, `
		commit 6: done
		strict, another priority: done
		strict, another cookie: done
		strict: done
		by match in every table: done
		by cookie mask: done
		all flows:
		  cookie=0x1, table=1, priority=1 actions=drop
		  cookie=0x1, table=1, priority=2,tcp,tp_dst=80 actions=drop
	`},
	{"delete and add in one bundle", talkSwap, `
		commit 2: done
		commit 3: done
		all flows:
		  cookie=0x3, table=1, priority=5,tcp actions=drop
		  cookie=0x4, table=1, priority=6,tcp actions=drop
	`},
	{"refused when added", talkRefusedAtAdd, `
		commit 3: refused add of cookie 0x77: bad instruction, bad table
		all flows:
		apply: done, refused add of cookie 0x77: bad instruction, bad table, done
		all flows:
		  cookie=0x1, table=1, priority=1 actions=drop
		  cookie=0x2, table=1, priority=2 actions=drop
		commit 1: done
	`},
	{"refused at commit", talkRefusedAtCommit, `
		commit 1: done
		commit 4: refused add of cookie 0x3: flow mod failed, overlap
		all flows:
		  cookie=0x1, table=1, priority=5,in_port=1 actions=drop
		commit 1, of disjoint matches: done
		commit 1, the same flow again: done
	`},
	{"tables", talkTables, `
		table 255: refused add of cookie 0x1: flow mod failed, bad table
		table 254: not permitted
		goto_table:255: done
		goto_table:253: done
		delete from table 7, which is empty: done
	`},
	{"roles", talkRoles, `
		first: equal at 0, second: equal at 0
		first as master at 5: done
		second as master at 4: stale
		second as slave at 4: stale
		second writes: done
		second as master at 5: done
		first is told: demoted
		first: slave at 5, second: master at 5
		first commits: demoted
		first applies: demoted
		first reads: 2 flows
		second as master at 3: stale
		first as equal at 0: done
		first writes: done
		first as master at 9: done
		second is told: demoted
		second as slave at 8: stale
		second as slave at 9: done
		second: slave at 9
	`},
	{"ports", talkPorts, `
		added sl-one as 11
		ports: sl-one as 11
		added sl-two as 12
		deleted sl-one as 11
		ports: sl-two as 12
	`},
	{"flow removed", talkRemoved, `
		commit 2: done
		commit 1: done
		removed: cookie=0x1, table=1, priority=1,tcp actions=drop for reason 2
		all flows:
	`},
	{"others' changes", talkEdits, `
		first watches: done
		second watches: done
		first commits 2 flows: the other is told
		second commits 1 flow: the other is told
		second changes it: the other is told
		second deletes it: the other is told
		second deletes what is not there: nobody is told
		first watches again: done
		second commits 1 flow: the other is told
		first holds 3 flows, of 1 that it reads of cookie 0x1
	`},
	{"large", talkLarge, `
		commit 5000: done
		read 5000 flows
		read 3 flows of 3 cookies among 300
		commit 5000: done
		read 0 flows
	`},
}

func TestConformance(t *testing.T) {
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			t.Run("simulated", func(t *testing.T) { converse(newFake(t), c) })
			t.Run("Open vSwitch", func(t *testing.T) { converse(newReal(t), c) })
		})
	}
}

func converse(r *rig, c conversation) {
	r.t.Helper()
	c.talk(r)
	want := strings.ReplaceAll(strings.Trim(c.want, "\n\t"), "\t", "") + "\n"
	if diff := cmp.Diff(want, r.script.String()); diff != "" {
		r.t.Errorf("the conversation went (-want +got):\n%s", diff)
	}
}

func newFake(t *testing.T) *rig {
	r := newRig(t)
	s := fake.New(0xfa, openflow.Port{Number: openflow.PortLocal, Name: "br-test"})
	for n := range r.s {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r.s[n] = serve(t, l, func() { go s.Run(t.Context(), "tcp", l.Addr().String()) })
	}
	r.addPort = func(name string, number uint32) { s.SetPort(openflow.Port{Number: number, Name: name}) }
	r.deletePort = func(_ string, number uint32) { s.DeletePort(number) }
	return r
}

func newReal(t *testing.T) *rig {
	r := newRig(t)
	ovs := ovstest.Start(t)
	var listeners [2]net.Listener
	var targets []string
	for n := range listeners {
		l, target := ovs.Listen(fmt.Sprint("controller", n))
		listeners[n], targets = l, append(targets, target)
	}
	ovs.AddBridge("br-test", targets...)
	for n, l := range listeners {
		r.s[n] = serve(t, l, func() {})
	}
	r.addPort = func(name string, number uint32) {
		ovs.AddInternalPort("br-test", name, number)
	}
	r.deletePort = func(name string, _ uint32) { ovs.DeletePort("br-test", name) }
	return r
}

func newRig(t *testing.T) *rig {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return &rig{t: t, ctx: ctx}
}

// serve is a controller's side of the first session on a listener.
func serve(t *testing.T, l net.Listener, dial func()) *datapath.Switch {
	t.Helper()
	sessions := make(chan *datapath.Switch, 4)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	o := datapath.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	go func() {
		ended <- datapath.Serve(ctx, l, o, func(ctx context.Context, s *datapath.Switch) {
			sessions <- s
			<-ctx.Done()
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	dial()
	select {
	case s := <-sessions:
		return s
	case <-time.After(patience):
		t.Fatal("no switch connected")
		return nil
	}
}

func (r *rig) note(format string, args ...any) { fmt.Fprintf(&r.script, format+"\n", args...) }

// flowMods reads flows in ovs-ofctl's words; a deletion needs no actions.
func (r *rig) flowMods(command openflow.Command, flows ...string) []datapath.Mod {
	r.t.Helper()
	var mods []datapath.Mod
	for _, text := range flows {
		if !strings.Contains(text, "actions=") {
			text += ",actions=drop"
		}
		f, err := openflow.ParseFlow(text)
		if err != nil {
			r.t.Fatal(err)
		}
		mods = append(mods, datapath.Mod{Command: command, Flow: f})
	}
	return mods
}

func (r *rig) commit(n int, mods ...datapath.Mod) error {
	return r.s[n].Commit(r.ctx, &datapath.Bundle{Mods: mods})
}

func (r *rig) noteCommit(mods ...datapath.Mod) {
	r.note("commit %d: %s", len(mods), outcome(r.commit(0, mods...)))
}

// one applies one change and notes what came of it.
func (r *rig) one(what string, m datapath.Mod) {
	r.note("%s: %s", what, outcome(r.s[0].Apply(r.ctx, []datapath.Mod{m})[0]))
}

// outcome is an error in the words of the scripts.
func outcome(err error) string {
	var refused *datapath.RefusedError
	var said *openflow.Error
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, datapath.ErrStale):
		return "stale"
	case errors.As(err, &said) && said.Type == openflow.ErrorBadRequest && said.Code == 5:
		return "not permitted" // a session takes that for a demotion too
	case errors.Is(err, datapath.ErrDemoted):
		return "demoted"
	case errors.As(err, &refused) && errors.As(err, &said):
		_, name, _ := strings.Cut(said.Error(), ": ")
		return fmt.Sprintf("refused %s of cookie %#x: %s", refused.Mod.Command, refused.Mod.Flow.Cookie, name)
	}
	return err.Error()
}

func (r *rig) flows(n int, cookies []uint64) []string {
	r.t.Helper()
	var got []string
	err := r.s[n].Flows(r.ctx, cookies, func(f *openflow.FlowStats) bool {
		got = append(got, f.Flow.String())
		return true
	})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

func (r *rig) noteFlows(what string, flows []string) {
	r.note("%s:", what)
	for _, f := range flows {
		r.note("  %s", f)
	}
}

func (r *rig) event(n int) datapath.Event {
	r.t.Helper()
	for {
		select {
		case e, ok := <-r.s[n].Events():
			if !ok {
				r.t.Fatalf("the session ended: %v", r.s[n].Err())
			}
			if p, isPort := e.(datapath.PortEvent); isPort && p.Reason == datapath.PortModified {
				continue // a real interface's link comes and goes
			}
			return e
		case <-r.ctx.Done():
			r.t.Fatal("no event")
		}
	}
}
