// Package web is what people see of a controller in a browser: the cluster as a picture, hosts with their flows,
// tenants with their rates and what they used over time, gateways, a form that traces a packet, and the proof.
//
// Its pages are made on the server, of what package api answers to whoever looks: they show nothing that a caller may
// not read there. They load nothing from elsewhere and work without a script; the one that is there brings the numbers
// up to date while a page is looked at.
//
// It changes something only by a form that its visitor sent, by the API and as that visitor. It must never ask a switch
// for more because more people look.
package web
