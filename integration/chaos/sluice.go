package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// sluice runs the command line, as whoever owns the lab would.
type sluice struct {
	binary    string
	tokenFile string // the lab's, for a controller that is asked in its own machine
}

// controllersAPI is where a controller of the lab listens inside its machine.
const controllersAPI = "http://127.0.0.1:8080"

// run returns what the command printed.
func (s sluice) run(ctx context.Context, args ...string) ([]byte, error) {
	return s.in(ctx, "", args...)
}

// in runs a command inside a namespace; there it finds the controller of that machine only.
func (s sluice) in(ctx context.Context, ns string, args ...string) ([]byte, error) {
	argv := append([]string{s.binary}, args...)
	if ns != "" {
		argv = append([]string{"ip", "netns", "exec", ns, "env", "SLUICE_API=" + controllersAPI, "SLUICE_TOKEN=@" + s.tokenFile}, argv...)
	}
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return out, fmt.Errorf("sluice %s: %w", strings.Join(args, " "), err)
	}
	return out, nil
}

// ask decodes what a command prints with -o json.
func ask[T any](ctx context.Context, s sluice, ns string, args ...string) (v T, err error) {
	out, err := s.in(ctx, ns, append(args, "-o", "json")...)
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	return v, err
}
