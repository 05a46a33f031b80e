package store

import (
	"errors"
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
	// partController is the key's Name where that is a controller's.
	partController part = "controller"
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

// check refuses a value that no such part of a key has.
func (p part) check(value string) error {
	switch p {
	case partController:
		return ValidateControllerName(value)
	case partRest:
		for element := range strings.SplitSeq(value, "/") {
			if element == "" || strings.Contains(element, nameless) { // so are invalid names written
				return ValidateName(nameOf(element))
			}
		}
		return nil
	}
	return ValidateName(value)
}

// clone is the key with strings of its own: those of a key that was read are parts of its path.
func (k Key) clone() Key {
	for _, p := range k.Kind.facts().parts {
		if part := k.place(p); *part == DefaultNetwork {
			*part = DefaultNetwork
		} else {
			*part = strings.Clone(*part)
		}
	}
	return k
}

// String is the key's path in etcd. A name that is not valid makes a path that CheckPath refuses,
// never that of another key.
func (k Key) String() string {
	if k.Kind.facts().parts[0] == partRest {
		return Prefix + string(k.Kind) + "/" + rest(k.Name)
	}
	return Prefix + string(k.Kind) + "/" + strings.Join(segments(k.values()), "/")
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

// nameless stands in a path for an empty name. No valid name has a percent sign.
const nameless = "%"

// segments are names as parts of a path.
func segments(names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = segment(name)
	}
	return list
}

// segment is a name as one part of a path: one with a slash must not become two, and an empty one
// must not make the path of a key the beginning of all paths of its kind.
func segment(name string) string {
	if name == "" {
		return nameless
	}
	if !strings.ContainsAny(name, "%/") {
		return name
	}
	return strings.NewReplacer("%", "%25", "/", "%2F").Replace(name)
}

// nameOf is the name that a part of a path was made of.
func nameOf(segment string) string {
	if segment == nameless {
		return ""
	}
	return strings.NewReplacer("%25", "%", "%2F", "/").Replace(segment)
}

// rest is what stands in a path for names that are joined already.
func rest(names string) string {
	if names == "" || strings.HasSuffix(names, "/") {
		return names + nameless
	}
	return names
}

// Under is where the paths of all keys of a kind begin whose first parts are given.
func Under(kind Kind, parts ...string) string {
	prefix := Prefix + string(kind) + "/"
	if len(parts) > 0 {
		prefix += strings.Join(segments(parts), "/") + "/"
	}
	return prefix
}

// ErrUnknownKind is ParseKey's of a kind that this version does not know: a newer one may.
var ErrUnknownKind = errors.New("of no known kind")

// ParseKey reads a path that etcd holds. Unknown paths, and such with names that are not valid,
// are errors, not panics: others may write beside us.
func ParseKey(path string) (Key, error) {
	kind, tail, err := splitKind(path)
	if err != nil {
		return Key{}, err
	}
	key, parts := Key{Kind: kind}, kind.facts().parts
	values := split(parts, tail)
	if len(values) != len(parts) {
		return Key{}, fmt.Errorf("key %q has %d parts after %s, not %d", path, len(values), kind, len(parts))
	}
	for i, value := range values {
		if err := parts[i].check(value); err != nil {
			return Key{}, fmt.Errorf("key %q: %w", path, err)
		}
		*key.place(parts[i]) = value
	}
	return key, nil
}

// splitKind tells the kind of a path from its rest.
func splitKind(path string) (kind Kind, tail string, err error) {
	rest, ok := strings.CutPrefix(path, Prefix)
	if !ok {
		return "", "", fmt.Errorf("key %q is not under %s", path, Prefix)
	}
	for _, d := range kinds {
		if tail, ok := strings.CutPrefix(rest, string(d.kind())+"/"); ok {
			return d.kind(), tail, nil
		}
	}
	return "", "", fmt.Errorf("key %q is %w", path, ErrUnknownKind)
}

// split is the rest of a path, after its kind, in parts.
func split(parts []part, tail string) []string {
	if parts[0] == partRest {
		return []string{tail}
	}
	return strings.Split(tail, "/")
}

// CheckPath refuses, with ErrInvalid, a path that was made of a name that is not valid: of one key,
// or, where it ends in "/", of all keys that begin so. Whatever reads or writes etcd by names asks
// it first.
func CheckPath(path string) error {
	kind, tail, err := splitKind(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	begins, several := strings.CutSuffix(tail, "/")
	if tail == "" {
		return nil // all keys of the kind
	}
	parts := kind.facts().parts
	values := split(parts, begins)
	if fit := len(values) == len(parts); parts[0] != partRest && (fit == several || len(values) > len(parts)) {
		return fmt.Errorf("%w: path %q has %d parts after %s, which has %d", ErrInvalid, path, len(values), kind, len(parts))
	}
	for i, value := range values {
		if parts[i] != partRest {
			value = nameOf(value)
		}
		if err := parts[i].check(value); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

// HostHash stands for a host's name where 32 bits must do (FNV-1a). Two hosts may share one.
func HostHash(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}
