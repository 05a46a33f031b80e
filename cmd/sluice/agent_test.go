package main

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Tenants must not reach etcd, wherever it is.
func TestEtcdAddresses(t *testing.T) {
	var log strings.Builder
	got := etcdAddresses(t.Context(), []string{
		"http://192.0.2.1:2379", "https://[2001:db8::1]:2379", "192.0.2.3:2379", "https://192.0.2.4:2379/", "http://192.0.2.5",
		"http://127.0.0.1:2379", "http://localhost:2379", "http://nobody.invalid:2379",
	}, slog.New(slog.NewTextHandler(&log, nil)))
	want := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("192.0.2.3/32"),
		netip.MustParsePrefix("192.0.2.4/32"), netip.MustParsePrefix("192.0.2.5/32"),
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "nobody.invalid") {
		t.Errorf("want one warning, of the name that does not resolve; got:\n%s", log.String())
	}
}
