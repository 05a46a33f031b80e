// Package pki makes and uses the certificates by which the parts of a cluster know each other.
//
// One Authority signs who somebody is: a host, a controller, a member of etcd, or a person. A key
// is made on the machine that uses it and never leaves it; only requests and certificates travel.
// A Source is one identity's certificate and the authority's, read from files, and read again when
// the files change, so that a renewed certificate is in use without a restart.
//
// Who may serve: certificates of controllers and of etcd's members are for both ends of a
// connection, those of hosts and people for clients only. Open vSwitch asks of a controller's
// certificate that it is from the authority and that it is for servers, and never looks at a name. So a
// certificate that was stolen from a host cannot make its thief a controller.
//
// The package is a leaf: it knows no etcd and no API, and asks whoever signs through a function.
package pki
