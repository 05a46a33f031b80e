package session

import (
	"slices"

	"sluice/datapath/openflow"
	"sluice/flows"
)

// simulated is a switch as far as programming it goes.
type simulated struct {
	flows   []openflow.Flow
	refuses string // the name of a table
	audits  schedule
	edited  bool // since the last audit
}

// compare hands the plan what the switch holds of it.
func (sw *simulated) compare(p *plan) (flows.Mods, error) {
	for i := range sw.flows {
		f := &sw.flows[i]
		if !p.whole() && !slices.Contains(p.Slices, flows.Slice(f.Cookie)) {
			continue
		}
		_, wire := f.AppendWire(nil)
		if err := p.flows.Have(&wire); err != nil {
			return flows.Mods{}, err
		}
	}
	return p.flows.Mods()
}

func (sw *simulated) add(f openflow.Flow) {
	sw.remove(f)
	sw.flows = append(sw.flows, f)
}

func (sw *simulated) remove(f openflow.Flow) {
	sw.flows = slices.DeleteFunc(sw.flows, func(g openflow.Flow) bool {
		return g.Table == f.Table && g.Priority == f.Priority && g.Match.Equal(f.Match)
	})
}
