package lxc

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
)

// Hooks that there are for us: LXC's keys lxc.hook.start-host and lxc.hook.post-stop.
const (
	StartHost = "start-host" // all is made, and init does not run yet
	PostStop  = "post-stop"  // init ended, or the start failed
)

// Call is what LXC says of one call (lxc.container.conf(5), "Container hooks").
type Call struct {
	Hook      string // StartHost or PostStop
	Container string
	Config    string // path of the container's configuration
	PID       int    // of its init, as the host sees it; 0: none was started
	// Reboot says that the container stops to start again at once.
	Reboot bool
}

// Called reads a call: from the environment, and from the arguments where lxc.hook.version is 0.
func Called(args []string, environment func(string) string) (Call, error) {
	c := Call{
		Hook: environment("LXC_HOOK_TYPE"), Container: environment("LXC_NAME"), Config: environment("LXC_CONFIG_FILE"),
		Reboot: environment("LXC_TARGET") == "reboot",
	}
	section := environment("LXC_HOOK_SECTION")
	if c.Hook == "" && len(args) >= 3 {
		c.Container, section, c.Hook = args[0], args[1], args[2]
	}
	switch {
	case c.Container == "" || c.Hook == "":
		return c, errors.New("LXC runs this as a hook of a container; by hand it has nothing to do: see docs/runtimes/lxc.md")
	case section != "lxc" || c.Hook != StartHost && c.Hook != PostStop:
		return c, fmt.Errorf("container %s: hook %s of section %s is not for this program: set lxc.hook.start-host and lxc.hook.post-stop", c.Container, c.Hook, section)
	case !filepath.IsAbs(c.Config):
		return c, fmt.Errorf("container %s: its configuration is %q, which is no absolute path: start it with one", c.Container, c.Config)
	}
	if text := environment("LXC_PID"); text != "" {
		pid, err := strconv.Atoi(text)
		if err != nil || pid <= 0 {
			return c, fmt.Errorf("container %s: LXC_PID is %q", c.Container, text)
		}
		c.PID = pid
	}
	return c, nil
}

// namespace is the path of the container's network namespace.
func (c Call) namespace() string { return fmt.Sprintf("/proc/%d/ns/net", c.PID) }
