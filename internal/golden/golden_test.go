package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// told is a test that only notes what it is told.
type told struct {
	testing.TB
	said string
}

func (t *told) Helper()                           {}
func (t *told) Errorf(format string, args ...any) { t.said += fmt.Sprintf(format, args...) }
func (t *told) Fatalf(format string, args ...any) { t.Errorf(format, args...); panic(t) }

func TestCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page")
	check := func(made string, update bool) (said string) {
		asked := &told{TB: t}
		defer func() { _, said = recover(), asked.said }()
		Check(asked, path, []byte(made), update)
		return asked.said
	}
	for _, step := range []struct {
		made   string
		update bool
		says   string // empty: it is content
		kept   string
	}{
		{"one", false, "no such file", ""},
		{"one", true, "", "one"},
		{"one", false, "", "one"},
		{"two", false, "is not what is made now", "one"},
		{"two", true, "", "two"},
	} {
		said := check(step.made, step.update)
		if !strings.Contains(said, step.says) || step.says == "" && said != "" {
			t.Errorf("made %q, update %v: it says %q, want %q", step.made, step.update, said, step.says)
		}
		if kept, _ := os.ReadFile(path); string(kept) != step.kept {
			t.Errorf("made %q, update %v: the file holds %q", step.made, step.update, kept)
		}
	}
}
