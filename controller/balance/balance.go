// Package balance decides which tenants' gateways move so that gateway hosts carry loads alike.
//
// In the loop it stands behind package traffic, which measures the loads, and the leader, which has gateways move. It is pure: it knows no clock, no store
// and no network, and the same question always has the same answer.
//
// Connections of a tenant that moved stay at the host before until they end. So a host has two loads: that of its tenants, and what
// passes it now. It is relieved by the smaller of both, and takes tenants by the larger one: nothing moves away from what will end, and
// nothing moves to where something still is or will soon be.
//
// It must never propose a move that makes the fuller of the two hosts fuller than the hottest was: so what it proposes settles, and
// is never taken back while loads stay.
package balance

import (
	"cmp"
	"slices"
)

const (
	// Start is by how many times the mean load of a unit of weight the hottest host is above it before anything moves.
	Start = 1.20
	// Stop is where it ends.
	Stop = 1.10
	// Share is by how many times its largest tenant a host may be loaded where that is more than Stop: a tenant is not divided.
	Share = 1.05
)

// Host is a gateway host.
type Host struct {
	Name   string
	Weight float64 // its share of the load; more than 0
}

// Tenant is a tenant with its load, in any unit.
type Tenant struct {
	Name  string
	Load  float64
	Host  string // by which it leaves
	Fixed bool   // it stays: its policy says so, or it moved a moment ago
	// Stays are the parts of its load that still go by other hosts, by these hosts' names: its connections of before.
	Stays map[string]float64
}

// Move is a proposal.
type Move struct {
	Tenant   string  `json:"tenant"`
	From     string  `json:"from"`
	To       string  `json:"to"`
	Load     float64 `json:"load"`
	FromThen float64 `json:"fromThen"` // what the hosts carry after it
	ToThen   float64 `json:"toThen"`
}

// Plan is what is proposed.
type Plan struct {
	Moves  []Move             `json:"moves"`
	Before float64            `json:"before"` // the hottest host's load for its weight, over the mean
	After  float64            `json:"after"`  // the same once the moves are made
	Goal   float64            `json:"goal"`   // where moves end: Stop, or more where a tenant is that large
	Loads  map[string]float64 `json:"loads"`  // of each host once the moves are made, and connections of before have ended
	// TooLarge are tenants that alone are more than a host's share: no move helps.
	TooLarge []string `json:"tooLarge,omitempty"`
}

// room is a host with what it carries.
type room struct {
	Host
	load    float64  // of its tenants
	before  float64  // what passes it now beside that: of tenants that left, less what its own have at hosts before
	movable []Tenant // by load, the smallest first
	stuck   bool     // none of its tenants can go anywhere
}

// sheds is the load by which it is relieved.
func (r *room) sheds() float64 { return r.load + min(r.before, 0) }

// takes is the load by which it takes tenants.
func (r *room) takes() float64 { return r.load + max(r.before, 0) }

// level is the load for a unit of weight by which it is relieved.
func (r *room) level() float64 { return r.sheds() / r.Weight }

// Of proposes at most so many moves, where the hottest host is above a start: Start, or less where somebody asks for it.
// Tenants of hosts that are not given are passed over.
func Of(hosts []Host, tenants []Tenant, start float64, most int) Plan {
	rooms, mean, largest := fill(hosts, tenants)
	plan := Plan{Moves: []Move{}, Before: 1, After: 1, Goal: Stop, Loads: map[string]float64{}}
	if mean > 0 {
		plan.Before = hottest(rooms, false).level() / mean
		plan.After = plan.Before
		for plan.Before > start && len(plan.Moves) < most {
			hot := hottest(rooms, true)
			if hot == nil || hot.level() <= goal(hot, mean, largest) {
				break
			}
			moves := relieve(rooms, hot, goal(hot, mean, largest))
			if moves == nil {
				moves = makeRoom(rooms, hot, goal(hot, mean, largest), most-len(plan.Moves))
			}
			plan.Moves, hot.stuck = append(plan.Moves, moves...), moves == nil
		}
		end := hottest(rooms, false)
		plan.After, plan.Goal = end.level()/mean, goal(end, mean, largest)/mean
	}
	for _, r := range rooms {
		plan.Loads[r.Name] = r.load
	}
	plan.TooLarge = tooLarge(hosts, tenants, mean)
	return plan
}

// fill puts tenants into their hosts, and says what a unit of weight carries on the average and how large the largest tenant is.
func fill(hosts []Host, tenants []Tenant) (rooms []*room, mean, largest float64) {
	byName := map[string]*room{}
	weight := 0.0
	for _, h := range hosts {
		r := &room{Host: h}
		rooms, byName[h.Name], weight = append(rooms, r), r, weight+h.Weight
	}
	all := 0.0
	for _, t := range tenants {
		r := byName[t.Host]
		if r == nil {
			continue
		}
		r.load, all, largest = r.load+t.Load, all+t.Load, max(largest, t.Load)
		for name, load := range t.Stays {
			if at := byName[name]; at != nil {
				at.before += load
			}
			r.before -= load
		}
		if !t.Fixed && t.Load > 0 {
			r.movable = append(r.movable, t)
		}
	}
	for _, r := range rooms {
		slices.SortFunc(r.movable, smaller)
	}
	return rooms, all / max(weight, 1e-9), largest
}

