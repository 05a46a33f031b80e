package entry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Certificates are those of a directory: each NAME.crt with NAME.key beside it. What changed there is in use some seconds later,
// and a pair that is of no use leaves the one before in its place. Its methods may be called concurrently.
type Certificates struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	looked time.Time
	files  map[string]pair
	byName map[string]*tls.Certificate
}

// pair is a certificate as it was read, and what its files were then.
type pair struct {
	stamp string
	of    *tls.Certificate
}

// lookInterval is how often it is looked whether files changed, while connections come.
const lookInterval = 2 * time.Second

// OpenCertificates reads a directory. It fails where there is no certificate to be used.
func OpenCertificates(dir string, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{dir: dir, log: log, files: make(map[string]pair)}
	if err := c.look(); err != nil {
		return nil, err
	}
	if len(c.byName) == 0 {
		return nil, fmt.Errorf("%s has no certificates: put NAME.crt and NAME.key there", dir)
	}
	return c, nil
}

// get is the certificate of the name that a client asks for.
func (c *Certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > lookInterval {
		if err := c.look(); err != nil {
			c.log.Error("certificates of the entry: going on with those before", "err", err)
		}
	}
	name := nameOf(hello.ServerName)
	if found := c.byName[name]; found != nil {
		return found, nil
	}
	if _, parent, ok := strings.Cut(name, "."); ok && c.byName["*."+parent] != nil {
		return c.byName["*."+parent], nil
	}
	return nil, fmt.Errorf("no certificate is there for %q", name)
}

// look reads the files that are others than before.
func (c *Certificates) look() error {
	c.looked = time.Now()
	paths, err := filepath.Glob(filepath.Join(escaped(c.dir), "*.crt"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.dir); err != nil {
		return err
	}
	var wrong []error
	files := make(map[string]pair)
	for _, path := range paths {
		p, err := c.read(path)
		if err != nil {
			wrong = append(wrong, err)
		}
		if p.of != nil {
			files[path] = p
		}
	}
	if !maps.Equal(files, c.files) {
		c.log.Info("certificates of the entry read", "certificates", len(files))
	}
	c.files, c.byName = files, namesIn(files)
	return errors.Join(wrong...)
}

// read is the pair of a certificate's file: the one before where it did not change, or where it is of no use now.
func (c *Certificates) read(path string) (pair, error) {
	before, key := c.files[path], strings.TrimSuffix(path, ".crt")+".key"
	stamp := ""
	for _, file := range []string{path, key} {
		info, err := os.Stat(file)
		if err != nil {
			return before, err
		}
		stamp += fmt.Sprintln(info.Size(), info.ModTime().UnixNano())
	}
	if stamp == before.stamp {
		return before, nil
	}
	loaded, err := tls.LoadX509KeyPair(path, key)
	if err != nil {
		return before, fmt.Errorf("%s: %w", path, err)
	}
	return pair{stamp, &loaded}, nil
}

// namesIn are the names of certificates. Of several for a name that which is valid longest counts.
func namesIn(files map[string]pair) map[string]*tls.Certificate {
	names := make(map[string]*tls.Certificate)
	for _, p := range files {
		for _, name := range p.of.Leaf.DNSNames {
			name = strings.ToLower(name)
			if other := names[name]; other == nil || other.Leaf.NotAfter.Before(p.of.Leaf.NotAfter) {
				names[name] = p.of
			}
		}
	}
	return names
}

// escaped is a path without meaning to a pattern.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
