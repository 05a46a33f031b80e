package settings

import (
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/spf13/pflag"
)

// check refuses a text that is no value of a flag, and sets nothing.
func check(f *pflag.Flag, value string) (err error) {
	switch f.Value.Type() {
	case "bool":
		_, err = strconv.ParseBool(value)
	case "duration":
		_, err = time.ParseDuration(value)
	}
	if err != nil {
		return wrong(f, value)
	}
	return nil
}

// wrong says what a flag's value looks like.
func wrong(f *pflag.Flag, value string) error {
	switch f.Value.Type() {
	case "bool":
		return fmt.Errorf("%q is neither true nor false", value)
	case "duration":
		return fmt.Errorf("%q is no time: write it as 10m, 1h30m or 500ms", value)
	}
	return fmt.Errorf("%q cannot be read", value)
}

// isList reports whether a flag takes several values.
func isList(f *pflag.Flag) bool {
	_, ok := f.Value.(pflag.SliceValue)
	return ok
}

// commas writes values as one text, as the command line takes it.
func commas(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	err := w.Write(values)
	w.Flush()
	return strings.TrimSuffix(text.String(), "\n"), errors.Join(err, w.Error())
}

// furthest is how many letters may be wrong in a name that we still know.
const furthest = 3

// nearest asks whether one of the names was meant that differ least.
func nearest[T any](name string, known map[string]T) string {
	best, least := "", furthest+1
	for _, other := range slices.Sorted(maps.Keys(known)) {
		if d := levenshtein.Distance(name, other, nil); d < least {
			best, least = other, d
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best
}
