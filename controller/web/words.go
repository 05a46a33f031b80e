package web

import (
	"cmp"
	"fmt"
	"html/template"
	"reflect"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// first are the first rows of a list that a table shows, which may be of anything.
func first(list any) any {
	v := reflect.ValueOf(list)
	return v.Slice(0, min(v.Len(), rowsShown)).Interface()
}

// namesShown bounds the names in one cell of a table.
const namesShown = 20

// some are names, of many the first ones and how many more there are.
func some(names []string) string {
	if more := len(names) - namesShown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:namesShown], " "), more)
	}
	return strings.Join(names, " ")
}

// words are how pages write numbers, times and states.
func words() template.FuncMap {
	return template.FuncMap{
		"bytes":   humanize.Bytes,
		"count":   func(n uint64) string { return humanize.Comma(int64(n)) }, //nolint:gosec // no counter comes near 2^63
		"rate":    func(perSecond float64) string { return humanize.Bytes(uint64(perSecond)) + "/s" },
		"when":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"now":     func() string { return time.Now().UTC().Format("15:04:05 UTC") },
		"join":    strings.Join,
		"some":    some,
		"first":   first,
		"more":    func(n int) int { return max(0, n-rowsShown) },
		"orElse":  func(a, b string) string { return cmp.Or(a, b) },
		"indent":  func(depth int) string { return strings.Repeat("  ", depth) },
		"fields":  strings.Fields,
		"sum":     func(a, b float64) string { return fmt.Sprintf("%.0f", a+b) },
		"decimal": func(x float64) string { return fmt.Sprintf("%.1f", x) },
	}
}
