package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Tenants must not reach etcd, wherever it is.
func TestHostOfEndpoint(t *testing.T) {
	got := map[string]string{}
	want := map[string]string{
		"http://192.0.2.1:2379": "192.0.2.1", "https://[2001:db8::1]:2379": "2001:db8::1", "192.0.2.3:2379": "192.0.2.3",
		"https://192.0.2.4:2379/": "192.0.2.4", "http://192.0.2.5": "192.0.2.5", "https://etcd-1.example:2379": "etcd-1.example",
	}
	for endpoint := range want {
		got[endpoint] = hostOf(endpoint)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
