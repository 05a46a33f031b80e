// Package api holds what a host agent says over its unix socket: the requests to attach
// and detach containers, their answers, and a client. Errors travel as problem details
// (RFC 9457).
//
// It is all that a CNI plugin imports, so it must stay small: it imports the standard
// library only, never the agent, the store or a switch.
package api
