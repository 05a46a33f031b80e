package etcd

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.etcd.io/etcd/server/v3/auth"
	"go.uber.org/zap/zapcore"
)

// gate is open while the server serves: what etcd says of its start and end is either
// chatter or returned as an error.
type gate struct{ open atomic.Bool }

// chatter is what a healthy server of one node says once it serves.
var chatter = map[string]bool{
	"Failed to detect schema version":              true, // a fresh database has none yet
	"failed to update storage version":             true, // so it cannot be updated
	"etcdserver: failed to register grpc metrics":  true, // the second server of a process
	"simple token is not cryptographically signed": true, // it matters to clusters alone
	"ignored grant role request to a user":         true, // two controllers let the same host in
}

// answers are errors that tell a controller what it asked, or make a client try again: users come
// and go, and two controllers let the same host in at one time.
var answers = map[any]bool{
	auth.ErrAuthOldRevision.Error():  true,
	auth.ErrUserNotFound.Error():     true,
	auth.ErrRoleNotFound.Error():     true,
	auth.ErrUserAlreadyExist.Error(): true,
	auth.ErrRoleAlreadyExist.Error(): true,
}

// zapCore hands etcd's own log lines, which come through zap, to slog. Only warnings and
// worse pass.
type zapCore struct {
	log    *slog.Logger
	gate   *gate
	fields []zapcore.Field
}

func forward(log *slog.Logger, g *gate) zapcore.Core {
	if log == nil {
		return zapcore.NewNopCore()
	}
	return zapCore{log: log, gate: g}
}

// Enabled implements zapcore.LevelEnabler.
func (z zapCore) Enabled(l zapcore.Level) bool {
	return l >= zapcore.WarnLevel && z.gate.open.Load()
}

// With implements zapcore.Core.
func (z zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{log: z.log, gate: z.gate, fields: append(z.fields[:len(z.fields):len(z.fields)], fields...)}
}

// Check implements zapcore.Core.
func (z zapCore) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if z.Enabled(e.Level) && !chatter[e.Message] {
		return c.AddCore(e, z)
	}
	return c
}

// Write implements zapcore.Core.
func (z zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range append(z.fields[:len(z.fields):len(z.fields)], fields...) {
		f.AddTo(encoder)
	}
	if answers[encoder.Fields["error"]] {
		return nil
	}
	level := slog.LevelWarn
	if e.Level > zapcore.WarnLevel {
		level = slog.LevelError
	}
	attrs := make([]slog.Attr, 0, len(encoder.Fields))
	for k, v := range encoder.Fields {
		attrs = append(attrs, slog.Any(k, v))
	}
	z.log.LogAttrs(context.Background(), level, "etcd: "+e.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (z zapCore) Sync() error { return nil }
