package store

import (
	"net/netip"
	"strings"
	"testing"
)

// verdict checks an error against what it should say; "" is for no error.
func verdict(t *testing.T, what string, err error, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("%s: %v", what, err)
	case says != "" && (err == nil || !strings.Contains(err.Error(), says)):
		t.Errorf("%s: got %v, want an error that says %q", what, err, says)
	}
}

func TestValidateName(t *testing.T) {
	for name, says := range map[string]string{
		"a": "", "alice-2": "", "0": "", strings.Repeat("x", 63): "",
		"": "DNS label", "-a": "DNS label", "a-": "DNS label", "Alice": "lower-case", "a_b": "hyphens", "a.b": "DNS label",
		"a/b": "DNS label", "a\n": "DNS label", "ä": "DNS label", strings.Repeat("x", 64): "1 to 63",
	} {
		verdict(t, name, ValidateName(name), says)
	}
}

func TestValidateUID(t *testing.T) {
	for uid, says := range map[string]string{
		"abcdefgh2345": "", "abcdefgh234": "12 characters", "abcdefgh23456": "12 characters", "abcdefgh2341": "base 32", "Abcdefgh2345": "base 32",
	} {
		verdict(t, uid, ValidateUID(uid), says)
	}
}

func TestValidateMAC(t *testing.T) {
	for text, says := range map[string]string{
		"02:00:00:00:00:01": "", "52:54:00:12:34:56": "", "00:00:00:00:00:00": "no address",
		"01:00:5e:00:00:01": "group", "ff:ff:ff:ff:ff:ff": "group", "02:00:5e:00:01:01": "reserved", "02:00:5e:00:01:ff": "reserved", "02:00:5e:00:02:01": "",
	} {
		m, err := ParseMAC(text)
		if err != nil {
			t.Fatal(err)
		}
		verdict(t, text, ValidateMAC(m), says)
	}
}

func TestValidateRanges(t *testing.T) {
	v4, v6 := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}, []netip.Prefix{netip.MustParsePrefix("fd00::/64")}
	verdict(t, "MTU 0", ValidateMTU(0, v6), "")
	verdict(t, "MTU 576", ValidateMTU(576, v4), "")
	verdict(t, "MTU 575", ValidateMTU(575, v4), "between 576 and 9216")
	verdict(t, "MTU 1279 on IPv6", ValidateMTU(1279, v6), "between 1280 and 9216")
	verdict(t, "MTU 9217", ValidateMTU(9217, v4), "9216")
	verdict(t, "MTU -1", ValidateMTU(-1, v4), "576")
	for id, says := range map[uint32]string{0: "1 and 4094", 1: "", 4094: "", 4095: "4094"} {
		verdict(t, "VLAN", ValidateVLAN(id), says)
	}
	verdict(t, "vlan", ValidateSegmentation("vlan"), "")
	verdict(t, "tunnel", ValidateSegmentation("tunnel"), "")
	verdict(t, "no segmentation", ValidateSegmentation(""), "neither")
	verdict(t, "flood", ValidateFlood("auto"), "")
	verdict(t, "no flood", ValidateFlood("maybe"), "maybe")
}

