package hostagent

import (
	"os"
	"path/filepath"
	"testing"
)

// A memory that cannot be read is a problem, since the next could not be written either.
func TestMemoryOfTheTable(t *testing.T) {
	dir := t.TempDir()
	n := nftables{o: Options{StateDir: dir}}
	if wanted, err := n.is(t.Context()); err != nil || wanted != "" {
		t.Errorf("nothing was written: wanted %q, error %v", wanted, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "nftables.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := n.is(t.Context()); err == nil {
		t.Error("a memory that cannot be read is no problem")
	}
}
