package web

import (
	"slices"

	"sluice/controller/client"
	"sluice/store"
)

// star is the hosts of a tenant whose frames between them go by one of them, the hub.
type star struct {
	Width, Height int
	Hub           node
	Spokes        []node
	More          int // hosts that are not drawn
}

// drawStar lays the hosts of a tenant's networks out around its hub. Of a tenant whose frames go straight it is nil.
func drawStar(g client.Gateway, networks []client.Network) *star {
	if g.Relay != store.RelayOn {
		return nil
	}
	var hosts []string
	for _, n := range networks {
		hosts = append(hosts, n.Hosts...)
	}
	slices.Sort(hosts)
	hosts = slices.DeleteFunc(slices.Compact(hosts), func(h string) bool { return h == g.Active })
	p := &star{Width: pictureWidth, Height: pictureHeight, Hub: node{Name: g.Active, X: pictureWidth / 2, Y: pictureHeight / 2}}
	p.More = max(0, len(hosts)-picturedHosts)
	for i, name := range hosts[:len(hosts)-p.More] {
		n := around(i, len(hosts)-p.More)
		n.Name = name
		p.Spokes = append(p.Spokes, n)
	}
	return p
}
