package access

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// localName is the name in the text of the controller's own token; no token in etcd can have it.
const localName = "_local"

// LocalToken is the controller's own token, in a file that only its user reads: whoever reads it may
// everything. It is made anew at each start, so that what a dead controller left behind opens nothing.
type LocalToken struct {
	path, text string
	shared     bool // others may use the file
}

// WriteLocalToken makes the controller's own token and writes it to a file.
func WriteLocalToken(path string) (*LocalToken, error) {
	t := &LocalToken{path: path, text: tokenPrefix + localName + "_" + newSecret()}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the controller's own token: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*") // with mode 0600
	if err != nil {
		return nil, fmt.Errorf("write the controller's own token: %w", err)
	}
	_, err = f.WriteString(t.text + "\n")
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, fmt.Errorf("write the controller's own token: %w", err)
	}
	return t, nil
}

// ShareLocalToken takes the token that a file holds already, so that several controllers of one
// machine have one, or makes it. Who may read a file that is there is for its owner to say: it is
// refused where that is anybody else.
func ShareLocalToken(path string) (*LocalToken, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t, err := WriteLocalToken(path)
		if err != nil {
			return nil, err
		}
		t.shared = true
		return t, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the controller's own token: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the controller's own token: %w", err)
	}
	text := strings.TrimSpace(string(b))
	switch {
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("the controller's own token: %s has mode %#o: let only its owner read it (chmod 600)", path, info.Mode().Perm())
	case len(text) != len(tokenPrefix+localName+"_")+2*secretBytes || !strings.HasPrefix(text, tokenPrefix+localName+"_"):
		return nil, fmt.Errorf("the controller's own token: %s holds something else: remove it, or name another file", path)
	}
	return &LocalToken{path: path, text: text, shared: true}, nil
}

// Remove removes the file, unless it is shared or another controller has written its own there since.
func (t *LocalToken) Remove() {
	if t == nil || t.shared {
		return
	}
	if b, err := os.ReadFile(t.path); err == nil && strings.TrimSpace(string(b)) == t.text {
		os.Remove(t.path)
	}
}

// is reports whether a text is the token.
func (t *LocalToken) is(text string) bool { return t != nil && same(text, t.text) }

// LocalTokenFile is where the controller whose API listens at that port of this machine has its own
// token, unless it was told otherwise. It is empty where this user has no directory for it.
func LocalTokenFile(port string) string {
	return localTokenFile(localDir(os.Getuid(), os.Getenv("RUNTIME_DIRECTORY"), os.Getenv("XDG_RUNTIME_DIR")), port)
}

// rootDir is where root's controllers have their own tokens; systemd's unit has the directory of its
// user below it.
const (
	rootDir = "/run/sluice"
	unitDir = rootDir + "/controller"
)

// localDir is the directory of a user's tokens; service is what systemd made for it as a service, and
// session what it has as one who logged in.
func localDir(uid int, service, session string) string {
	switch {
	case uid == 0:
		return rootDir
	case service != "":
		return service
	case session != "":
		return filepath.Join(session, "sluice")
	}
	return ""
}

func localTokenFile(dir, port string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "api-"+port+".token")
}

// sought is the token's file for who asks: root reads also that of a controller that systemd runs as a
// user of its own.
func sought(own, unit string, uid int) string {
	if _, err := os.Stat(unit); uid == 0 && err == nil {
		return unit
	}
	return own
}

// LocalTokenFileOf is that file for an API at a URL, or empty where the URL has no address of this
// machine's own: the token is sent to nobody else.
func LocalTokenFileOf(api string) string {
	u, err := url.Parse(api)
	if err != nil {
		return ""
	}
	if host := u.Hostname(); host != "localhost" && !isOwn(host) {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return sought(LocalTokenFile(port), localTokenFile(unitDir, port), os.Getuid())
}

// isOwn reports whether a text is an address of this machine.
func isOwn(text string) bool {
	ip := net.ParseIP(text)
	if ip == nil || ip.IsLoopback() {
		return ip != nil
	}
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, ok := a.(*net.IPNet)
		return ok && prefix.IP.Equal(ip)
	})
}
