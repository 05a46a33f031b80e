package flows

import (
	"fmt"

	of "sluice/datapath/openflow"
	"sluice/store"
)

// section is one kind of slice: all that this package knows of it. Each stands in a file of
// its own. A function that may be nil says so; the others are asked for every section.
type section struct {
	kind   sliceKind
	owner  string // whose slices these are, for docs/pipeline.md
	object string // what the object number of their cookies is, for docs/pipeline.md

	// onHost yields the slices that every registered host has, whichever tenants it has. Nil:
	// none.
	onHost func(s *store.State, host string, yield yieldSlice)
	// ofTenant yields the slices that each host has on which the tenant has flows (see hostsOf),
	// under a number that the tenant has or had. Nil: none.
	ofTenant func(s *store.State, tenant string, number uint32, yield yieldSlice)

	// compile emits the flows of a slice, and the problems of the objects that it is of.
	compile func(c *compiler, sl Slice)
	// name is the owner of a slice in words, such as "port alice/default/a1"; it is empty where
	// there is none.
	name func(s *store.State, sl Slice) string
	// serves are the objects that are not programmed whole on a host while the switch refuses a
	// flow of the slice.
	serves func(s *store.State, host string, sl Slice) []store.Key

	// changed marks the slices whose flows or problems may differ after a change, besides those
	// that Affected marks whole.
	changed func(m marker, c store.Change)
	// interfaceChanged marks those that depend on the OpenFlow port of a port's interface, on
	// the port's own host. Nil: none do.
	interfaceChanged func(m marker, p *store.Item[store.Port])
}

// yieldSlice takes a slice; alone reports whether no other object has the same one.
type yieldSlice func(sl Slice, alone bool)

// sections are all kinds of slices, in the order in which a host's flows are compiled.
var sections = []section{baseSection, peerSection, tenantSection, networkSection, portSection, peeringSection, publicationSection, resolverSection}

// sectionOf is the section of a slice; nil: no slice of ours has that kind.
func sectionOf(sl Slice) *section {
	for i := range sections {
		if sections[i].kind == sl.kind() {
			return &sections[i]
		}
	}
	return nil
}

// Slices yields every slice that the host holds flows of, each once.
func Slices(s *store.State, host string, yield func(Slice)) {
	var shared map[Slice]bool // by several objects: these were yielded
	once := func(sl Slice, alone bool) {
		if !alone {
			if shared[sl] {
				return
			}
			if shared == nil {
				shared = map[Slice]bool{}
			}
			shared[sl] = true
		}
		yield(sl)
	}
	for i := range sections {
		if onHost := sections[i].onHost; onHost != nil {
			onHost(s, host, once)
		}
	}
	for _, name := range tenantsOn(s, host) {
		if t := s.Tenant(name); t != nil {
			slicesOfTenant(s, name, t.Value.Number, once)
		}
	}
}

// slicesOfTenant yields the slices of a tenant and all that it has.
func slicesOfTenant(s *store.State, tenant string, number uint32, yield yieldSlice) {
	for i := range sections {
		if ofTenant := sections[i].ofTenant; ofTenant != nil {
			ofTenant(s, tenant, number, yield)
		}
	}
}

// Compile emits the flows of one slice on one switch. A slice whose object is gone has
// none. Each problem names an object that compiles to less than it asks for.
func Compile(s *store.State, sw Switch, sl Slice, emit func(of.Flow)) []store.Problem {
	c := newCompiler(s, sw, sl, emit)
	if sec := sectionOf(sl); sec != nil {
		sec.compile(c, sl)
	}
	return c.problems
}

// Owner names the object that a cookie belongs to, such as "port alice/default/a1".
func Owner(s *store.State, cookie uint64) string {
	if sec := sectionOf(Slice(cookie)); sec != nil {
		if name := sec.name(s, Slice(cookie)); name != "" {
			return name
		}
	}
	return fmt.Sprintf("unknown 0x%x", cookie)
}

// Served names what needs a slice on a host: if the switch refuses a flow of it, this is not
// programmed whole. It is the port, the network or the tenant that the slice is of, wherever
// its ports are; the host itself where all that it has needs the slice.
func Served(s *store.State, host string, sl Slice) []store.Key {
	if sec := sectionOf(sl); sec != nil {
		return sec.serves(s, host, sl)
	}
	return nil
}

// keyOf is the key of the object that a slice serves, if there is one.
func keyOf[T any](i *store.Item[T]) []store.Key {
	if i == nil {
		return nil
	}
	return []store.Key{i.Key}
}
