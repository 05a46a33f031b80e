package store

import (
	"slices"
	"strings"
)

// scope says of which objects of a kind a host's agent may do something.
type scope string

const (
	noObjects  scope = ""
	ownObjects scope = "its own" // those whose keys begin with the host's name
	allObjects scope = "all"
	ownTaken   scope = "those that hosts and ports take" // of KindAlloc: of the kinds whose objects a host writes
)

// Grant is leave to read or write one key of etcd, or all keys under a path that ends in "/".
type Grant struct {
	Path        string
	Read, Write bool
}

// GrantsToHosts are what the agent of each host may do, whatever the host's name.
func GrantsToHosts() []Grant {
	return append(grantsOfTaken(), grants(allObjects, func(kind Kind) string { return Under(kind) })...)
}

// grantsOfTaken are the directories under alloc/ with the values of objects that a host writes. Numbers and VLAN ids
// of tenants and networks, with their tombstones, are for controllers alone: whoever could free one there could have it
// given out again while a switch holds flows of the tenant that had it.
func grantsOfTaken() (list []Grant) {
	for _, d := range kinds {
		if d.about().hostWrites == noObjects {
			continue
		}
		for _, u := range d.unique() {
			g := Grant{Path: Under(KindAlloc, u.dir), Write: true}
			if u.dir != "" && !slices.Contains(list, g) {
				list = append(list, g)
			}
		}
	}
	return list
}

// GrantsToHost are what the agent of one host may do besides. Each path names that host and no
// other, also no host whose name begins with its name.
func GrantsToHost(host string) []Grant {
	return grants(ownObjects, func(kind Kind) string { return ownPath(kind, host) })
}

// grants are those of the kinds that have a scope.
func grants(s scope, path func(Kind) string) (list []Grant) {
	for _, d := range kinds {
		f := d.about()
		g := Grant{Read: f.hostReads == s, Write: f.hostWrites == s}
		if g.Read || g.Write {
			g.Path = path(d.kind())
			list = append(list, g)
		}
	}
	return list
}

// ownPath is where a host's objects of a kind are: one key, or all under it.
func ownPath(kind Kind, host string) string {
	if len(kind.facts().parts) == 1 {
		return Key{Kind: kind, Host: host}.String()
	}
	return Under(kind, host)
}

// HostMayWrite reports whether the agent of a host may write a key.
func HostMayWrite(host, key string) bool {
	for _, g := range append(GrantsToHosts(), GrantsToHost(host)...) {
		if g.Write && (key == g.Path || strings.HasSuffix(g.Path, "/") && strings.HasPrefix(key, g.Path)) {
			return true
		}
	}
	return false
}
