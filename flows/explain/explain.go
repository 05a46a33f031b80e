// Package explain says what a flow is for in the cluster's words: "from port alice/default/web-1"
// where OpenFlow says in_port=3, "network alice/default" where it says metadata=0x700123456. It serves
// those who read flows: `sluice flows`, plans and pages.
//
// It must never leave anything out: what it has no words for stands in ovs-ofctl's own syntax, so that
// two flows of one table that differ are never told alike. It is pure, and judges nothing: whether a
// flow is right is for package prove to say.
package explain

import (
	"strings"

	of "sluice/datapath/openflow"
	"sluice/flows"
	"sluice/store"
)

// Switch is the switch whose flows are put into words.
type Switch struct {
	host  string
	ports map[uint32]string // interfaces by their OpenFlow number
}

// On reads flows of a switch.
func On(sw flows.Switch) *Switch {
	r := &Switch{host: sw.Host, ports: make(map[uint32]string, len(sw.OFPort))}
	for iface, number := range sw.OFPort {
		r.ports[number] = iface
	}
	return r
}

// Words are one flow in words: which frames it takes, and what becomes of them.
type Words struct {
	Takes []string // none: every frame
	Does  []string // in the order in which the switch does it; none: it ends the frame
}

// String is one line, such as "from port alice/default/web-1 -> origin a port; go on to admit".
func (w Words) String() string {
	takes, does := "any frame", "end it"
	if len(w.Takes) > 0 {
		takes = strings.Join(w.Takes, ", ")
	}
	if len(w.Does) > 0 {
		does = strings.Join(w.Does, "; ")
	}
	return takes + " -> " + does
}

// Flow puts a flow of the switch into words, with names as the state has them.
func (sw *Switch) Flow(s *store.State, f *of.Flow) Words {
	r := &reader{sw, s}
	return Words{Takes: r.takes(f), Does: r.does(f.Actions, networkOf(f.Match))}
}

// reader has what names are looked up in.
type reader struct {
	*Switch
	state *store.State
}

// everyone sees all tenants: who may see a flow is asked before it is put into words.
func everyone(string) bool { return true }
