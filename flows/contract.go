package flows

import (
	"fmt"
	"slices"

	of "sluice/datapath/openflow"
)

// Check holds a flow against the contract of its table: its priority, what it matches, what
// it sets and where it goes. Tests hold every flow that they compile against it; the product
// does not check what it compiles.
func Check(f *of.Flow) error {
	t := tableByID(f.Table)
	if t == nil {
		return fmt.Errorf("flow %s: there is no table %d", f, f.Table)
	}
	if !slices.ContainsFunc(t.Steps, func(s Step) bool { return s.Priority == f.Priority }) {
		return fmt.Errorf("flow %s: table %s has no step of priority %d", f, t.Name, f.Priority)
	}
	for _, m := range f.Match {
		if !slices.Contains(t.Match, m.Field) {
			return fmt.Errorf("flow %s: table %s does not match %s", f, t.Name, m.Field)
		}
	}
	if err := t.checkActions(f.Actions); err != nil {
		return fmt.Errorf("flow %s: %w", f, err)
	}
	return nil
}

func (t *Table) checkActions(actions []of.Action) error {
	for _, a := range actions {
		if err := t.checkAction(a); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	return nil
}

func (t *Table) checkAction(a of.Action) error {
	switch a := a.(type) {
	case of.GotoTable:
		return t.checkNext(a.Table)
	case of.Resubmit:
		return t.checkNext(a.Table)
	case of.CT:
		if err := t.checkActions(a.Exec); err != nil {
			return err
		}
		return t.checkNext(a.Table)
	case of.Clone:
		return t.checkActions(a.Actions)
	case of.BundleLoad:
		return t.checkSet(a.Target.Field)
	case of.Load:
		return t.checkSet(a.Target.Field)
	case of.SetField:
		return t.checkSet(a.Field)
	case of.Move:
		return t.checkSet(a.Target.Field)
	case of.Pop:
		return t.checkSet(a.Target.Field)
	case of.WriteMetadata:
		return t.checkSet(of.FieldMetadata)
	case of.PushVLAN, of.PopVLAN:
		return t.checkSet(of.FieldVLANVID)
	case of.DecTTL:
		return t.checkSet(of.FieldIPTTL)
	case of.Output:
		if !t.Output {
			return fmt.Errorf("it sends no frame out")
		}
		return nil
	case of.Push:
		return nil
	case of.Meter:
		if !t.Meters {
			return fmt.Errorf("it limits no rate")
		}
		return nil
	default:
		return fmt.Errorf("no table has the action %T", a)
	}
}

// checkNext holds a jump against the contract; all go forward.
func (t *Table) checkNext(next uint8) error {
	if !slices.Contains(t.Next, next) || next <= t.ID {
		return fmt.Errorf("it does not lead to %s", TableName(next))
	}
	return nil
}

func (t *Table) checkSet(f of.Field) error {
	if !slices.Contains(t.Set, f) {
		return fmt.Errorf("it does not set %s", f)
	}
	return nil
}
