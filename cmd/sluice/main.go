// Command sluice is all of Sluice but its CNI plugin: the controller, the host agent, the
// lab, and the client commands. This package holds flags, wiring and output, nothing else.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := newRoot()
	root.SetArgs(os.Args[1:])
	code := execute(ctx, root)
	stop()
	os.Exit(code)
}
