package store

import (
	"fmt"
	"time"
)

// Kinds by which those who serve a store know it again.
const (
	KindIdentity Kind = "identity" // {name}: one object, named "store"
	KindChain    Kind = "chain"    // {name}: one object, named "newest"
	KindStamp    Kind = "stamps"   // {name}: a number of 12 digits

	KindWitnessHost       Kind = "witnesses/hosts"       // {host}
	KindWitnessController Kind = "witnesses/controllers" // {controller}
)

// IdentityKey is the key of the store's own id.
func IdentityKey() Key { return Key{Kind: KindIdentity, Name: "store"} }

// ChainKey is the key that says how far the chain is.
func ChainKey() Key { return Key{Kind: KindChain, Name: "newest"} }

// StampKey is the key of one stamp of the chain.
func StampKey(number int64) Key { return Key{Kind: KindStamp, Name: fmt.Sprintf("%012d", number)} }

// WitnessHostKey is the key that a host's agent knows its store by.
func WitnessHostKey(host string) Key { return Key{Kind: KindWitnessHost, Host: host} }

// WitnessControllerKey is the key that a controller knows its store by.
func WitnessControllerKey(name string) Key { return Key{Kind: KindWitnessController, Name: name} }

// Identity tells one store from all others, also from a wiped one at the same address, which
// has etcd's same cluster id.
type Identity struct {
	ID    string    `json:"id"` // random, written by the first controller and never again
	Since time.Time `json:"since"`
}

// Stamp is one link of the chain: a random value that the leader adds each minute. A store
// that lacks a stamp which was seen in it, or holds another value there, went back since.
// The zero Stamp is none; the first has number 1.
type Stamp struct {
	Number int64  `json:"number"`
	Value  string `json:"value"`
}

// Chain is how far the chain is: its newest stamp, and the newest of those that it keeps for
// long. Both stand under their own keys too.
type Chain struct {
	Newest  Stamp `json:"newest"`
	Lasting Stamp `json:"lasting"`
}

// Next is the chain with one more stamp of that value.
func (c Chain) Next(value string) Chain {
	c.Newest = Stamp{Number: c.Newest.Number + 1, Value: value}
	if c.Newest.Lasting() {
		c.Lasting = c.Newest
	}
	return c
}

// WitnessHost is written by a host's agent alone.
type WitnessHost struct{ Witness }

// WitnessController is written by one controller alone.
type WitnessController struct{ Witness }

// Witness is written by one process, soon after anything that it wrote or saw. Which revision that
// was is all that counts: in a store that went back it is less.
type Witness struct {
	Seen Revision `json:"seen"`
}

// The chain keeps each stamp for shortKept numbers, and each longStep-th for longKept numbers:
// at one stamp a minute these are a week and a year. It holds some 18,000 stamps at most, 3 MB.
const (
	shortKept = 7 * 24 * 60
	longStep  = 64
	longKept  = 8192 * longStep
)

// Lasting reports whether the chain keeps a stamp for longKept numbers.
func (s Stamp) Lasting() bool { return s.Number%longStep == 0 }

// Pruned reports whether a chain whose newest stamp has a number keeps this one no more.
func (s Stamp) Pruned(newest int64) bool {
	kept := int64(shortKept)
	if s.Lasting() {
		kept = longKept
	}
	return s.Number+kept <= newest
}

// PrunedBy are the stamps that the chain loses when one with that number is added.
func PrunedBy(number int64) (list []Stamp) {
	for _, kept := range []int64{shortKept, longKept} {
		if s := (Stamp{Number: number - kept}); s.Number > 0 && s.Pruned(number) && !s.Pruned(number-1) {
			list = append(list, s)
		}
	}
	return list
}

// Kind is KindIdentity.
func (*Identity) Kind() Kind { return KindIdentity }

// Kind is KindWitnessHost.
func (*WitnessHost) Kind() Kind { return KindWitnessHost }

// Kind is KindWitnessController.
func (*WitnessController) Kind() Kind { return KindWitnessController }

// Kind is KindChain.
func (*Chain) Kind() Kind { return KindChain }

// Kind is KindStamp.
func (*Stamp) Kind() Kind { return KindStamp }

var identityKind = &description[Key, Identity, *Identity]{facts: facts{
	label:  "identity of the store",
	parts:  []part{partName},
	writer: "the first controller, once", reader: "controllers, agents: is this the store that they serve?",
	hostReads: allObjects,
}}

var chainKind = &description[Key, Chain, *Chain]{facts: facts{
	label:  "end of the chain",
	parts:  []part{partName},
	writer: "the leader, with each stamp", reader: "controllers, agents",
	hostReads: allObjects,
}}

var stampKind = &description[Key, Stamp, *Stamp]{facts: facts{
	label:  "stamp of the chain",
	parts:  []part{partName},
	writer: "the leader, one each minute; it prunes them too", reader: "controllers, agents: did the store go back?",
	hostReads: allObjects,
}}

var witnessHostKind = &description[Key, WitnessHost, *WitnessHost]{facts: facts{
	label:  "witness of a host",
	parts:  []part{partHost},
	writer: "the host's agent", reader: "the host's agent",
	hostReads: ownObjects, hostWrites: ownObjects,
}}

var witnessControllerKind = &description[Key, WitnessController, *WitnessController]{facts: facts{
	label:  "witness of a controller",
	parts:  []part{partController},
	writer: "the controller", reader: "the controller",
}}
