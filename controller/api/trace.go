package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sluice/controller/access"
	"sluice/controller/client"
	"sluice/controller/host"
	"sluice/datapath/openflow"
	"sluice/flows"
	"sluice/flows/trace"
	"sluice/store"
)

// assumed is said of flows of a switch that never told its ports.
const assumed = "its switch never told its ports to this controller: their numbers are assumed"

func (s *server) traces(a huma.API) {
	op := operation("trace-packet", http.MethodGet, "/v1/trace", "flows", "Follow a packet through the switches", access.Read)
	op.Description = "Host by host and table by table, with the flow that decided each step, its owner, and the verdict in one sentence. " +
		"The tables are read from the switches for this request; a host of which they cannot be read is told, and complete is false. " +
		"Connections are not those that the switches know: for any state but new, the packets that lead to it are walked before it. " +
		"A tenant's token traces from its own ports, and sees the texts of no flows."
	op.Errors = append(op.Errors, http.StatusNotFound, http.StatusGone)
	huma.Register(a, op, s.traceOne)
}

// Question is what a query asks.
func Question(q *client.TraceQuery) trace.Question {
	return trace.Question{From: q.From, To: q.To, Proto: q.Proto, SrcPort: q.SrcPort, DstPort: q.DstPort, TTL: q.TTL, State: trace.State(q.State)}
}

func (s *server) traceOne(ctx context.Context, in *client.TraceQuery) (*body[client.Trace], error) {
	caller := access.From(ctx)
	view, past := s.Controller.View, (*store.State)(nil)
	var err error
	if in.At > 0 {
		if past, err = s.pastFor(ctx, caller, in.At); err != nil {
			return nil, s.refuse(err)
		}
		view, in.View = func(f func(*store.State)) { f(past) }, client.ViewDesired
	}
	var t *trace.Trace
	view(func(state *store.State) { t, err = trace.Ask(state, caller.Sees, Question(in)) })
	if err != nil {
		return nil, s.refuse(err)
	}
	leave, err := s.enterTrace(ctx, caller)
	if err != nil {
		return nil, s.refuse(err)
	}
	defer leave()
	r := traceReader{server: s, ctx: ctx, view: in.View, past: past, operator: caller.Sees("")}
	t.Run(r.tables)
	if err := ctx.Err(); err != nil {
		return nil, s.refuse(fmt.Errorf("trace from %s to %s: read the switches: %w", in.From, in.To, err))
	}
	out := &body[client.Trace]{client.Trace{View: in.View, At: in.At, Tables: r.read}}
	view(func(state *store.State) { out.Body.Answer = t.Answer(state) })
	return out, nil
}

// enterTrace waits until the tables of hosts may be held, as for a list of flows. Those with a tenant's
// token wait for each other too: they are not to keep the operators waiting.
func (s *server) enterTrace(ctx context.Context, caller access.Caller) (leave func(), err error) {
	waited := func(err error) error { return fmt.Errorf("trace: wait for others that read flows: %w", err) }
	if !caller.Sees("") {
		if err := s.tenantTraces.Acquire(ctx, 1); err != nil {
			return nil, waited(err)
		}
	}
	if err := s.dumps.Acquire(ctx, 1); err != nil {
		if !caller.Sees("") {
			s.tenantTraces.Release(1)
		}
		return nil, waited(err)
	}
	return func() {
		s.dumps.Release(1)
		if !caller.Sees("") {
			s.tenantTraces.Release(1)
		}
	}, nil
}

// tablesTime bounds how long a trace waits for a switch that is busy, or does not answer.
const tablesTime = 15 * time.Second

// Bounds of what one trace keeps in memory: a broadcast enters all hosts of its network.
const (
	tracedHosts = 16
	tracedFlows = 500_000
)

// traceReader reads the tables of hosts for one trace, and notes how.
type traceReader struct {
	*server
	ctx      context.Context
	view     string
	past     *store.State // over whose flows it goes; nil: now
	operator bool         // may be told what is the cluster's
	read     []client.TracedTables
}

// tables are those of one host. An error says why they are not known.
func (r *traceReader) tables(name string) (trace.Tables, error) {
	at := client.TracedTables{Host: name, Read: time.Now().UTC()}
	tables, problem, err := r.tablesOf(name)
	if err != nil {
		problem = err.Error()
	}
	at.Flows = len(tables.Flows)
	if r.operator {
		at.Problem = problem
	} else if problem != "" {
		at.Problem = "they are not known, or not wholly right"
	}
	r.read = append(r.read, at)
	return tables, err
}

// kept is of how many hosts flows were read so far, and how many.
func (r *traceReader) kept() (hosts, n int) {
	for _, t := range r.read {
		if n += t.Flows; t.Flows > 0 {
			hosts++
		}
	}
	return hosts, n
}

func (r *traceReader) tablesOf(name string) (t trace.Tables, problem string, err error) {
	if hosts, n := r.kept(); hosts >= tracedHosts || n >= tracedFlows {
		return t, "", fmt.Errorf("this trace has read %d flows of %d hosts, and one trace reads no more", n, hosts)
	}
	if r.past != nil {
		return r.pastTables(name)
	}
	ports, told, err := r.Controller.Ports(name)
	if err != nil {
		return t, "", err
	}
	t.Ports = ports
	if !told {
		problem = assumed
	}
	if r.view == client.ViewDesired {
		t.Flows, _, err = r.Controller.Desired(name)
		return t, problem, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, tablesTime)
	defer cancel()
	installed, err := r.Controller.Installed(ctx, name)
	if err != nil {
		return t, "", r.unread(name, err)
	}
	t.Flows = make([]openflow.Flow, len(installed))
	for i := range installed {
		t.Flows[i] = installed[i].Flow
	}
	return t, problem, nil
}

// pastTables are those that a host was to have.
func (r *traceReader) pastTables(name string) (t trace.Tables, problem string, err error) {
	sw, gone := r.Controller.SwitchAt(name, r.past)
	t.Flows, _ = flows.Desired(r.past, sw)
	t.Ports = sw.OFPort
	if gone > 0 {
		problem = fmt.Sprintf("%d interfaces of then are not on its switch now: their numbers are assumed", gone)
	}
	return t, problem, nil
}

// unread says why the flows of a host are not known, and what to do.
func (r *traceReader) unread(name string, err error) error {
	if !errors.As(err, &host.ErrNotConnected{}) {
		return fmt.Errorf("its tables were not read whole: %w", err)
	}
	var why string
	r.Controller.View(func(state *store.State) { why = r.away(state, name) })
	return errors.New(why + "; --desired shows what it should hold")
}
