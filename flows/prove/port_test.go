package prove_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sluice/flows/prove"
	"sluice/store"
)

// An allowed pair of the transit range, which only an edit by hand makes, allows nothing: answers to tenants have
// these addresses.
func TestNoPortSpeaksFromTheTransitRange(t *testing.T) {
	for _, c := range []struct {
		prefix string
		proved bool
	}{{"10.77.0.0/16", true}, {"100.64.0.9/32", false}, {"0.0.0.0/0", false}} {
		w := newCluster(t)
		item := w.state.Port(store.PortKey("h1", "alice", "default", "a1"))
		port := *item.Value
		port.AllowedPairs = append(slices.Clone(port.AllowedPairs), store.AddressPair{Prefix: netip.MustParsePrefix(c.prefix)})
		w.state.Apply(store.Batch{Revision: 1000, Events: []store.Event{{Key: item.Key, Object: &port, Created: item.Created, Modified: 1000}}})
		w.edit("h1", "port alice/default/a1", "", "table=10,priority=101,ip,reg1=0x65,dl_src=02:00:00:00:00:11,nw_src="+c.prefix+" actions=goto_table:30")
		found := prove.Host(w.state, *w.at("h1"))
		if len(found) == 0 != c.proved || !c.proved && (found[0].Rule != prove.RuleSpoof || !strings.Contains(found[0].Text, "alice/default/a1")) {
			t.Errorf("allowed %s: found %v", c.prefix, texts(found))
		}
	}
}
