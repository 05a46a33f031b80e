package store

import (
	"cmp"
	"slices"
	"time"
)

// KindUsage is {host}. Watch passes these keys over: readers list them.
const KindUsage Kind = "usage"

// UsageKey is the key of what tenants use on a host.
func UsageKey(host string) Key { return Key{Kind: KindUsage, Host: host} }

// Usage is what tenants use of their limits on one host, as its agent reads it there. Tenants of
// which all is 0 are left out. It stays when its host is deleted: what the host refused was refused.
type Usage struct {
	Tenants []TenantUsage `json:"tenants,omitempty"` // by number
	// Omitted is how many tenants are left out though they use something: the key would be too large.
	Omitted int `json:"omitted,omitempty"`
	// Visits are when something passed last by what tenants publish by routes, at this host's entry: the latest MaxVisits.
	Visits []Visit `json:"visits,omitempty"`
	// Damped are the gateway hosts that came and went by this host's probes, so that its switch does not send there for a while; sorted.
	Damped []string `json:"damped,omitempty"`
}

// Visit is when something passed last by a publication.
type Visit struct {
	Tenant      string    `json:"tenant"`
	Publication string    `json:"publication"`
	Created     Revision  `json:"created"` // of the publication: a later one of the name was not visited
	Last        time.Time `json:"last"`
}

// MaxVisits bounds the visits in one Usage.
const MaxVisits = 2048

// Answers are how many HTTP requests entries answered, by the first digit of the status, from 1 on: 101 opened a WebSocket.
type Answers [5]uint64

// Sum is how many they are.
func (a Answers) Sum() (n uint64) {
	for _, of := range a {
		n += of
	}
	return n
}

// Add adds what was answered elsewhere.
func (a *Answers) Add(o Answers) {
	for i, n := range o {
		a[i] += n
	}
}

// TenantUsage is what one tenant uses.
type TenantUsage struct {
	Tenant uint32 `json:"tenant"` // number
	Used
}

// Used is what is used of limits, and what they refused so far.
type Used struct {
	Connections       int     `json:"connections,omitempty" doc:"that live in the switches of its gateway hosts"`
	KernelConnections int     `json:"kernelConnections,omitempty" doc:"that live in the kernels of its gateway hosts, longer than in the switches"`
	KernelDrops       uint64  `json:"kernelDrops,omitempty" doc:"packets that would have opened a connection, and that a kernel dropped by the limit of connections"`
	PortsRefused      uint64  `json:"portsRefused,omitempty" doc:"attaches that were refused since the tenant had as many ports as it may"`
	NewPortsRefused   uint64  `json:"newPortsRefused,omitempty" doc:"attaches that were refused since the tenant made ports faster than it may"`
	QuestionsRefused  uint64  `json:"questionsRefused,omitempty" doc:"questions for names that resolvers refused or dropped since the tenant asked faster than it may"`
	Answers           Answers `json:"answers,omitzero" doc:"HTTP requests that entries answered for its routes, by the first digit of the status from 1 on; 1: they opened a WebSocket"`
}

// Add adds what is used elsewhere.
func (u *Used) Add(o Used) {
	u.Connections += o.Connections
	u.KernelConnections += o.KernelConnections
	u.KernelDrops += o.KernelDrops
	u.PortsRefused += o.PortsRefused
	u.NewPortsRefused += o.NewPortsRefused
	u.QuestionsRefused += o.QuestionsRefused
	u.Answers.Add(o.Answers)
}

// Counted is what must not go back of it: without what only is so now.
func (u Used) Counted() Used {
	u.Connections, u.KernelConnections = 0, 0
	return u
}

// refused reports whether any limit refused anything, or anything else was counted that must not go back.
func (u Used) refused() bool {
	return u.KernelDrops+u.PortsRefused+u.NewPortsRefused+u.QuestionsRefused+u.Answers.Sum() > 0
}

// MaxTenantsUsing bounds the tenants in one Usage: 8,192 are less than 1 MB, and etcd takes 1.5.
const MaxTenantsUsing = 8192

// UsageOf is what tenants use, by their numbers. Where there are too many, those that a limit refused
// something stay, since these sums must not go back, and of the others those with the most connections.
func UsageOf(used map[uint32]Used) Usage {
	var list []TenantUsage
	for tenant, u := range used {
		if u != (Used{}) {
			list = append(list, TenantUsage{tenant, u})
		}
	}
	slices.SortFunc(list, func(a, b TenantUsage) int {
		if a.refused() != b.refused() {
			return map[bool]int{true: -1, false: 1}[a.refused()]
		}
		return cmp.Or(cmp.Compare(b.Connections+b.KernelConnections, a.Connections+a.KernelConnections), cmp.Compare(a.Tenant, b.Tenant))
	})
	kept := list[:min(len(list), MaxTenantsUsing)]
	slices.SortFunc(kept, func(a, b TenantUsage) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return Usage{Tenants: kept, Omitted: len(list) - len(kept)}
}

// Of is what one tenant uses.
func (u *Usage) Of(tenant uint32) (used Used) {
	for _, t := range u.Tenants {
		if t.Tenant == tenant {
			used.Add(t.Used)
		}
	}
	return used
}

// Kind is KindUsage.
func (*Usage) Kind() Kind { return KindUsage }

var usageKind = &description[string, Usage, *Usage]{facts: facts{
	label:  "usage of a host",
	parts:  []part{partHost},
	writer: "the host's agent", reader: "controllers, the host's agent",
	hostReads: ownObjects, hostWrites: ownObjects,
}}
