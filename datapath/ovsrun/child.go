package ovsrun

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Child is a process that ends with this one, however that ends.
type Child struct {
	process *os.Process
	exited  chan struct{}
	err     error // set before exited is closed
}

// Spawn starts a child. It keeps to one thread: the kernel takes that thread's end for the parent's.
func Spawn(cmd *exec.Cmd) (*Child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	c := &Child{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.exited)
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// End kills a child, also one that is paused, and waits for it. A nil child has ended.
func (c *Child) End() {
	if c != nil {
		_ = c.process.Kill() // it may have ended
		<-c.exited
	}
}
