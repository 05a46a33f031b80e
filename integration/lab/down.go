package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Down removes the lab, also half of one, and whatever it left after a crash.
func Down(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("the lab belongs to root: remove it as root")
	}
	unlock, err := lock(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	if err := tearDown(ctx); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(Dir), disown())
}

// tearDown ends the lab's processes and removes its namespaces and files; Dir itself, which
// is locked, stays. It goes on where one cannot be removed, so that as much as possible is
// gone; then it keeps the files, which tell what is left.
func tearDown(ctx context.Context) error {
	var errs []error
	errs = append(errs, endRuntimes(ctx))
	records, err := os.ReadDir(filepath.Join(Dir, "processes"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, r := range records {
		_, err := kill(strings.TrimSuffix(r.Name(), ".json"))
		errs = append(errs, err)
	}
	names, err := Namespaces()
	errs = append(errs, err)
	for _, ns := range names {
		if err := removeNS(ctx, ns); err != nil {
			errs = append(errs, fmt.Errorf("remove namespace %s: %w", ns, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(Dir, "*"))
	for _, f := range files {
		err = errors.Join(err, os.RemoveAll(f))
	}
	return err
}
