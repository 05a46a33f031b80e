package prove_test

import (
	"fmt"
	"testing"

	"sluice/flows"
	"sluice/flows/internal/worlds"
	"sluice/flows/prove"
	"sluice/store"

	of "sluice/datapath/openflow"
)

// crowded is a host with some 10,000 or 100,000 flows.
func crowded(b *testing.B, tenants int) (*store.State, prove.Tables) {
	s, sw := worlds.Crowd(tenants)
	all, problems := flows.Desired(s, sw)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	return s, prove.Tables{Switch: sw, Flows: all}
}

// BenchmarkHost proves all that a host holds.
func BenchmarkHost(b *testing.B) {
	for _, tenants := range []int{290, 2900} {
		b.Run(fmt.Sprint("tenants=", tenants), func(b *testing.B) {
			s, tables := crowded(b, tenants)
			b.ReportAllocs()
			for b.Loop() {
				if found := prove.Host(s, tables); len(found) > 0 {
					b.Fatal(texts(found[:1]))
				}
			}
			b.ReportMetric(float64(len(tables.Flows)), "flows")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(tables.Flows)), "ns/flow")
		})
	}
}

// BenchmarkChanged proves one flow again that went and came.
func BenchmarkChanged(b *testing.B) {
	for _, tenants := range []int{290, 2900} {
		b.Run(fmt.Sprint("tenants=", tenants), func(b *testing.B) {
			s, tables := crowded(b, tenants)
			p := prove.New(s, tables)
			at := len(tables.Flows) / 2
			for b.Loop() {
				p.Changed(tables.Flows[at:at+1], nil)
				p.Changed(nil, tables.Flows[at:at+1])
			}
		})
	}
}

// BenchmarkStateChanged proves one tenant again, after a port of its changed.
func BenchmarkStateChanged(b *testing.B) {
	for _, tenants := range []int{290, 2900} {
		b.Run(fmt.Sprint("tenants=", tenants), func(b *testing.B) {
			s, tables := crowded(b, tenants)
			p := prove.New(s, tables)
			change := []store.Change{{Key: store.PortKey("h1", "t7", "default", "p0")}}
			for b.Loop() {
				p.StateChanged(s, change)
			}
		})
	}
}

// BenchmarkRefusal is a refusal that goes and comes, by which each flow that may pass only what others
// refuse is looked at again.
func BenchmarkRefusal(b *testing.B) {
	s, tables := crowded(b, 2900)
	p := prove.New(s, tables)
	var refusal []of.Flow
	for i := range tables.Flows {
		if f := tables.Flows[i]; f.Table == flows.TableAdmit && flows.Slice(f.Cookie).Tenant() == 0 && f.Priority > 200 {
			refusal = []of.Flow{f}
		}
	}
	for b.Loop() {
		p.Changed(refusal, nil)
		p.Changed(nil, refusal)
	}
}