func TestValidateSubnets(t *testing.T) {
	held := []Occupied{
		{netip.MustParsePrefix("10.5.0.0/24"), "a subnet of network alice/web"},
		{netip.MustParsePrefix("172.30.0.0/24"), "the infrastructure of host h1"},
		{netip.MustParsePrefix("192.0.2.7/32"), "the infrastructure of host h2"},
		{netip.MustParsePrefix("fd12::/64"), "the infrastructure of host h1"},
	}
	for subnets, says := range map[string]string{
		"":                          "",
		"10.0.0.0/24":               "",
		"10.0.0.0/24 10.0.1.0/24":   "",
		"10.0.0.0/8":                "10.5.0.0/24, a subnet of network alice/web",
		"10.0.0.0/30":               "",
		"10.0.0.0/31":               "30 at most",
		"10.0.0.1/32":               "30 at most",
		"fd00::/64 10.0.0.0/24":     "",
		"fd00::/126":                "",
		"fd00::/127":                "126 at most",
		"10.0.0.1/24":               "did you mean 10.0.0.0/24?",
		"10.0.0.0/16 10.0.3.0/24":   "10.0.0.0/16 and 10.0.3.0/24 overlap",
		"10.0.0.0/24 10.0.0.0/24":   "overlap",
		"10.5.0.128/25":             "network alice/web",
		"172.16.0.0/12":             "172.30.0.0/24, the infrastructure of host h1",
		"172.30.0.0/28":             "infrastructure of host h1",
		"192.0.2.0/24":              "infrastructure of host h2",
		"fd12::/16":                 "infrastructure of host h1",
		"fd73:6c75:6963:65:7::/80":  "the resolver",
		"fd73:6c75:6963::/48":       "the resolver",
		"fd73:6c75:6963:66::/64":    "",
		"0.0.0.0/0":                 "overlaps",
		"::/0":                      "overlaps",
		"100.64.0.0/24":             "", // where the transit range is another
		"127.0.0.0/8":               "loopback",
		"169.254.1.0/24":            "link-local",
		"224.0.0.0/24":              "multicast",
		"239.1.0.0/16":              "multicast",
		"255.255.255.0/24":          "reserved range",
		"0.1.0.0/16":                "unspecified",
		"::/64":                     "loopback",
		"fe80::/64":                 "link-local",
		"ff02::/16":                 "multicast",
		"::ffff:10.0.0.0/120":       "write it as IPv4",
		strings.Repeat("x ", 9):     "more than the 8",
		"10.0.0.0/24 10.0.0.128/26": "overlap",
	} {
		var parsed []netip.Prefix
		for _, s := range strings.Fields(subnets) {
			p, _ := netip.ParsePrefix(s) // "x" stands for one that was never parsed
			parsed = append(parsed, p)
		}
		verdict(t, subnets, ValidateSubnets(parsed, held), says)
	}
	verdict(t, "the zero prefix", ValidateSubnets(make([]netip.Prefix, 1), held), "not a prefix")
}

func TestUsableRange(t *testing.T) {
	for _, tc := range []struct {
		prefix, first, last string
		count               uint64
	}{
		{"10.0.0.0/24", "10.0.0.1", "10.0.0.254", 254},
		{"10.0.0.0/30", "10.0.0.1", "10.0.0.2", 2},
		{"10.0.0.0/8", "10.0.0.1", "10.255.255.254", 1<<24 - 2},
		{"10.0.255.240/28", "10.0.255.241", "10.0.255.254", 14},
		{"fd00::/126", "fd00::1", "fd00::3", 3},
		{"fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff", 1<<64 - 1},
		{"fd00::/48", "fd00::1", "fd00::ffff:ffff:ffff:ffff:ffff", 1<<64 - 1},
	} {
		p := netip.MustParsePrefix(tc.prefix)
		first, last := UsableRange(p)
		if first.String() != tc.first || last.String() != tc.last || UsableCount(p) != tc.count || DefaultGateway(p) != first {
			t.Errorf("%s: %s to %s (%d), want %s to %s (%d)", p, first, last, UsableCount(p), tc.first, tc.last, tc.count)
		}
		if UsableAt(p, 0) != first || !Usable(p, first) || !Usable(p, last) || Usable(p, first.Prev()) || Usable(p, last.Next()) {
			t.Errorf("%s: the ends of the range are not its ends", p)
		}
		if tc.count < 1<<64-1 && UsableAt(p, tc.count-1) != last {
			t.Errorf("%s: the last offset is %s", p, UsableAt(p, tc.count-1))
		}
	}
	if got := UsableAt(netip.MustParsePrefix("fd00::ffff:0:0:0:0/48").Masked(), 1<<64-2); got != netip.MustParseAddr("fd00::ffff:ffff:ffff:ffff") {
		t.Errorf("a large offset is %s", got)
	}
	subnet := netip.MustParsePrefix("10.0.0.0/24")
	verdict(t, "gateway", ValidateGateway(netip.MustParseAddr("10.0.0.254"), subnet), "")
	verdict(t, "gateway elsewhere", ValidateGateway(netip.MustParseAddr("10.0.1.1"), subnet), "10.0.0.1 to 10.0.0.254")
	verdict(t, "gateway broadcast", ValidateGateway(netip.MustParseAddr("10.0.0.255"), subnet), "not a usable")
}
