package main

import (
	"net"
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

// A controller tells of all of etcd that it was told of: an agent may know one member of three.
func TestLiveTellsOfEtcd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := controllerFlags{etcd: etcdFlags{endpoints: []string{"https://192.0.2.11:2379", "https://e2.example:2379"}}}
	got := live(l, l, nil, nil, nil, o.etcdURLs()).Etcd
	if diff := cmp.Diff([]string{"192.0.2.11", "e2.example"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
