package join

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Cluster is what a host knows of the cluster that it joined.
type Cluster struct {
	Host        string   `json:"host"`        // its own name there
	Etcd        []string `json:"etcd"`        // URLs
	Controllers []string `json:"controllers"` // where its switch dials: ssl:IP:PORT
	API         []string `json:"api"`         // URLs of controllers that sign
	// Invitation is the id of the token that the host joined with: it is not used again.
	Invitation string `json:"invitation,omitempty"`
}

// file is where a host keeps it, beside its certificate.
const file = "cluster.json"

// Load reads what a host keeps in a directory. fs.ErrNotExist: it joined nothing.
func Load(dir string) (Cluster, error) {
	var c Cluster
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return c, fmt.Errorf("what this host joined: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("what this host joined: %s: %w", filepath.Join(dir, file), err)
	}
	if c.Host == "" || len(c.Etcd) == 0 {
		return c, fmt.Errorf("what this host joined: %s names no host or no etcd: join again", filepath.Join(dir, file))
	}
	return c, nil
}

// Joined reports whether a host keeps in a directory what it joined.
func Joined(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return !errors.Is(err, fs.ErrNotExist)
}

// save replaces what is kept as a whole.
func (c Cluster) save(dir string) error {
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(dir, file), append(b, '\n'), 0o644, renameio.IgnoreUmask())
}
