// Package access decides who may ask a controller's API for what, and keeps a record of it.
//
// It stands before package api: a request passes Guard first. That looks whether the request was
// meant for this controller (Host, Origin), tells who asks (a token, the controller's own one, or a
// person's certificate), and writes an audit line for each write and each refusal. What each route
// asks for is said where the route is described, in package api.
//
// It must never change what it guards, and never let a request pass because it could not tell who
// asks.
package access
