package client

import (
	"encoding/json"

	"sluice/store"
)

// What an event of a watch says.
const (
	EventPut      = "put"      // an object is there, or is another than before
	EventDelete   = "delete"   // an object is gone
	EventBookmark = "bookmark" // all up to this revision was told
	EventProblem  = "problem"  // the watch ends, and why: a problem document
)

// Change is one event of a watch.
type Change struct {
	Event    string         `json:"event" enum:"put,delete,bookmark"`
	Kind     store.Kind     `json:"kind,omitempty" example:"ports"` // none: of a bookmark
	Host     string         `json:"host,omitempty"`
	Tenant   string         `json:"tenant,omitempty"`
	Network  string         `json:"network,omitempty"`
	Name     string         `json:"name,omitempty" doc:"of a port, publication or sticky name; of a peering, the peer"`
	Revision store.Revision `json:"revision" doc:"at which it was so"`
	Created  store.Revision `json:"created,omitempty" doc:"at which the object was made"`
	// Object is the object as etcd holds it: the fields that lists show of it, but for those that are worked out.
	Object json.RawMessage `json:"object,omitempty"`
}

// Key is the object's key in the store.
func (c Change) Key() store.Key {
	return store.Key{Kind: c.Kind, Host: c.Host, Tenant: c.Tenant, Network: c.Network, Name: c.Name}
}

// Stored reads the object: a *store.Tenant of kind tenants, and so on; nil where there is none.
func (c Change) Stored() (store.Object, error) {
	if c.Event != EventPut {
		return nil, nil
	}
	return store.Decode(c.Key(), c.Object)
}
