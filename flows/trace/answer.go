package trace

import (
	"fmt"
	"slices"
	"strings"

	"sluice/flows"
	"sluice/flows/simulate"
	"sluice/flows/trace/told"
	"sluice/store"
)

type ( // see package told
	// Verdict is what became of a packet, in a word.
	Verdict = told.Verdict
	// Answer is what became of the packet that a Question asks for.
	Answer = told.Answer
	// Walk is one packet's way.
	Walk = told.Walk
	// End is what became of the packet, or of one copy.
	End = told.End
	// Hop is the packet's way through one switch.
	Hop = told.Hop
	// Step is a visit of one table.
	Step = told.Step
)

// Verdicts.
const (
	Delivered = told.Delivered
	Answered  = told.Answered
	Left      = told.Left
	Unknown   = told.Unknown
	Lost      = told.Lost
	Dropped   = told.Dropped
)

// Answer says what became of the packets, by the names that the State has now.
func (t *Trace) Answer(s *store.State) Answer {
	d := describer{finder: finder{s, t.sees}, trace: t}
	last := len(t.stages) - 1
	a := Answer{From: t.fromName(), To: t.toName(), State: t.State, Complete: true}
	for i := range t.stages {
		walk := d.walk(&t.stages[i])
		if i < last {
			a.Before = append(a.Before, walk)
		} else {
			a.Walk = walk
		}
	}
	t.judge(&a)
	a.Notes = d.notes(&a)
	return a
}

func (t *Trace) fromName() string {
	if t.from.isPort() {
		return nameOf(t.from.port)
	}
	return t.asked.from.String()
}

// toName is the port that was meant, or the address with its port's name where one has it.
func (t *Trace) toName() string {
	if t.meant != "" || !t.asked.to.address.IsValid() {
		return t.meant
	}
	return t.asked.to.address.String()
}

// order is that of verdicts: of several ends the first counts.
var order = []Verdict{Delivered, Answered, Left, Unknown, Lost, Dropped}

// judge makes one verdict of all ends.
func (t *Trace) judge(a *Answer) {
	ends := a.Ends
	if loud := spoken(a.Ends); len(loud) > 0 {
		ends = loud
	}
	var texts []string
	for _, v := range order {
		for i := range ends {
			e := &ends[i]
			if e.Verdict != v {
				continue
			}
			if a.Verdict == "" {
				a.Verdict, a.Reason, a.Allow = v, e.Reason, e.Allow
			}
			a.Complete = a.Complete && v != Unknown
			texts = append(texts, e.Text)
		}
	}
	a.Text = strings.Join(texts, "; ")
	if !t.whole {
		a.Text = fmt.Sprintf("%s: %s; so the packet itself is not sent", a.About, a.Text)
		if a.Verdict != Unknown && a.Verdict != Lost {
			a.Verdict = Dropped // also where another than the one that should got it
		}
	}
}

// spoken are the ends that were not to be expected of any copy.
func spoken(ends []End) (loud []End) {
	for _, e := range ends {
		if !e.Quiet {
			loud = append(loud, e)
		}
	}
	return loud
}

