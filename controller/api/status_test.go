package api_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"sluice/store"
)

// The status tells of gateway hosts that come and go by the probes of others, and of hosts whose trunk is not what their operators want.
func TestStatusTellsOfHosts(t *testing.T) {
	c := startAll(t)
	for i := range 8 {
		name := fmt.Sprint("h", i+1)
		c.put(t, store.HostKey(name), &store.Host{DatapathID: store.DatapathID(i + 1), VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}, NoTrunk: map[string]string{"h2": "trunk eth1: it has no carrier"}[name]})
		c.put(t, store.LiveHostKey(name), &store.LiveHost{})
		if _, err := c.store.PutIf(t.Context(), store.UsageKey(name), &store.Usage{Damped: map[bool][]string{true: {"h1"}, false: {"h1", "h9"}}[i > 0]}, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"hosts/h1: it comes and goes by the probes of h1, h2, h3, h4, h5 and 3 more: these send to backups in its place for a while, 2 minutes at most after it last went: look at its link and its switch",
		"hosts/h9: it comes and goes by the probes of h1: these send to backups in its place for a while, 2 minutes at most after it last went: look at its link and its switch",
		"hosts/h2: its VLAN networks go by tunnels: trunk eth1: it has no carrier",
	}
	await(t, func() error {
		st, err := c.Status(t.Context())
		if err != nil {
			return err
		}
		for _, line := range want {
			if !slices.ContainsFunc(st.Problems, func(p store.Problem) bool { return p.Object+": "+p.Text == line }) {
				return fmt.Errorf("no problem %q in %q", line, st.Problems)
			}
		}
		return nil
	})
}
