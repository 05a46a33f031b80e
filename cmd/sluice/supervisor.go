package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellSupervisor tells systemd, where that started this part, that it serves now, and then as often as
// systemd asks for, until ctx ends, that it is alive: alive comes back only while it is.
func tellSupervisor(ctx context.Context, log *slog.Logger, alive func()) {
	told, err := daemon.SdNotify(false, daemon.SdNotifyReady)
	if err != nil {
		log.Warn("cannot tell systemd that this part is ready", "err", err)
	}
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("cannot read how often systemd asks whether this part is alive", "err", err)
	}
	if !told || every == 0 {
		return
	}
	go func() {
		for ctx.Err() == nil {
			alive()
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog) // one that was lost is told again
			select {
			case <-ctx.Done():
			case <-time.After(every / 3):
			}
		}
	}()
}
