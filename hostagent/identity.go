package hostagent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/store"
)

// identity is what a host is known by.
type identity struct {
	incarnation string // random, made by the first start with a state directory
	datapath    store.DatapathID
}

func loadIdentity(dir, host string) (identity, error) {
	id := identity{datapath: datapathID(host)}
	path := filepath.Join(dir, "incarnation")
	b, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(b))) > 0 {
		id.incarnation = strings.TrimSpace(string(b))
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return id, fmt.Errorf("read the host's incarnation: %w", err)
	}
	id.incarnation = strings.ToLower(rand.Text())
	if err := writeFile(path, []byte(id.incarnation+"\n")); err != nil {
		return id, fmt.Errorf("keep the host's incarnation: %w", err)
	}
	return id, nil
}

// datapathID derives the switch's OpenFlow id from the host's name, so that the
// controllers know the switch again when the state directory is gone.
func datapathID(host string) store.DatapathID {
	sum := sha256.Sum256([]byte("sluice host " + host))
	return store.DatapathID(binary.BigEndian.Uint64(sum[:]))
}

// lockDir makes dir and takes it for this process.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("state directory %s is in use by another agent: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// halfWritten are the names of files that are being written: a crash leaves one.
const halfWritten = ".new-*"

// writeFile replaces a file as a whole: after a crash it is the old one or the new one.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), halfWritten)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
