package hostagent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsRememberedIsRecalled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known.json")
	if got, err := recall[[]int](file, "numbers"); got != nil || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	for _, known := range [][]int{{1, 2}, {3}} {
		if err := remember(file, "numbers", known); err != nil {
			t.Fatal(err)
		}
		if got, err := recall[[]int](file, "numbers"); !cmp.Equal(known, got) || err != nil {
			t.Errorf("of %v is recalled %v, %v", known, got, err)
		}
	}
}

// A file that somebody cut short is as good as none: not the half of it is believed.
func TestWhatCannotBeDecodedIsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known.json")
	for _, text := range []string{"", "{", `[1, 2, "three"]`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := recall[[]int](file, "numbers"); got != nil || err != nil {
			t.Errorf("of %q is recalled %v, %v", text, got, err)
		}
	}
}

func TestMemoryThatFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := recall[[]int](dir, "numbers"); err == nil || !strings.Contains(err.Error(), "recall numbers") {
		t.Errorf("a directory is recalled: %v", err)
	}
	if err := remember(filepath.Join(dir, "none", "known.json"), "numbers", 1); err == nil || !strings.Contains(err.Error(), "remember numbers") {
		t.Errorf("what cannot be written: %v", err)
	}
	if err := remember(filepath.Join(dir, "known.json"), "numbers", make(chan int)); err == nil {
		t.Error("what cannot be encoded was remembered")
	}
}
