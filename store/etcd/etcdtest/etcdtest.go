// Package etcdtest gives tests an etcd of their own on loopback, in the test's process.
package etcdtest

import (
	"log/slog"
	"testing"

	"sluice/store/etcd"
	"sluice/store/etcd/freeport"
)

// Start runs an etcd until the test ends.
func Start(t testing.TB) *etcd.Embedded {
	t.Helper()
	server, err := etcd.StartEmbedded(t.Context(), etcd.EmbedOptions{
		Name: "sluice-test", Dir: t.TempDir(), ClientURL: freeport.URL(t), PeerURL: freeport.URL(t), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// Connect is a client until the test ends.
func Connect(t testing.TB, server *etcd.Embedded) *etcd.Client {
	t.Helper()
	client, err := etcd.Connect(t.Context(), etcd.Options{Endpoints: server.Endpoints(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
