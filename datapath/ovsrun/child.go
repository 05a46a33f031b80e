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

// PID is the number of the process.
func (c *Child) PID() int { return c.process.Pid }

// Exited is closed once the process has ended; Err says how then.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Err is what Wait of exec.Cmd returned, once Exited is closed.
func (c *Child) Err() error { return c.err }

// Terminate asks a child to end. One that has ended is not asked.
func (c *Child) Terminate() { _ = c.process.Signal(syscall.SIGTERM) }

// End kills a child, also one that is paused, and waits for it. A nil child has ended.
func (c *Child) End() {
	if c != nil {
		_ = c.process.Kill() // it may have ended
		<-c.exited
	}
}
