package store

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// sleeperEvents are what etcd holds of a tenant that has a network, a gateway as the leader leaves it, and no port, in the order of a
// list: read from their JSON.
func sleeperEvents(t testing.TB, tenants int) (events []Event) {
	t.Helper()
	read := func(key Key, o Object, at int) {
		value, err := Encode(o)
		if err != nil {
			t.Fatal(err)
		}
		if key, err = ParseKey(key.String()); err != nil {
			t.Fatal(err)
		}
		if o, err = Decode(key, value); err != nil {
			t.Fatal(err)
		}
		events = append(events, Event{Key: key, Object: o, Created: Revision(at), Modified: Revision(at + 1)})
	}
	const hosts = 1000
	prefix := netip.MustParsePrefix("10.0.0.0/16")
	subnet := Subnet{Prefix: prefix, Gateway: DefaultGateway(prefix)}
	number := func(n int) uint32 { return uint32(n)*13%MaxTenantNumber + 1 }
	for n := range tenants {
		active, backup := fmt.Sprintf("host-%04d", n%hosts), fmt.Sprintf("host-%04d", (n+1)%hosts)
		read(GatewayKey(fmt.Sprintf("s%07d", n)), &Gateway{Active: active, Backup: backup, Epoch: 1, Since: time.UnixMilli(1_700_000_000_000 + int64(n)).UTC(),
			Why:   fmt.Sprintf("auto: the fewest tenants for its weight, %d at weight 1; ready gateway hosts: %d", n/hosts, hosts),
			Slots: map[string]uint32{active: uint32(1 + n%MaxSlot), backup: uint32(1 + n*7%MaxSlot)}}, 1_000_000+10*n)
	}
	for n := range tenants {
		read(NetworkKey(fmt.Sprintf("s%07d", n), DefaultNetwork), &Network{Number: number(n), Segmentation: SegmentationTunnel, Segment: number(n),
			Flood: FloodAuto, Subnets: []Subnet{subnet}}, 1_000_001+10*n)
	}
	for n := range tenants {
		read(TenantKey(fmt.Sprintf("s%07d", n)), &Tenant{Number: number(n), Gateway: GatewayAuto}, 1_000_001+10*n)
	}
	return events
}

// A tenant that sleeps costs State less than 800 bytes: its tenant, network and gateway packed, and its place in seven indexes.
func TestSleeperSize(t *testing.T) {
	const tenants, most = 20_000, 800
	before := liveBytes()
	s := NewState()
	s.Apply(Batch{Revision: 1 << 40, Events: sleeperEvents(t, tenants)})
	s.Apply(Batch{Revision: 1<<40 + 1})
	each := (liveBytes() - before) / tenants
	t.Logf("%d bytes a tenant that sleeps", each)
	if each > most {
		t.Errorf("a tenant that sleeps costs %d bytes, at most %d are meant", each, most)
	}
	runtime.KeepAlive(s)
}

// BenchmarkSleeper looks a tenant up that sleeps.
func BenchmarkSleeper(b *testing.B) {
	const tenants = 20_000
	s := NewState()
	s.Apply(Batch{Revision: 1 << 40, Events: sleeperEvents(b, tenants)})
	for what, look := range map[string]func(name string){
		"tenant":  func(name string) { s.Tenant(name) },
		"gateway": func(name string) { s.Gateway(name) },
		"network": func(name string) { s.Network(NetworkName{name, DefaultNetwork}) },
	} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				look(fmt.Sprintf("s%07d", n%tenants))
			}
		})
	}
}

// BenchmarkSleepersCome takes in what a start reads of tenants that sleep.
func BenchmarkSleepersCome(b *testing.B) {
	events := sleeperEvents(b, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	NewState().Apply(Batch{Revision: 1 << 40, Events: events})
}
