package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/spf13/cobra"
)

// pprofFlag is where a command shows its profiles; "": nowhere.
type pprofFlag string

func (p *pprofFlag) register(cmd *cobra.Command) {
	cmd.Flags().StringVar((*string)(p), "pprof", "", "`ADDRESS` where go tool pprof finds profiles, such as 127.0.0.1:6060; it asks for no password")
}

// serve shows the profiles until ctx ends.
func (p pprofFlag) serve(ctx context.Context, log *slog.Logger) error {
	if p == "" {
		return nil
	}
	l, err := net.Listen("tcp", string(p))
	if err != nil {
		return fmt.Errorf("listen for pprof at %s: %w", string(p), err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	go server.Serve(l) // ends with ctx, and nothing depends on it
	log.Info("profiles", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	return nil
}
