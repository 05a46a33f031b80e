package simulate

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	of "sluice/datapath/openflow"
)

// Bridge is one switch: its tables, what it counted, and the connections that it tracks.
type Bridge struct {
	tables      [256][]*entry // each by falling priority
	connections map[connectionKey]*connection
	first       bool // of two flows that would do, see TakeFirst
	dead        map[uint32]bool
}

type entry struct {
	flow    of.Flow
	packets uint64
	unable  error // why no packet can be run through the flow
}

// NewBridge loads flows into an empty switch. It refuses, and names, every flow that it
// could not run as Open vSwitch does, and two flows of one table, priority and match.
func NewBridge(flows []of.Flow) (*Bridge, error) {
	b := load(flows, Check)
	var errs []error
	for _, t := range b.tables {
		for _, e := range t {
			if e.unable != nil {
				errs = append(errs, e.unable)
			}
		}
		errs = append(errs, duplicates(t)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return b, nil
}

// Load takes the flows as a switch holds them, also those that it could not run: the run of a
// packet that may meet one of these ends with an error. NORMAL is one: which port it sends to the
// switch has learned.
func Load(flows []of.Flow) *Bridge {
	return load(flows, func(f *of.Flow) error {
		if learned(f.Actions) {
			return errors.New("where NORMAL sends a frame the switch has learned, which is not known here")
		}
		return Check(f)
	})
}

func load(flows []of.Flow, check func(*of.Flow) error) *Bridge {
	b := &Bridge{connections: map[connectionKey]*connection{}}
	for _, f := range flows {
		e := &entry{flow: f}
		if err := check(&f); err != nil {
			e.unable = fmt.Errorf("flow %s: %w", &f, err)
		}
		b.tables[f.Table] = append(b.tables[f.Table], e)
	}
	for _, t := range b.tables {
		slices.SortStableFunc(t, func(x, y *entry) int { return int(y.flow.Priority) - int(x.flow.Priority) })
	}
	return b
}

// learned reports whether actions leave it to the switch where a frame goes.
func learned(actions []of.Action) bool {
	for _, a := range actions {
		switch a := a.(type) {
		case of.Output:
			if a.Port == of.PortNormal {
				return true
			}
		case of.Clone:
			if learned(a.Actions) {
				return true
			}
		}
	}
	return false
}

// duplicates finds flows that would replace each other.
func duplicates(table []*entry) []error {
	type identity struct {
		priority uint16
		match    string
	}
	var errs []error
	seen := map[identity]*entry{}
	for _, e := range table {
		id := identity{e.flow.Priority, fmt.Sprint(e.flow.Match)}
		if first := seen[id]; first != nil {
			errs = append(errs, fmt.Errorf("flow %s has the match and priority of flow %s", &e.flow, &first.flow))
		}
		seen[id] = e
	}
	return errs
}

// Flows walks the installed flows, by table and falling priority, with the packets that
// each has met. The simulator knows no lengths: bytes stay zero.
func (b *Bridge) Flows() iter.Seq[of.FlowStats] {
	return func(yield func(of.FlowStats) bool) {
		for _, t := range b.tables {
			for _, e := range t {
				if !yield(of.FlowStats{Flow: e.flow, Packets: e.packets}) {
					return
				}
			}
		}
	}
}

// TakeFirst lets a frame that two flows of one priority would treat differently meet the one that was
// loaded first, where it is an error else.
func (b *Bridge) TakeFirst() { b.first = true }

// Forget ends all connections.
func (b *Bridge) Forget() { clear(b.connections) }

// SetLive says whether a port is live, as all are at first: a bundle_load chooses among those.
func (b *Bridge) SetLive(port uint32, live bool) {
	if b.dead == nil {
		b.dead = map[uint32]bool{}
	}
	b.dead[port] = !live
}

// member is the first port of a bundle_load that is live; 0xffff: none is.
func (b *Bridge) member(a of.BundleLoad) uint64 {
	for _, port := range a.Members {
		if !b.dead[wide(port)] {
			return uint64(port)
		}
	}
	return uint64(of.PortAny & 0xffff)
}

// floods reports whether a reserved port stands for all ports: NORMAL does until a MAC was learned,
// and a frame for a MAC that was not is what a hostile sender sends.
func floods(port uint32) bool {
	return port == of.PortFlood || port == of.PortAll || port == of.PortNormal
}

// lookup finds the flow of a table that a packet meets, or nil. Two flows of one priority
// that would treat it differently are an error: OpenFlow lets a switch choose either.
func (b *Bridge) lookup(table uint8, p *Packet) (*entry, error) {
	var found *entry
	for _, e := range b.tables[table] {
		if found != nil && e.flow.Priority < found.flow.Priority {
			break
		}
		if !matches(e.flow.Match, p) {
			continue
		}
		if e.unable != nil {
			return nil, e.unable
		}
		if found != nil && !b.first && !reflect.DeepEqual(found.flow.Actions, e.flow.Actions) {
			return nil, fmt.Errorf("ambiguous: both %s and %s match", &found.flow, &e.flow)
		}
		if found == nil {
			found = e
		}
	}
	return found, nil
}

// matches reports whether a packet meets a match, as far as packets carry its fields here.
func matches(m of.Match, p *Packet) bool {
	for i := range m {
		if modelled(m[i].Field) && p.Get(m[i].Field).Xor(m[i].Value).And(m[i].Mask) != (of.Value{}) {
			return false
		}
	}
	return true
}

// Check refuses a flow that a Bridge could only run wrongly.
func Check(f *of.Flow) error {
	for _, m := range f.Match {
		if !modelled(m.Field) {
			return fmt.Errorf("field %s is not simulated", m.Field)
		}
	}
	for _, a := range f.Actions {
		if g, ok := a.(of.GotoTable); ok && g.Table <= f.Table {
			return fmt.Errorf("goto_table:%d does not go forward (OpenFlow 1.3, 5.1)", g.Table)
		}
	}
	return checkActions(f.Actions)
}

func checkActions(actions []of.Action) error {
	for i, a := range actions {
		if err := checkAction(a); err != nil {
			return err
		}
		ct, ok := a.(of.CT)
		if ok && (ct.Table != of.TableAll || ct.NAT != nil) && i+1 < len(actions) {
			return errors.New("actions after ct with a table or nat are not simulated")
		}
	}
	return nil
}

func checkAction(a of.Action) error {
	switch a := a.(type) {
	case of.Output:
		if a.Port > 0xffffff00 && a.Port != of.PortInPort && a.Port != of.PortLocal && !floods(a.Port) {
			return fmt.Errorf("output to reserved port %#x is not simulated", a.Port)
		}
	case of.OutputField, of.PushVLAN, of.PopVLAN, of.DecTTL, of.Resubmit,
		of.CTClear, of.WriteMetadata, of.GotoTable, of.Note, of.Meter:
	case of.SetField:
		return checkFields(a.Field)
	case of.Load:
		return checkFields(a.Target.Field)
	case of.Move:
		return checkFields(a.Source.Field, a.Target.Field)
	case of.Push:
		return checkFields(a.Source.Field)
	case of.Pop:
		return checkFields(a.Target.Field)
	case of.Clone:
		return checkActions(a.Actions)
	case of.CT:
		return checkCT(a)
	case of.BundleLoad:
		if a.Algorithm != of.ActiveBackup {
			return errors.New("bundle_load by a hash is not simulated")
		}
		return checkFields(a.Target.Field)
	default:
		return fmt.Errorf("action %T is not simulated", a)
	}
	return nil
}

func checkFields(fields ...of.Field) error {
	for _, f := range fields {
		if !modelled(f) {
			return fmt.Errorf("field %s is not simulated", f)
		}
	}
	return nil
}

func checkCT(ct of.CT) error {
	switch {
	case ct.ALG != 0:
		return errors.New("ct with a helper is not simulated")
	case ct.NAT != nil && ct.NAT.MinAddress != ct.NAT.MaxAddress && !ct.NAT.MaxAddress.IsZero():
		return errors.New("nat to a range of addresses is not simulated")
	case ct.NAT != nil && ct.NAT.MinPort != ct.NAT.MaxPort && ct.NAT.MaxPort != 0:
		return errors.New("nat to a range of ports is not simulated")
	case ct.NAT != nil && ct.Table == of.TableAll && ct.NAT.Source == ct.NAT.Destination:
		return errors.New("nat without a table is not simulated")
	}
	return checkActions(ct.Exec)
}
