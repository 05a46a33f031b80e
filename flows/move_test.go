package flows_test

import (
	"fmt"
	"slices"
	"testing"

	of "sluice/datapath/openflow"
	"sluice/flows/simulate"
	"sluice/store"
)

// values are what follows each other while alice's gateway moves from h1 to h3, on to h2, and back to h1.
var values = []store.Gateway{
	{Active: "h1"},
	{Active: "h1", Move: &store.Move{To: "h3"}},
	{Active: "h3", Draining: []string{"h1"}},
	{Active: "h3", Draining: []string{"h1"}, Move: &store.Move{To: "h2"}},
	{Active: "h2", Draining: []string{"h3", "h1"}},
	{Active: "h2", Draining: []string{"h1"}, Standby: []string{"h3"}},
	{Active: "h2", Draining: []string{"h1"}},
	{Active: "h2", Draining: []string{"h1"}, Move: &store.Move{To: "h1"}},
	{Active: "h1", Draining: []string{"h2"}},
	{Active: "h1", Draining: []string{"h2"}, Move: &store.Move{To: "h3"}},
	{Active: "h1", Draining: []string{"h2"}, Standby: []string{"h3"}}, // it stays
	{Active: "h1", Standby: []string{"h2"}},
	{Active: "h1"},
	{Active: "h1", Backup: "h2"},
	{Active: "h1", Backup: "h3", Standby: []string{"h2"}},
	{Active: "h1", Backup: "h3", Move: &store.Move{To: "h2"}},
	{Active: "h2", Backup: "h3", Draining: []string{"h1"}},
	{Active: "h2", Draining: []string{"h1"}, Move: &store.Move{To: "h3"}},
	{Active: "h3", Draining: []string{"h2", "h1"}},
	{Active: "h3", Draining: []string{"h2"}, Standby: []string{"h1"}},
	{Active: "h3", Draining: []string{"h2"}, Backup: "h1"},
}

// In whatever order the switches get the flows of the next value, each connection of before goes on through the host
// that knows it, and each new one leaves once. No packet is lost.
func TestEachStepOfAMoveMayBeHalfDone(t *testing.T) {
	hosts := []string{"h1", "h2", "h3"}
	for n := 1; n < len(values); n++ {
		for done := 1; done < 1<<len(hosts)-1; done++ {
			t.Run(fmt.Sprintf("step %d, done %03b", n, done), func(t *testing.T) {
				l := newLab(t)
				knows := map[string][]sent{}
				for before := range n {
					if before+1 < n && values[before].Active == values[before+1].Active {
						continue // the next value has as much of it
					}
					l.gateway(values[before], hosts...)
					for _, p := range l.opening(uint16(100 * before)) {
						host := l.leaves("opening", p, values[before].Active)
						knows[host] = append(knows[host], p.goesOn())
					}
				}
				var some []string
				for i, host := range hosts {
					if done&(1<<i) != 0 {
						some = append(some, host)
					}
				}
				l.gateway(values[n], some...)
				for host, all := range knows {
					if !slices.Contains(values[n].Asked(), host) || !slices.Contains(values[n-1].Asked(), host) {
						continue // it drained
					}
					for _, p := range all {
						l.leaves("of before", p, host)
					}
				}
				for _, p := range l.opening(uint16(100 * n)) {
					l.leaves("new", p, values[n-1].Active, values[n].Active)
				}
			})
		}
	}
}

// leaves sends a packet, which must leave once, by one of some hosts, and get its answer. It says by which.
func (l *lab) leaves(what string, p sent, hosts ...string) string {
	l.Helper()
	walk, got := l.send(p.from, p.packet)
	if len(got) != 1 || !slices.Contains(hosts, got[0]) {
		l.Fatalf("%s, %s from %s leaves by %v, want one of %v\n%s", what, &p.packet, p.from, got, hosts, walk)
	}
	_, back := l.enter(got[0], gatewayPort, simulate.Answer(walk.Deliveries[0].Packet, store.KernelMAC))
	if !slices.Equal(back, []string{p.from}) {
		l.Fatalf("%s: the answer to %s from %s reaches %v", what, &p.packet, p.from, back)
	}
	return got[0]
}

// sent is a packet of a container.
type sent struct {
	from   string
	packet simulate.Packet
}

// goesOn is the next packet of its connection.
func (s sent) goesOn() sent {
	if s.packet.Uint(of.FieldTCPFlags) == simulate.TCPSyn {
		s.packet.SetUint(of.FieldTCPFlags, simulate.TCPAck)
	}
	return s
}

// gateway gives hosts the flows of another gateway of alice's. The others hold what they have.
func (l *lab) gateway(g store.Gateway, hosts ...string) {
	l.Helper()
	l.put(store.GatewayKey("alice"), &g)
	before := l.hosts
	l.program()
	for i, h := range before {
		if slices.Contains(hosts, h.Name) {
			if err := h.Bridge.Replace(l.installed(i)); err != nil {
				l.Fatal(err)
			}
		}
		l.hosts[i].Bridge = h.Bridge
	}
}

// opening are packets that open connections, of containers on two hosts, in all protocols. port tells them from others.
func (l *lab) opening(port uint16) (all []sent) {
	for n, from := range []string{"a1", "a2"} {
		end, to := l.end(from), simulate.Endpoint{MAC: store.RouterMAC, IP: internet, Port: 80}
		end.Port = 2000 + port
		all = append(all, sent{from, simulate.TCP(end, to, simulate.TCPSyn)}, sent{from, simulate.UDP(end, to)},
			sent{from, simulate.ICMPEcho(end, to, 7000+port+uint16(n))})
	}
	return all
}
