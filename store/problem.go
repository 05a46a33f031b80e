package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is what is wrong with one object; the rest still works.
type Problem struct {
	Key    Key    `json:"-"`      // of the object; zero where it is none of the store's, and in what was read from etcd
	Object string `json:"object"` // the object as the CLI shows it: its key without Prefix, or words
	Text   string `json:"text"`   // what is wrong and what to do
	// LeavesOut says whom the object cannot serve for it; empty: nobody.
	LeavesOut LeavesOut `json:"leavesOut,omitempty" enum:"ports,gateway" doc:"whom it leaves out: every port that needs the object, or a host as the tenant's gateway host; without it the object works in what ports need"`
}

// LeavesOut is whom a problem leaves out.
type LeavesOut string

const (
	// LeavesOutPorts says that the object is not programmed, or not whole, so that no port that needs it works. Whoever waits for such
	// a port is told.
	LeavesOutPorts LeavesOut = "ports"
	// LeavesOutGateway says that the host cannot be the tenant's gateway host. The tenant's gateway does not move there, and no port lacks anything.
	LeavesOutGateway LeavesOut = "gateway"
)

// ProblemOf is a problem of the object under a key, which works in all else.
func ProblemOf(key Key, format string, args ...any) Problem {
	return Problem{Key: key, Object: key.Short(), Text: fmt.Sprintf(format, args...)}
}

// LeftOut is a problem of the object under a key, for which the ports that need it are left out.
func LeftOut(key Key, format string, args ...any) Problem {
	p := ProblemOf(key, format, args...)
	p.LeavesOut = LeavesOutPorts
	return p
}

// Problems are the problems of several objects.
type Problems []Problem

// Told are the problems as people are told them: sorted, and each once, whoever found it.
func (list Problems) Told() Problems {
	list = slices.Clone(list)
	slices.SortFunc(list, compareProblems)
	return slices.CompactFunc(list, func(a, b Problem) bool { return compareProblems(a, b) == 0 })
}

func compareProblems(a, b Problem) int {
	return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Text, b.Text))
}
