package store

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Prefix is where every key of Sluice begins in etcd.
const Prefix = "/sluice/v1/"

// Kind is the sort of object that a key names. Its text is the key's first part.
type Kind string

// Key names one object. Only the parts that its Kind lists are set; it is comparable.
type Key struct {
	Kind    Kind
	Host    string
	Tenant  string
	Network string
	Name    string
}

// part is one part of a key, between two slashes of its path.
type part string

// The parts that keys are made of.
const (
	partHost    part = "host"
	partTenant  part = "tenant"
	partNetwork part = "network"
	partName    part = "name"
	// partRest is the key's Name with all that is left of the path, slashes included.
	partRest part = "..."
)

// place is where the key keeps a part.
func (k *Key) place(p part) *string {
	switch p {
	case partHost:
		return &k.Host
	case partTenant:
		return &k.Tenant
	case partNetwork:
		return &k.Network
	default:
		return &k.Name
	}
}

// String is the key's path in etcd.
func (k Key) String() string {
	return Prefix + string(k.Kind) + "/" + strings.Join(k.values(), "/")
}

// Short is the key as people read it: without the common prefix.
func (k Key) Short() string { return k.String()[len(Prefix):] }

// values are the key's parts, in the order of its path.
func (k Key) values() []string {
	parts := k.Kind.facts().parts
	values := make([]string, len(parts))
	for i, p := range parts {
		values[i] = *k.place(p)
	}
	return values
}

// Under is where the paths of all keys of a kind begin whose first parts are given.
func Under(kind Kind, parts ...string) string {
	prefix := Prefix + string(kind) + "/"
	if len(parts) > 0 {
		prefix += strings.Join(parts, "/") + "/"
	}
	return prefix
}

// ParseKey reads a path that etcd holds. Unknown paths are errors, not panics: others
// may write beside us.
func ParseKey(path string) (Key, error) {
	rest, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		return Key{}, fmt.Errorf("key %q is not under %s", path, Prefix)
	}
	for _, d := range kinds {
		if tail, ok := strings.CutPrefix(rest, string(d.kind())+"/"); ok {
			return keyOf(d.kind(), tail, path)
		}
	}
	return Key{}, fmt.Errorf("key %q is of no known kind", path)
}

func keyOf(kind Kind, tail, path string) (Key, error) {
	key, parts := Key{Kind: kind}, kind.facts().parts
	values := strings.Split(tail, "/")
	if parts[0] == partRest {
		values = []string{tail}
	}
	if len(values) != len(parts) {
		return Key{}, fmt.Errorf("key %q has %d parts after %s, not %d", path, len(values), kind, len(parts))
	}
	for i, value := range values {
		if value == "" {
			return Key{}, fmt.Errorf("key %q has an empty part", path)
		}
		*key.place(parts[i]) = value
	}
	return key, nil
}

// HostHash stands for a host's name where 32 bits must do (FNV-1a). Two hosts may share one.
func HostHash(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}
