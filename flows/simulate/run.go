package simulate

import (
	"errors"
	"fmt"

	of "sluice/datapath/openflow"
)

// Output is a frame that leaves a switch.
type Output struct {
	Port uint32
	// Packet carries no registers, metadata or connection state any more, but the tunnel
	// fields, which a tunnel port reads.
	Packet Packet
	In     uint32 // the packet's in_port then, by which NORMAL and FLOOD do not send
}

// Limits of one packet's walk, as Open vSwitch has them.
const (
	maxDepth   = 64
	maxLookups = 64 * 64
)

// Run walks a packet from a port through the tables, from table 0 on. Connections that it
// commits stay. The result holds what happened up to an error, too.
func (b *Bridge) Run(p Packet, inPort uint32) (*Result, error) {
	p = p.arrived(inPort)
	r := &run{bridge: b, result: &Result{InPort: inPort, Packet: p}}
	err := r.table(0, &p, &position{})
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, r.result)
	}
	return r.result, err
}

type run struct {
	bridge  *Bridge
	result  *Result
	lookups int
}

// position is where in a walk we are: how deep in resubmits, and the stack of push and pop.
type position struct {
	depth int
	stack []of.Value
}

// errStop ends the actions of one flow: its packet goes no further.
var errStop = errors.New("stop")

// table looks p up as if it had come from its in_port, and runs what it meets.
func (r *run) table(id uint8, p *Packet, at *position) error {
	return r.tableFrom(id, uint32(p.Uint(of.FieldInPort)), p, at)
}

