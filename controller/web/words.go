package web

import (
	"cmp"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// words are how pages write numbers, times and states.
func words() template.FuncMap {
	return template.FuncMap{
		"bytes":   humanize.Bytes,
		"count":   func(n uint64) string { return humanize.Comma(int64(n)) }, //nolint:gosec // no counter comes near 2^63
		"rate":    func(perSecond float64) string { return humanize.Bytes(uint64(perSecond)) + "/s" },
		"when":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"now":     func() string { return time.Now().UTC().Format("15:04:05 UTC") },
		"join":    strings.Join,
		"orElse":  func(a, b string) string { return cmp.Or(a, b) },
		"indent":  func(depth int) string { return strings.Repeat("  ", depth) },
		"fields":  strings.Fields,
		"sum":     func(a, b float64) string { return fmt.Sprintf("%.0f", a+b) },
		"decimal": func(x float64) string { return fmt.Sprintf("%.1f", x) },
	}
}
