package openflow_test

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"sluice/datapath/openflow"
)

// notModelled are the features that ParseFlow refuses, each with what it must say and why
// this package does without. Read from a switch their actions stay opaque, their fields
// unknown; nothing is lost.
var notModelled = map[string]struct{ says, why string }{
	"tun_ttl":                    {"field tun_ttl is not known", "it has no OXM: Open vSwitch itself cannot carry it over OpenFlow"},
	"tun_metadata0":              {"tunnel option table", "its width depends on each bridge's table"},
	"delete_field":               {"does not model", "for tun_metadata alone"},
	"set_mpls_ttl":               {"does not model", "no MPLS here"},
	"push_mpls/pop":              {"does not model", "no MPLS here"},
	"dec_mpls_ttl":               {"does not model", "no MPLS here"},
	"mod_nw_ttl":                 {"does not model", "set_field:64->nw_ttl does the same"},
	"dec_ttl(ids)":               {"does not model", "no packet-in is wanted"},
	"controller(userdata,pause)": {"userdata", "no packet-in is wanted"},
	"output(max_len)":            {"does not model", "a frame is never cut"},
	"set_queue":                  {"does not model", "no queues here"},
	"pop_queue":                  {"does not model", "no queues here"},
	"enqueue":                    {"does not model", "no queues here"},
	"resubmit(,t,ct)":            {"only a port and a table", "the original tuple is matched by ct_nw_src and its like"},
	"learn L2":                   {"does not model", "nothing is learned"},
	"learn load":                 {"does not model", "nothing is learned"},
	"learn limit (LEARN2)":       {"does not model", "nothing is learned"},
	"multipath":                  {"does not model", "no multipath here"},
	"bundle":                     {"does not model", "a member is chosen by bundle_load, and where its frames go is a flow's to say"},
	"fin_timeout":                {"does not model", "flows do not time out"},
	"exit":                       {"does not model", "a table that ends ends"},
	"sample":                     {"does not model", "no IPFIX here"},
	"check_pkt_larger":           {"does not model", "MTUs are set at both ends"},
	"encap/decap":                {"does not model", "no NSH here"},
}

// feature is a line of features.txt or fields.txt in testdata: a match (M) or an action (A) of
// ovs-ofctl.
type feature struct{ name, flow string }

func features(t testing.TB) []feature {
	t.Helper()
	var out []feature
	for _, line := range append(lines(t, "testdata/features.txt"), lines(t, "testdata/fields.txt")...) {
		name, flow, ok := strings.Cut(line, "|")
		if !ok {
			t.Fatalf("line %q has no |", line)
		}
		out = append(out, feature{name[2:], flow})
	}
	return out
}

// workedFlows are one host's flows that were proved with traffic.
func workedFlows(t testing.TB) []string { return lines(t, "testdata/worked.flows") }

// lines are a file's lines without comments.
func lines(t testing.TB, name string) []string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		if line := strings.TrimSpace(s.Text()); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func mustParse(t testing.TB, s string) openflow.Flow {
	t.Helper()
	f, err := openflow.ParseFlow(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// modelled are all worked flows and features that this package models, each with its own
// cookie and, for the features, with its own priority.
func modelled(t testing.TB) []openflow.Flow {
	t.Helper()
	var out []openflow.Flow
	for _, line := range workedFlows(t) {
		out = append(out, mustParse(t, line))
	}
	for i, f := range features(t) {
		if _, not := notModelled[f.name]; not {
			continue
		}
		flow := mustParse(t, f.flow)
		flow.Priority = uint16(10000 + i)
		out = append(out, flow)
	}
	for i := range out {
		out[i].Cookie = 0x100_0007_0000_0000 + uint64(i)
	}
	return out
}

func TestEveryFeatureIsModelledOrRefusedWithItsReason(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range features(t) {
		seen[f.name] = true
		_, err := openflow.ParseFlow(f.flow)
		want, refused := notModelled[f.name]
		switch {
		case !refused && err != nil:
			t.Errorf("%s: %v", f.name, err)
		case refused && (err == nil || !strings.Contains(err.Error(), want.says)):
			t.Errorf("%s: got error %v, want one that says %q", f.name, err, want.says)
		}
	}
	for name := range notModelled {
		if !seen[name] {
			t.Errorf("%s: in the table, but not in features.txt", name)
		}
	}
}
