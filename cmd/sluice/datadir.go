package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// defaultDataDir is a controller's own directory; formerData is where its data stood before.
const (
	defaultDataDir = "/var/lib/sluice/controller"
	formerData     = "/var/lib/sluice"
)

// moved refuses to begin anew where this controller's data stands at the former place.
func moved(dir, former string) error {
	if _, err := os.Stat(filepath.Join(dir, storeFile)); err == nil {
		return nil
	}
	for _, name := range []string{storeFile, "etcd"} {
		if _, err := os.Stat(filepath.Join(former, name)); err == nil {
			return fmt.Errorf("a controller's data stands in %[1]s, and none in %[2]s: move %[1]s/%[3]s and %[1]s/etcd there, or give --data-dir %[1]s",
				former, dir, storeFile)
		}
	}
	return nil
}