// notes are what the reader must know besides.
func (d *describer) notes(a *Answer) (notes []string) {
	if d.trace.from.isPort() && d.meansAnother() && !reaches(a, d.trace.meant) {
		notes = append(notes, fmt.Sprintf("port %s is another tenant's: in %s's networks %s is somebody else's address, or nobody's",
			d.trace.meant, d.trace.from.tenant, d.trace.to.ip))
	}
	for _, e := range a.Ends {
		if d.trace.whole && e.Port != "" && d.trace.meant != "" && e.Port != d.trace.meant {
			notes = append(notes, fmt.Sprintf("%s is not %s", e.Port, d.trace.meant))
		}
	}
	for _, walk := range append(slices.Clone(a.Before), a.Walk) {
		for _, note := range foreign(&walk) {
			if !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	for _, e := range a.Ends {
		if e.Verdict == Left {
			notes = append(notes, fmt.Sprintf("what the kernel of %s does with it then, by its routes and nftables, is not traced", e.Host))
		}
	}
	return notes
}

// foreign notes the flows that nobody of ours wrote and that decided.
func foreign(w *Walk) (notes []string) {
	for _, h := range w.Hops {
		for _, s := range h.Steps {
			if s.Foreign {
				notes = append(notes, fmt.Sprintf("a flow in table %s of host %s is no object's: somebody else wrote it; see sluice flows --diff --host %s",
					s.TableName, h.Host, h.Host))
			}
		}
	}
	return notes
}

// meansAnother reports whether To names a port of another tenant than From's.
func (d *describer) meansAnother() bool {
	return d.trace.asked.to.tenant != "" && d.trace.asked.to.tenant != d.trace.from.tenant
}

// reaches reports whether a packet got to a port: one of a peered tenant may.
func reaches(a *Answer, port string) bool {
	return slices.ContainsFunc(a.Ends, func(e End) bool { return e.Port == port })
}

// describer puts walks into words for somebody.
type describer struct {
	finder
	trace *Trace
}

func (d *describer) walk(s *stage) Walk {
	w := Walk{About: s.about, Packet: packetText(&s.packet), Hops: []Hop{}, Ends: []End{}}
	for i := range s.walk.Hops {
		w.Hops = append(w.Hops, d.hop(s, i))
	}
	for _, delivery := range s.walk.Deliveries {
		w.Ends = append(w.Ends, d.delivered(s, delivery))
	}
	for _, loss := range s.walk.Losses {
		e := d.lost(s, loss)
		w.Ends = append(w.Ends, e)
		w.Hops[loss.Hop].Problem = e.Text
	}
	for _, hop := range s.walk.Hops {
		w.Ends = append(w.Ends, d.drops(hop)...)
	}
	return w
}

func (d *describer) hop(s *stage, i int) Hop {
	at := s.walk.Hops[i]
	h := Hop{Host: at.Host, From: d.cameFrom(s, at), Packet: packetText(&s.packet), Steps: []Step{}}
	if at.Result == nil {
		return h
	}
	h.Packet = packetText(&at.Result.Packet)
	for _, step := range at.Result.Trace {
		h.Steps = append(h.Steps, d.step(step, s.ports[at.Host]))
	}
	return h
}

// cameFrom is how a frame came into a switch.
func (d *describer) cameFrom(s *stage, at simulate.Hop) string {
	switch {
	case at.From >= 0 && at.Result != nil && d.trace.trunks.is(at.Host, s.ports[at.Host][at.Result.InPort]):
		return "by the trunk from " + s.walk.Hops[at.From].Host
	case at.From >= 0:
		return "by tunnel from " + s.walk.Hops[at.From].Host
	case s.iface == store.GatewayInterface:
		return "from the kernel of " + s.host
	}
	return "from " + d.portAt(s.host, s.iface)
}

// portAt is the port that has an interface of a host, in words.
func (d *describer) portAt(host, iface string) string {
	switch p := d.state.PortByInterface(host, iface); {
	case p == nil && d.sees(""):
		return "interface " + iface + ", which is no port's"
	case p == nil:
		return "an interface that is no port's"
	case !d.sees(p.Key.Tenant):
		return "a port of another tenant"
	default:
		return nameOf(p.Key)
	}
}

// step is one table's decision. Of flows that are not a tenant's own, a tenant sees no more than what
// they did.
func (d *describer) step(s *simulate.Step, ports map[uint32]string) Step {
	step := Step{Table: s.Table, TableName: flows.TableName(s.Table), Depth: s.Depth, Owner: "none"}
	for _, c := range s.Changes {
		if text := d.change(c); text != "" {
			step.Did = append(step.Did, text)
		}
	}
	if s.Flow == nil {
		step.Note = "no flow matches"
		return step
	}
	line := flows.Annotate(d.state, s.Flow)
	step.Note = line.Note
	if !d.owns(s.Flow.Cookie) {
		step.Owner = "the cluster"
		return step
	}
	step.Owner, step.Priority = line.Owner, s.Flow.Priority
	step.Foreign = strings.HasPrefix(line.Owner, "unknown")
	if !d.sees("") {
		return step
	}
	step.Cookie, step.Flow = fmt.Sprintf("0x%016x", s.Flow.Cookie), strings.TrimSpace(line.Text)
	for _, note := range s.Notes {
		step.Did = append(step.Did, noteText(note, ports))
	}
	return step
}

// noteText is a note of the simulator: of a frame that goes out, by which interface.
func noteText(note string, ports map[uint32]string) string {
	var port uint32
	if n, err := fmt.Sscanf(note, "output %d:", &port); err != nil || n != 1 {
		return note
	}
	if name := ports[port]; name != "" {
		return "sent by " + name
	}
	return fmt.Sprintf("sent by port %d", port)
}

// owns reports whether a flow's owner is for the reader to see.
func (d *describer) owns(cookie uint64) bool {
	if d.sees("") {
		return true
	}
	t := d.state.TenantByNumber(flows.Slice(cookie).Tenant())
	return t != nil && d.sees(t.Key.Tenant)
}

// change is a field that got another value, in words.
func (d *describer) change(c simulate.Change) string {
	if text := flows.Carried(d.state, d.sees, c.Field, c.Value); text != "" {
		return text
	}
	if !d.sees("") || flows.IsReason(c.Field) { // a reason is the step's note
		return ""
	}
	return c.Text()
}
