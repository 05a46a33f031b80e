// Package backuptest saves an etcd of a test and restores it, as an operator does with etcdctl
// and etcdutl.
package backuptest

import (
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

// Save is `etcdctl snapshot save`: it returns the file.
func Save(t testing.TB, endpoint string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "snapshot.db")
	if _, err := snapshot.NewV3(zap.NewNop()).Save(t.Context(), clientv3.Config{Endpoints: []string{endpoint}}, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// Restore is `etcdutl snapshot restore` into a directory of an embedded etcd with that name and
// peer URL. A bump is that of --bump-revision with --mark-compacted; 0: none.
func Restore(t testing.TB, file, dir, name, peerURL string, bump uint64) {
	t.Helper()
	err := snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: file, OutputDataDir: dir, Name: name, PeerURLs: []string{peerURL},
		InitialCluster: name + "=" + peerURL, InitialClusterToken: "etcd-cluster",
		RevisionBump: bump, MarkCompacted: bump > 0,
	})
	if err != nil {
		t.Fatal(err)
	}
}