// tableFrom looks p up with another in_port, which the flow's actions do not see.
func (r *run) tableFrom(id uint8, inPort uint32, p *Packet, at *position) error {
	if r.lookups++; r.lookups > maxLookups || at.depth > maxDepth {
		return fmt.Errorf("table %d: the packet was looked up too often: a loop of resubmits?", id)
	}
	e, err := r.bridge.lookup(id, p.asLookedUp(inPort))
	if err != nil {
		return fmt.Errorf("table %d: %w", id, err)
	}
	step := &Step{Depth: at.depth, Table: id}
	r.result.Trace = append(r.result.Trace, step)
	if e == nil {
		return nil
	}
	step.Flow = &e.flow
	e.packets++
	err = r.actions(e.flow.Actions, p, at, step)
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// asLookedUp is what a table sees of a packet: as from inPort, and without the ports or
// ICMP type of a fragment, even the first (OpenFlow 1.3, A.3.2: OFPC_FRAG_NORMAL).
func (p *Packet) asLookedUp(inPort uint32) *Packet {
	if uint64(inPort) == p.Uint(of.FieldInPort) && p.Uint(of.FieldIPFrag) == 0 {
		return p
	}
	seen := *p
	seen.SetUint(of.FieldInPort, uint64(inPort))
	if p.Uint(of.FieldIPFrag) != 0 {
		for _, f := range []of.Field{
			of.FieldTCPSrc, of.FieldTCPDst, of.FieldUDPSrc, of.FieldUDPDst,
			of.FieldICMPType, of.FieldICMPCode, of.FieldICMPv6Type, of.FieldICMPv6Code,
		} {
			seen.SetUint(f, 0)
		}
	}
	return &seen
}

func (r *run) actions(actions []of.Action, p *Packet, at *position, step *Step) error {
	for _, a := range actions {
		if err := r.action(a, p, at, step); err != nil {
			return err
		}
	}
	return nil
}

// action runs one action. Those that only write the packet are in write.
func (r *run) action(a of.Action, p *Packet, at *position, step *Step) error {
	switch a := a.(type) {
	case of.Output:
		r.output(a.Port, p, step)
	case of.OutputField:
		r.output(uint32(p.read(a.Source).Lo), p, step)
	case of.DecTTL:
		var err error
		step.noting(p, func() { err = decTTL(p, step) }, of.FieldIPTTL)
		return err
	case of.Resubmit:
		return r.resubmit(a, p, at)
	case of.GotoTable:
		return r.table(a.Table, p, at)
	case of.Meter: // packets come one by one: none is too fast
	case of.Clone:
		copied := *p
		return ignoreStop(r.actions(a.Actions, &copied, at.copy(), step))
	case of.Push:
		at.stack = append(at.stack, p.read(a.Source))
	case of.Pop:
		var err error
		step.noting(p, func() { err = at.pop(a, p) }, a.Target.Field)
		return err
	case of.CT:
		return r.ct(a, p, at, step)
	case of.BundleLoad:
		step.noting(p, func() { p.write(a.Target, of.U64(r.bridge.member(a))) }, a.Target.Field)
	default:
		step.noting(p, func() { p.apply(a) }, written(a)...)
	}
	return nil
}

// written is the field that an action of apply writes.
func written(a of.Action) []of.Field {
	switch a := a.(type) {
	case of.SetField:
		return []of.Field{a.Field}
	case of.Load:
		return []of.Field{a.Target.Field}
	case of.Move:
		return []of.Field{a.Target.Field}
	case of.PushVLAN, of.PopVLAN:
		return []of.Field{of.FieldVLANTCI}
	case of.WriteMetadata:
		return []of.Field{of.FieldMetadata}
	}
	return nil
}

// apply runs an action that only writes the packet.
func (p *Packet) apply(a of.Action) {
	switch a := a.(type) {
	case of.SetField:
		mask := a.Mask
		if mask.IsZero() {
			mask = of.Ones(a.Field.Bits())
		}
		p.writeMasked(a.Field, a.Value, mask)
	case of.Load:
		p.write(a.Target, of.U64(a.Value))
	case of.Move:
		if p.has(a.Source.Field) {
			p.write(a.Target, p.read(a.Source))
		}
	case of.PushVLAN:
		p.pushTag()
	case of.PopVLAN:
		p.popTag()
	case of.WriteMetadata:
		p.writeMasked(of.FieldMetadata, of.U64(a.Value), of.U64(a.Mask))
	case of.CTClear:
		p.clearTracking()
	}
}

func (at *position) copy() *position {
	return &position{depth: at.depth, stack: append([]of.Value(nil), at.stack...)}
}

func (at *position) pop(a of.Pop, p *Packet) error {
	last := len(at.stack) - 1
	if last < 0 {
		return errors.New("pop from an empty stack")
	}
	p.write(a.Target, at.stack[last])
	at.stack = at.stack[:last]
	return nil
}

func ignoreStop(err error) error {
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func (r *run) resubmit(a of.Resubmit, p *Packet, at *position) error {
	inPort := uint32(p.Uint(of.FieldInPort))
	if a.InPort != 0 && a.InPort != uint16(of.PortInPort&0xffff) {
		inPort = wide(a.InPort)
	}
	at.depth++
	err := r.tableFrom(a.Table, inPort, p, at)
	at.depth--
	return err
}

// output emits a copy. A frame never leaves by its in_port unless that was cleared or
// IN_PORT named.
func (r *run) output(port uint32, p *Packet, step *Step) {
	in := uint32(p.Uint(of.FieldInPort))
	switch {
	case port == of.PortInPort && in == of.PortAny:
		step.stop("IN_PORT is none: not sent")
		return
	case port == of.PortInPort:
		port = in
	case port == in:
		step.stop("port %d is the in_port: not sent", port)
		return
	case port == of.PortAny:
		step.stop("no port: not sent")
		return
	}
	frame := p.Frame()
	frame.setTunnel(p.tunnel())
	r.result.Outputs = append(r.result.Outputs, Output{Port: port, Packet: frame, In: in})
	step.note("output %d: %s", port, &frame)
}

func decTTL(p *Packet, step *Step) error {
	if !p.isIP() {
		return nil
	}
	ttl := p.Uint(of.FieldIPTTL)
	if ttl <= 1 {
		step.stop("time to live ran out")
		return errStop
	}
	p.SetUint(of.FieldIPTTL, ttl-1)
	return nil
}

// tunnelFields are what a tunnel port reads and writes.
var tunnelFields = [...]of.Field{
	of.FieldTunID, of.FieldTunSrc, of.FieldTunDst, of.FieldTunIPv6Src, of.FieldTunIPv6Dst,
}

// tunnelMetadata holds the values of tunnelFields.
type tunnelMetadata [len(tunnelFields)]of.Value

func (p *Packet) tunnel() (t tunnelMetadata) {
	for i, f := range tunnelFields {
		t[i] = p.Get(f)
	}
	return t
}

func (p *Packet) setTunnel(t tunnelMetadata) {
	for i, f := range tunnelFields {
		p.Set(f, t[i])
	}
}