func smaller(a, b Tenant) int {
	return cmp.Or(cmp.Compare(a.Load, b.Load), cmp.Compare(a.Name, b.Name))
}

// goal is the level at which a host is left as it is.
func goal(r *room, mean, largest float64) float64 { return max(Stop*mean, Share*largest/r.Weight) }

// hottest is the host with the highest level; of those that are not stuck where that is asked.
func hottest(rooms []*room, free bool) (hot *room) {
	for _, r := range rooms {
		if !(free && r.stuck) && (hot == nil || r.level() > hot.level()) {
			hot = r
		}
	}
	return hot
}

// relieve moves a tenant from a host to the coolest: the smallest that brings it to the goal, else the largest that fits.
func relieve(rooms []*room, hot *room, goal float64) []Move {
	cool := coolest(rooms, hot)
	if cool == nil {
		return nil
	}
	fits := min(goal, hot.level())*cool.Weight - cool.takes()
	at := hot.atLeast(hot.sheds() - goal*hot.Weight)
	if at == len(hot.movable) || hot.movable[at].Load > fits {
		at = hot.atMost(fits)
	}
	if at < 0 {
		return nil
	}
	return []Move{move(hot, cool, at)}
}

// atLeast is the place of the smallest tenant with that load or more; their number: there is none.
func (r *room) atLeast(load float64) int {
	at, _ := slices.BinarySearchFunc(r.movable, load, func(t Tenant, load float64) int { return cmp.Compare(t.Load, load) })
	return at
}

// atMost is the place of the largest tenant with that load or less; -1: there is none.
func (r *room) atMost(load float64) int {
	past, _ := slices.BinarySearchFunc(r.movable, load, func(t Tenant, load float64) int { return cmp.Or(cmp.Compare(t.Load, load), -1) })
	return past - 1
}

// coolest is the host that may take most for its weight but for some; nil: there is no other.
func coolest(rooms []*room, but ...*room) (cool *room) {
	for _, r := range rooms {
		if !slices.Contains(but, r) && (cool == nil || r.takes()/r.Weight < cool.takes()/cool.Weight) {
			cool = r
		}
	}
	return cool
}

// move moves a tenant, by its place. It does not move on in the same plan.
func move(from, to *room, at int) Move {
	t := from.movable[at]
	from.movable = slices.Delete(from.movable, at, at+1)
	from.load, to.load = from.load-t.Load, to.load+t.Load
	return Move{t.Name, from.Name, to.Name, t.Load, from.load, to.load}
}

// makeRoom is for a host whose tenants are too large for the coolest: it moves some of that one's tenants on to others, the
// largest that fit first, until there is room for the smallest that brings the host to the goal, or else for its smallest. Nil:
// there is no way, in so many moves.
func makeRoom(rooms []*room, hot *room, goal float64, most int) []Move {
	cool := coolest(rooms, hot)
	if cool == nil || len(hot.movable) == 0 {
		return nil
	}
	at := hot.atLeast(hot.sheds() - goal*hot.Weight)
	if at == len(hot.movable) {
		at = 0
	}
	need := hot.movable[at].Load - (goal*cool.Weight - cool.takes())
	trial := copied(rooms)
	from, but := trial[slices.Index(rooms, cool)], []*room{trial[slices.Index(rooms, hot)], trial[slices.Index(rooms, cool)]}
	var moves []Move
	for need > 1e-9*goal {
		to := coolest(trial, but...)
		if to == nil || len(moves)+1 >= most {
			return nil
		}
		out := min(from.atLeast(need), from.atMost(goal*to.Weight-to.takes()))
		if out < 0 {
			return nil
		}
		need -= from.movable[out].Load
		moves = append(moves, move(from, to, out))
	}
	for n, r := range trial {
		*rooms[n] = *r
	}
	return append(moves, move(hot, cool, at))
}

// copied are hosts that may be changed.
func copied(rooms []*room) []*room {
	all := make([]*room, len(rooms))
	for n, r := range rooms {
		c := *r
		c.movable = slices.Clone(r.movable)
		all[n] = &c
	}
	return all
}

// tooLarge are the tenants that alone are more than Stop of what the largest host is to carry, sorted.
func tooLarge(hosts []Host, tenants []Tenant, mean float64) (names []string) {
	most := 0.0
	for _, h := range hosts {
		most = max(most, h.Weight)
	}
	for _, t := range tenants {
		if mean > 0 && t.Load > Stop*mean*most {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names
}
