// Package lxc is LXC's side of attach and detach: it reads what LXC tells a hook, and asks the host's agent over its
// unix socket.
//
// It makes no interface, and keeps nothing of its own: which port belongs to which start of a container
// stands in the port's labels. It must stay small, since it runs at each start and stop.
package lxc
