package hostagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sluice/store"
)

// intent is an attach that began. While its file exists the port may be half made, and
// nobody was told that it succeeded.
type intent struct {
	UID     string `json:"uid"`
	Tenant  string `json:"tenant"`
	Network string `json:"network"`
	Name    string `json:"name"`
	// Moved says that the port came from another host: an attach that fails leaves it, for the next try.
	Moved bool `json:"moved,omitempty"`
}

func (i intent) key(host string) store.Key {
	return store.PortKey(host, i.Tenant, i.Network, i.Name)
}

func (i intent) iface() string { return portInterface(i.UID) }

// journal keeps intents on disk, and which ports are held: an attach or detach works on them.
type journal struct {
	dir   string
	mu    sync.Mutex
	holds map[string]int // by uid: attaches and detaches under way
}

func openJournal(stateDir string) (*journal, error) {
	dir := filepath.Join(stateDir, "attaching")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the journal: %w", err)
	}
	halves, _ := filepath.Glob(filepath.Join(dir, halfWritten)) // the pattern is well formed
	for _, half := range halves {
		_ = os.Remove(half)
	}
	return &journal{dir: dir, holds: make(map[string]int)}, nil
}

func (j *journal) path(uid string) string { return filepath.Join(j.dir, uid+".json") }

// begin notes an intent, on disk before it returns.
func (j *journal) begin(i intent) error {
	b, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("encode intent: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := writeFile(j.path(i.UID), b); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	j.holds[i.UID]++
	return nil
}

// done forgets an intent: the port is whole, or nothing of it is left.
func (j *journal) done(uid string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unhold(uid)
	if err := os.Remove(j.path(uid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear the journal: %w", err)
	}
	return nil
}

// abandon gives an intent up, which could not be undone: the mend loop will try again.
func (j *journal) abandon(uid string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.unhold(uid)
}

// hold keeps the mend loop away from a port until the result is called.
func (j *journal) hold(uid string) (release func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.holds[uid]++
	return func() { j.abandon(uid) }
}

func (j *journal) unhold(uid string) {
	if j.holds[uid]--; j.holds[uid] <= 0 {
		delete(j.holds, uid)
	}
}

// held are the ports that an attach or detach works on, by uid. The mend loop leaves them alone.
func (j *journal) held() map[string]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	held := make(map[string]bool, len(j.holds))
	for uid := range j.holds {
		held[uid] = true
	}
	return held
}

// abandoned are the intents of ports that are not held: their attach ended half way.
func (j *journal) abandoned() ([]intent, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	var all []intent
	for _, f := range files {
		uid, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok || j.holds[uid] > 0 {
			continue
		}
		b, err := os.ReadFile(j.path(uid))
		if err != nil {
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		var i intent
		if err := json.Unmarshal(b, &i); err != nil {
			return nil, fmt.Errorf("journal %s: %w", j.path(uid), err)
		}
		all = append(all, i)
	}
	return all, nil
}
