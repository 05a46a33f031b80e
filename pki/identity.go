package pki

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Role is what an Identity is to the cluster.
type Role string

// The roles. Those of servers may also be clients.
const (
	RoleHost       Role = "host"       // a host: its agent and its switch; a client only
	RoleController Role = "controller" // a controller: it serves switches, its API and, embedded, etcd
	RoleEtcd       Role = "etcd"       // a member of an etcd cluster
	RolePerson     Role = "person"     // someone who uses the API or etcd; a client only
)

// Roles are all that there are, in the order in which people read them.
func Roles() []Role { return []Role{RoleHost, RoleController, RoleEtcd, RolePerson} }

// serves reports whether others dial somebody of this role.
func (r Role) serves() bool { return r == RoleController || r == RoleEtcd }

// Identity is who a certificate speaks for.
type Identity struct {
	Role Role
	Name string // as the cluster names it: h1, c1, alice
}

// Host is the identity of a host, by its name.
func Host(name string) Identity { return Identity{RoleHost, name} }

// Controller is the identity of a controller, by its name.
func Controller(name string) Identity { return Identity{RoleController, name} }

// Person is the identity of a person, by their name.
func Person(name string) Identity { return Identity{RolePerson, name} }

// String is the certificate's CommonName, which is etcd's user name too: host:h1.
func (i Identity) String() string { return string(i.Role) + ":" + i.Name }

// File is the name of the file in which its certificate and key stand: host-h1.pem.
func (i Identity) File() string { return string(i.Role) + "-" + i.Name + ".pem" }

// uri says the same as String in the certificate's names: programs look there, and not at the
// CommonName.
func (i Identity) uri() *url.URL {
	return &url.URL{Scheme: uriScheme, Host: string(i.Role), Path: "/" + i.Name}
}

const uriScheme = "sluice"

// names are those that may stand in a file's name, a URL and a key of etcd.
var names = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// Validate says what is wrong with an identity.
func (i Identity) Validate() error {
	if !slices.Contains(Roles(), i.Role) {
		return fmt.Errorf("identity %q: role %q: use one of %v", i, i.Role, Roles())
	}
	if !names.MatchString(i.Name) {
		return fmt.Errorf("identity %q: name %q: use letters, digits, dots and hyphens", i, i.Name)
	}
	return nil
}

// Parse reads what String writes.
func Parse(text string) (Identity, error) {
	role, name, found := strings.Cut(text, ":")
	i := Identity{Role(role), name}
	if !found {
		return i, fmt.Errorf("identity %q: write it as host:h1", text)
	}
	return i, i.Validate()
}

// Of is whom a certificate speaks for. It does not ask who signed it: that was checked when the
// connection was made.
func Of(c *x509.Certificate) (Identity, error) {
	i, err := Parse(c.Subject.CommonName)
	if err != nil {
		return Identity{}, fmt.Errorf("certificate of %q: %w", c.Subject, err)
	}
	for _, u := range c.URIs {
		if *u == *i.uri() {
			return i, nil
		}
	}
	return Identity{}, fmt.Errorf("certificate of %q: its names do not have %s: `sluice pki` made it not", c.Subject, i.uri())
}
