package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/hostagent/api"
)

// The capability bandwidth, in bits.
func TestBandwidth(t *testing.T) {
	for _, c := range []struct {
		said string
		want *api.Limits
		says string
	}{
		{`{}`, nil, ""},
		{`{"ingressRate": 8000000, "ingressBurst": 16000000}`, &api.Limits{IngressKbps: 8000, IngressBurst: 16000}, ""},
		{`{"egressRate": 1, "egressBurst": 2001, "ingressRate": 999000}`, &api.Limits{EgressKbps: 1, EgressBurst: 3, IngressKbps: 999}, ""},
		{`{"egressRate": 1000, "egressBurst": 18446744073709551615}`, &api.Limits{EgressKbps: 1, EgressBurst: 1<<32 - 1}, ""},
		{`{"egressRate": 18446744073709551615}`, nil, "more than can be limited"},
	} {
		for _, version := range []string{"1.0.0", "1.1.0"} {
			conf, err := parseConfig(fmt.Appendf(nil, `{"cniVersion": %q, "name": "shop", "tenant": "alice", "runtimeConfig": {"bandwidth": %s}}`, version, c.said))
			if err != nil {
				t.Fatal(err)
			}
			got, err := conf.RuntimeConfig.Bandwidth.limits()
			if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q; -want +got\n%s", c.said, err, c.says, diff)
			}
		}
	}
	if _, err := parseConfig([]byte(`{"cniVersion": "1.0.0", "name": "shop", "tenant": "alice", "runtimeConfig": {"bandwidth": {"egressRate": -1}}}`)); err == nil {
		t.Error("a rate below nothing is taken")
	}
}
