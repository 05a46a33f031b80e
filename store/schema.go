package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// SchemaVersion is the number of the form in which this version writes what etcd holds. A release
// that writes what programs of the one before would misread, or would lose when they write the
// object again, raises it by one, and says so here:
//
//	1  whatever says no number
//	2  hosts say all their addresses, claims say that a switch is not reached, the cluster has
//	   settings, the store an identity and a chain, networks exclude addresses, tenants end by themselves,
//	   hosts say which process their switch is and whether
//	   their uplink is cut, ports leave MAC and addresses to their names and say what they publish and what bounds them, and what the operator said of that since, gateways have backups, and say which of them moved so that hosts carry alike,
//	   tenants' numbers have 24 bits, and gateways say by which slots hosts know their tenants,
//	   and how far hosts are to relay for tenants with the topology star, hosts say which interface is their trunk, and why it is not ready,
//	   and which address outside they ping, the cluster says which addresses may float, publications on which of them they are, and hosts
//	   in which subnets these can be, and counters of a host those of what passes it as a gateway host (scope "gateway"), and the usage of a host to which gateway hosts it does not send
const SchemaVersion = 2

// wayBack is the least number whose programs read what this version writes: the store may be given
// back to them.
const wayBack = 1

// KindSchema is {name}: one object, named "cluster".
const KindSchema Kind = "schema"

// SchemaKey is the key that says who may write.
func SchemaKey() Key { return Key{Kind: KindSchema, Name: "cluster"} }

// Schema says who may write the store: programs whose SchemaVersion is Least or more. The others
// hold: they touch nothing, and what they made goes on. A store without it is for all.
type Schema struct {
	Least int `json:"least"`
}

// Kind is KindSchema.
func (*Schema) Kind() Kind { return KindSchema }

var schemaKind = &description[string, Schema, *Schema]{
	facts: facts{
		label:  "schema of the store",
		parts:  []part{partName},
		writer: "the API, when the operator says so", reader: "controllers, agents: may they write?",
		hostReads: allObjects,
	},
	table: func(s *State) *table[string, Schema] { return &s.schema },
	id:    func(k Key) string { return k.Name },
}

// LeastSchema is the least SchemaVersion that may write.
func (s *State) LeastSchema() int {
	i := s.schema.items[SchemaKey().Name]
	if i == nil {
		return 1
	}
	return i.Value.OrFirst()
}

// SchemaModified is the revision at which somebody said last who may write; 0: nobody did.
func (s *State) SchemaModified() Revision {
	if i := s.schema.items[SchemaKey().Name]; i != nil {
		return i.Modified
	}
	return 0
}

// OrFirst is the least SchemaVersion that may write; 1 where none is said.
func (s *Schema) OrFirst() int { return schemaOf(s.Least) }

// schemaOf is the SchemaVersion of who says it; those before there was one say nothing.
func schemaOf(said int) int { return max(said, 1) }

// Program is what an agent or a controller tells of the program that it is.
type Program struct {
	Version string `json:"version,omitempty"` // as `sluice version` shows it
	Schema  int    `json:"schema,omitempty"`  // its SchemaVersion; 0 is 1
}

// TooOld says that a program may not write a store, or nothing.
func (p Program) TooOld(least int) string {
	if schemaOf(p.Schema) >= least {
		return ""
	}
	return fmt.Sprintf("it is %s, which writes schema %d, and the store asks for %d at least: run a newer version there",
		cmp.Or(p.Version, "of a version that it does not say"), schemaOf(p.Schema), least)
}

// NeededForSchema are the paths that ProposeSchema looks at.
func NeededForSchema() []string {
	return []string{SchemaKey().String(), SettingsKey().String(), Under(KindLiveHost), Under(KindLiveController)}
}

// ProposeSchema says who may write the store from now on. It is refused where an agent or a
// controller that is live could not any more, and where this version could not or would be misread.
func ProposeSchema(s *State, least int) (Proposal, error) {
	switch {
	case least > SchemaVersion:
		return Proposal{}, fmt.Errorf("%w: this controller writes schema %d: only one of a version that writes %d can ask for that", ErrInvalid, SchemaVersion, least)
	case least < wayBack:
		return Proposal{}, fmt.Errorf("%w: the way back ends at schema %d: programs of schema %d would misread what this version writes", ErrInvalid, wayBack, least)
	case least == s.LeastSchema():
		return Proposal{}, nil
	case least < probing && s.FailOver():
		return Proposal{}, fmt.Errorf("%w: gateways fail over, and agents that write schema %d answer no probes, so that their hosts would be found dead: `sluice gateway fail-over off` first",
			ErrConflict, least)
	case least < floatingSchema && s.addressesFloat():
		return Proposal{}, fmt.Errorf("%w: addresses float, and programs that write schema %d know of none: `sluice gateway floating --none` first", ErrConflict, least)
	}
	if older := s.olderThan(least); len(older) > 0 {
		return Proposal{}, fmt.Errorf("%w: older programs are live, which could not write any more: %s: run a newer version there first", ErrConflict, strings.Join(older, ", "))
	}
	p := Proposal{
		Writes:   []Event{{Key: SchemaKey(), Object: &Schema{Least: least}}},
		Presumes: []Presumption{{Condition: Unchanged, Path: SchemaKey().String(), Revision: s.SchemaModified()}, s.settingsUnchanged()},
	}
	for _, kind := range []Kind{KindLiveHost, KindLiveController} { // an older one may come just now
		p.Presumes = append(p.Presumes, Presumption{Condition: NothingNewUnder, Path: Under(kind), Revision: s.Revision()})
	}
	return p, nil
}

// olderThan names the live agents and controllers that write a lesser schema.
func (s *State) olderThan(least int) (list []string) {
	for i := range sorted(&s.controllers) {
		list = append(list, i.Value.older(i.Key, least)...)
	}
	return slices.Concat(list, s.olderAgents(least))
}

// olderAgents names the live agents among them.
func (s *State) olderAgents(least int) (list []string) {
	for i := range sorted(&s.liveHosts) {
		list = append(list, i.Value.older(i.Key, least)...)
	}
	return list
}

// older names a live program where it writes a lesser schema.
func (p Program) older(key Key, least int) []string {
	if schemaOf(p.Schema) >= least {
		return nil
	}
	return []string{fmt.Sprintf("%s (%s, schema %d)", strings.TrimPrefix(key.Short(), "live/"), cmp.Or(p.Version, "unknown version"), schemaOf(p.Schema))}
}
