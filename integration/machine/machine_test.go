package machine

import (
	"runtime"
	"strings"
	"testing"
)

func TestDescribeNamesWhatResultsDependOn(t *testing.T) {
	got := Describe()
	for _, want := range []string{" x ", "Linux ", runtime.Version()} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not tell %q", got, want)
		}
	}
	if strings.Contains(got, "\n") {
		t.Errorf("%q is more than one line", got)
	}
}
