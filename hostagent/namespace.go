package hostagent

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// inNamespace calls f on a thread that is in a network namespace: what f opens belongs there. If the thread cannot come
// back it ends with its goroutine instead of serving others.
func inNamespace(ns netns.NsHandle, f func() error) (err error) {
	return visiting(func() error {
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter the namespace: %w", err)
		}
		return f()
	})
}

// newNamespace makes a network namespace, which lasts as long as its handle is open.
func newNamespace() (ns netns.NsHandle, err error) {
	ns = netns.None()
	err = visiting(func() error {
		ns, err = netns.New()
		return err
	})
	if err != nil {
		return ns, fmt.Errorf("make a network namespace: %w", err)
	}
	return ns, nil
}

// visiting calls f on a thread of its own, which f may take to another namespace.
func visiting(f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		var own netns.NsHandle
		if own, err = netns.Get(); err != nil {
			runtime.UnlockOSThread()
			return
		}
		defer own.Close()
		err = f()
		if netns.Set(own) == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
	return err
}
