package store

import "errors"

// Errors are wrapped with the object's name and what to do; test for them with errors.Is.
var (
	// ErrInvalid: the request itself is wrong, whatever etcd holds.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound: the object, or one that the request names, does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists: an object of that name exists.
	ErrExists = errors.New("exists already")
	// ErrTaken: an address, MAC, VTEP or datapath id that was asked for belongs to another object.
	ErrTaken = errors.New("taken")
	// ErrExhausted: no number, VLAN id or address is left.
	ErrExhausted = errors.New("exhausted")
	// ErrLimit: the tenant's own limit is reached.
	ErrLimit = errors.New("limit reached")
	// ErrUnreadable: what etcd holds of an object cannot be decoded: somebody else wrote it.
	ErrUnreadable = errors.New("unreadable")
	// ErrInUse: what was to be deleted is in use; the text says by what.
	ErrInUse = errors.New("in use")
	// ErrNotAllowed: the tenant may not use that host.
	ErrNotAllowed = errors.New("not allowed")
	// ErrConflict: the object changed since it was read.
	ErrConflict = errors.New("changed meanwhile")
	// ErrChanged: the object is no longer as the request presumes it to be.
	ErrChanged = errors.New("changed since")
	// ErrNoHistory: etcd has no state of that revision, any more or yet.
	ErrNoHistory = errors.New("no history")
	// ErrHostTaken: another agent has the host's name.
	ErrHostTaken = errors.New("host name taken")
	// ErrHostGone: the host was deleted, or registered anew, since the agent registered it.
	ErrHostGone = errors.New("host deleted")
	// ErrNotRealized: a wait ended before the switches held the revision.
	ErrNotRealized = errors.New("not realized")
	// ErrUnavailable: etcd did not answer; whether a write happened is not known.
	ErrUnavailable = errors.New("etcd unavailable")
	// ErrLeaseLost: a lease expired before it could be renewed.
	ErrLeaseLost = errors.New("lease lost")
	// ErrHeld: etcd does not hold the store that is served; nothing is read from it or written to it.
	ErrHeld = errors.New("held")
)
