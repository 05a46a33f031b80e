package flows

import "sluice/datapath/openflow"

// Mods is what turns the installed flows into the desired ones.
type Mods struct{ Add, Modify, Delete []openflow.Flow }

// Len is how many flow mods that takes.
func (m Mods) Len() int { return len(m.Add) + len(m.Modify) + len(m.Delete) }

// Diff compares two sets of flows in any order.
func Diff(installed, desired []openflow.Flow) Mods { return Mods{} }
