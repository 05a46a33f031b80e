package web

import (
	"cmp"
	"math"
	"slices"

	"sluice/controller/client"
	"sluice/store"
)

// picturedHosts is up to how many hosts the picture shows tunnels: more are shown as squares.
const picturedHosts = 32

// Size of the picture, in its own units.
const (
	pictureWidth  = 760
	pictureHeight = 420
	pictureMargin = 70
)

// picture is the cluster's hosts and tunnels.
type picture struct {
	Width, Height int
	Nodes         []node
	Lines         []line
	Squares       []node // instead of both, where there are too many hosts
}

// node is a host.
type node struct {
	Name  string
	State store.HostState
	X, Y  int
}

// line is the tunnel between two hosts.
type line struct {
	A, B           node
	AB, BA         float64 // bytes a second from A to B, and back
	Known          bool    // the rates are
	Broken         bool    // no frame may pass: one of the hosts is down, or not reached
	Width          float64 // of the line: more for more bytes, a unit for each ten times as many
	LabelX, LabelY int
}

// around is the place of one of so many hosts on the picture's ellipse.
func around(i, of int) node {
	angle := 2*math.Pi*float64(i)/float64(of) - math.Pi/2
	return node{
		X: pictureWidth/2 + int((pictureWidth/2-pictureMargin)*math.Cos(angle)),
		Y: pictureHeight/2 + int((pictureHeight/2-pictureMargin)*math.Sin(angle)),
	}
}

// draw lays hosts out on an ellipse.
func draw(hosts []client.HostStatus, traffic measured[link]) picture {
	p := picture{Width: pictureWidth, Height: pictureHeight}
	for i, h := range hosts {
		n := around(i, len(hosts))
		n.Name, n.State = h.Name, h.State
		p.Nodes = append(p.Nodes, n)
	}
	if len(hosts) > picturedHosts {
		p.Nodes, p.Squares = nil, p.Nodes
		return p
	}
	for i, a := range p.Nodes {
		for _, b := range p.Nodes[i+1:] {
			p.Lines = append(p.Lines, join(a, b, traffic))
		}
	}
	// What stands out is drawn over the rest.
	slices.SortStableFunc(p.Lines, func(a, b line) int { return cmp.Compare(a.AB+a.BA, b.AB+b.BA) })
	return p
}

func join(a, b node, traffic measured[link]) line {
	l := line{A: a, B: b, Broken: isCut(a.State) || isCut(b.State)}
	ab, forth := traffic.Rates[link{a.Name, b.Name}]
	ba, back := traffic.Rates[link{b.Name, a.Name}]
	l.AB, l.BA, l.Known = ab, ba, forth || back
	l.Width = 1 + math.Log10(1+(ab+ba)/1000)
	// Nearer to one end than to the other: lines cross in the middle.
	l.LabelX, l.LabelY = (3*a.X+2*b.X)/5, (3*a.Y+2*b.Y)/5
	return l
}

// isCut reports whether no frame passes between a host in a state and the others, as far as is known.
func isCut(s store.HostState) bool { return s == store.HostDown || s == store.HostUnreachable }
