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
	// LeftOut says that the object is not programmed, or not whole, so that no port that needs it
	// works: whoever waits for such a port is told.
	LeftOut bool `json:"-"`
}

// ProblemOf is a problem of the object under a key, which works in all else.
func ProblemOf(key Key, format string, args ...any) Problem {
	return Problem{Key: key, Object: key.Short(), Text: fmt.Sprintf(format, args...)}
}

// LeftOut is a problem of the object under a key, which is left out for it.
func LeftOut(key Key, format string, args ...any) Problem {
	p := ProblemOf(key, format, args...)
	p.LeftOut = true
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
