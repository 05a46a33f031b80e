package store

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Revision is an etcd revision: one number for the whole store, growing with each txn.
type Revision int64

// Object is a value that etcd holds. The set is closed.
type Object interface{ Kind() Kind }

// Labels are free key-value pairs for people and selectors.
type Labels map[string]string

// Encode is the JSON that etcd holds for an object.
func Encode(o Object) ([]byte, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", o.Kind(), err)
	}
	return b, nil
}

// Decode reads the object that etcd holds under key; it fails with ErrUnreadable where that is none.
// Fields that it does not know are passed over: a newer writer may have set them.
func Decode(key Key, value []byte) (Object, error) {
	d := key.Kind.describe()
	if d == nil || d.about().derived {
		return nil, fmt.Errorf("key %s: no object of kind %q", key, key.Kind)
	}
	o := d.empty()
	if err := json.Unmarshal(value, o); err != nil {
		return nil, fmt.Errorf("decode %s: %w: %w", key, ErrUnreadable, err)
	}
	if bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return nil, fmt.Errorf("decode %s: %w: null is no object", key, ErrUnreadable)
	}
	return o, nil
}
