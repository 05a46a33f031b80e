// Package resolver answers containers' questions for names: those of their own tenant's ports from what
// etcd holds, and all others by asking upstream.
//
//   - names.go     the names of all tenants, by what the store holds
//   - question.go  which questions are for the tenant's own names
//   - answer.go    answers from these
//   - upstream.go  who is asked for all else; cache.go, what they answered, a tenant for itself
//   - desk.go      where one tenant asks
//   - resolver.go  the desks of all tenants
//
// Each tenant asks at a desk of its own: sockets to which the host's flows bring its questions and nobody
// else's. So the resolver knows who asks, though tenants have the same addresses. What one tenant asks
// changes nothing for another, not even how long an answer takes: caches and rates are a tenant's own, and a
// name of another tenant is looked up in the same place as one that does not exist.
//
// In the agent's loop it reads what the store's watch tells. It must never write anything, nor need a
// controller, and never ask upstream for what is a tenant's own.
package resolver
