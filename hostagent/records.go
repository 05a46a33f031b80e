package hostagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sluice/store"
)

// record is what the host itself knows of one of its ports. It is on disk before the attach is
// acknowledged, and goes with the detach: a store that lost the port can have it back.
type record struct {
	Tenant  string         `json:"tenant"`
	Network string         `json:"network"`
	Name    string         `json:"name"`
	Port    store.Port     `json:"port"`
	Created store.Revision `json:"created"` // of the port in the store
	// Vouched says that the port was seen in the store together with a stamp that is younger than
	// the port. As long as that stamp stands, a store without the port did not lose it: somebody
	// deleted it there.
	Vouched bool `json:"vouched,omitempty"`
	// Leaving says that somebody asked for the port to go: by a detach, or by deleting the host.
	Leaving bool `json:"leaving,omitempty"`
}

func (r record) key(host string) store.Key { return store.PortKey(host, r.Tenant, r.Network, r.Name) }

func recordOf(key store.Key, port *store.Port, created store.Revision) record {
	return record{Tenant: key.Tenant, Network: key.Network, Name: key.Name, Port: *port, Created: created}
}

// records are those of all acknowledged ports, on disk and, for reading, in memory. One file a
// port, named by its uid.
type records struct {
	dir string
	mu  sync.Mutex
	all map[string]record // by interface
}

func openRecords(stateDir string) (*records, error) {
	r := &records{dir: filepath.Join(stateDir, "ports"), all: map[string]record{}}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the host's ports: %w", err)
	}
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("read the host's ports: %w", err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".json") { // what a crash left of one that was being written
			_ = os.Remove(filepath.Join(r.dir, f.Name()))
			continue
		}
		var one record
		b, err := os.ReadFile(filepath.Join(r.dir, f.Name()))
		if err == nil {
			err = json.Unmarshal(b, &one)
		}
		if err != nil {
			return nil, fmt.Errorf("read the host's ports: %s: %w: mend or remove the file", filepath.Join(r.dir, f.Name()), err)
		}
		r.all[one.Port.Interface] = one
	}
	return r, nil
}

func (r *records) path(one record) string { return filepath.Join(r.dir, one.Port.UID+".json") }

// keep writes a record, on disk before it returns, unless it is there as it is.
func (r *records) keep(one record) error {
	b, err := json.Marshal(one)
	if err != nil {
		return fmt.Errorf("encode the record of a port: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, there := r.all[one.Port.Interface]; there {
		if same, err := json.Marshal(was); err == nil && string(same) == string(b) {
			return nil
		}
	}
	if err := writeFile(r.path(one), b); err != nil {
		return fmt.Errorf("keep the record of port %s/%s/%s: %w", one.Tenant, one.Network, one.Name, err)
	}
	r.all[one.Port.Interface] = one
	return nil
}

// forget removes the record of an interface; no error if there is none.
func (r *records) forget(iface string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	one, there := r.all[iface]
	if !there {
		return nil
	}
	if err := os.Remove(r.path(one)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget port %s/%s/%s: %w", one.Tenant, one.Network, one.Name, err)
	}
	delete(r.all, iface)
	return nil
}

// known are all records, by interface.
func (r *records) known() map[string]record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.all)
}

// portOf is a port as the host knows it; one without uid and interface where it knows none.
func (r *records) portOf(key store.Key) *store.Port {
	for _, one := range r.known() {
		if one.key(key.Host) == key && !one.Leaving {
			return &one.Port
		}
	}
	return &store.Port{}
}

// leaving notes that somebody asked for a port to go, before the store is told.
func (r *records) leaving(iface string) error {
	one, there := r.known()[iface]
	if !there {
		return nil
	}
	one.Leaving = true
	return r.keep(one)
}

// unvouch forgets what the store that is left vouched for: it says nothing about another one.
func (r *records) unvouch() error {
	var errs []error
	for _, one := range r.known() {
		one.Vouched = false
		errs = append(errs, r.keep(one))
	}
	return errors.Join(errs...)
}

// dismiss notes that the operator deleted the host, with those ports that were made before.
func (r *records) dismiss(deleted store.Revision) error {
	var errs []error
	for _, one := range r.known() {
		if one.Created < deleted {
			one.Leaving = true
			errs = append(errs, r.keep(one))
		}
	}
	return errors.Join(errs...)
}
