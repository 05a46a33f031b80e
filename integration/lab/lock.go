package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lock takes the lab: shared to work in it, exclusive (unix.LOCK_EX) to make or remove it.
// The lock is on Dir itself, which Down removes: whoever waited for a directory that is gone
// starts anew.
func lock(ctx context.Context, how int) (unlock func(), err error) {
	for {
		f, err := os.Open(Dir)
		if errors.Is(err, os.ErrNotExist) && how == unix.LOCK_SH {
			return nil, ErrNotRunning
		}
		if errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(Dir, 0o755); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("lock the lab: %w", err)
		}
		err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil && isCurrent(f) {
			return func() { f.Close() }, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the lab: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another sluice is making or removing the lab: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func isCurrent(f *os.File) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(Dir)
	return err == nil && os.SameFile(mine, now)
}

// reservation is a file that only tests and benchmarks lock. While it says held, one of them
// may have a lab.
const (
	reservation = "/run/lock/sluice-lab"
	held        = "held\n"
)

// Reserve keeps other tests and benchmarks, which reserve the lab too, from raising or removing
// one until free is called. It waits until none of them holds it; people's commands neither
// wait for it nor are kept waiting. A lab whose holder died is removed.
func Reserve(ctx context.Context) (free func(), err error) {
	if err := os.MkdirAll(filepath.Dir(reservation), 0o755); err != nil { // bare systems lack it
		return nil, fmt.Errorf("reserve the lab: %w", err)
	}
	f, err := os.OpenFile(reservation, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("reserve the lab: %w", err)
	}
	if err = lockReservation(ctx, f); err == nil {
		err = takeOver(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("reserve the lab: %w", errors.Join(err, f.Close()))
	}
	return func() { disown(); f.Close() }, nil
}

func lockReservation(ctx context.Context, f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a test or a benchmark holds the lab: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// takeOver removes what a holder left that did not come to free it, and writes that there is
// a new one.
func takeOver(ctx context.Context) error {
	was, err := os.ReadFile(reservation)
	if err == nil && string(was) == held {
		err = Down(ctx)
	}
	if err == nil {
		err = os.WriteFile(reservation, []byte(held), 0o600)
	}
	return err
}

// disown makes the next lab nobody's that reserved it: what Reserve's holder made is gone.
func disown() error {
	err := os.Truncate(reservation, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// lockFile waits for a file's lock, and makes the file.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
