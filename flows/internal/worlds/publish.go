package worlds

import (
	"fmt"
	"math/rand/v2"

	"sluice/store"
)

// publish has each tenant publish some of its ports: one or several, of TCP or UDP. Some were published by an earlier tenant, or lead
// to a port that is not there. Some ports publish themselves, now and then what somebody else does. Its choices are its own, so that all else of a seed is as it was before.
func (w *World) publish() {
	own := rand.New(rand.NewPCG(w.Seed, 5))
	for i, tenant := range w.Tenants {
		for k := range own.IntN(4) {
			p := &store.Publication{TenantCreated: w.State.Tenant(tenant).Created, Protocol: store.ProtocolTCP, First: uint16(80 + k), On: uint16(8000 + 100*i + 10*k), Count: uint16(1 + own.IntN(3)), KeepSource: own.IntN(2) == 0}
			if own.IntN(2) == 0 {
				p.Protocol = store.ProtocolUDP
			}
			p.Network, p.Port = "n0", "away"
			if to := w.Ports[own.IntN(len(w.Ports))]; to.Key.Tenant == tenant {
				p.Network, p.Port = to.Key.Network, to.Key.Name
			}
			if own.IntN(8) == 0 {
				p.TenantCreated--
			}
			w.Put(store.PublicationKey(tenant, fmt.Sprintf("%s-%d", p.Protocol, p.On)), p)
		}
	}
	for i, port := range w.Ports {
		value := *port.Value
		for k := range own.IntN(8) - 5 {
			on := 9000 + 10*i + 3*k
			if own.IntN(4) == 0 {
				on = 8000 + 100*own.IntN(4) // which the tenant itself, or another one, may have
			}
			value.Publish = append(value.Publish, store.PortPublication{
				Protocol: []store.Protocol{store.ProtocolTCP, store.ProtocolUDP}[own.IntN(2)], First: uint16(82 + 3*k), On: uint16(on), Count: uint16(1 + own.IntN(2)),
			})
		}
		if own.IntN(8) == 0 {
			value.Limits = store.PortLimits{EgressKbps: 1 << own.IntN(20), IngressKbps: 1 << own.IntN(20)}
		}
		if own.IntN(8) == 0 {
			said := own.Uint32N(2) << own.IntN(20)
			value.LimitsSet.EgressKbps = &said
		}
		if len(value.Publish) > 0 || value.OwnLimits() != (store.PortLimits{}) {
			w.Put(port.Key, &value)
			port.Item = w.State.Port(port.Key)
		}
	}
}
