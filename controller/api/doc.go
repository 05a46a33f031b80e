// Package api is the HTTP face of a controller: JSON resources under /v1/, an OpenAPI
// description at /openapi.json, metrics and health. What is sent and answered are the types of
// package client.
//
// Reads come from the controller's State, writes go to etcd; a write answers when the
// controller has seen it, so that who reads after writing finds what they wrote. Errors
// are RFC 9457 problems whose detail is the very text of the error.
//
// The package must never change a switch or keep state of its own, and it attaches no
// port: that is the host agent's, over its own socket.
package api
