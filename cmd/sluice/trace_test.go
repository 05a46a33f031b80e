package main

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/controller/api"
	"sluice/controller/client"
	"sluice/flows"
	"sluice/flows/trace"
	"sluice/store"
)

// tracedState is alice with web-1 on h1 and web-2 on h2, and her gateway on h1.
func tracedState() *store.State {
	s := store.NewState()
	put := func(key store.Key, o store.Object) {
		r := s.Revision() + 1
		s.Apply(store.Batch{Revision: r, Events: []store.Event{{Key: key, Object: o, Created: r, Modified: r}}})
	}
	for i, h := range []string{"h1", "h2"} {
		put(store.HostKey(h), &store.Host{VTEPs: []netip.Addr{netip.AddrFrom4([4]byte{172, 30, 0, byte(i + 1)})},
			Infrastructure: []netip.Prefix{netip.MustParsePrefix("172.30.0.0/24")}})
	}
	put(store.TenantKey("alice"), &store.Tenant{Number: 1})
	put(store.GatewayKey("alice"), &store.Gateway{Active: "h1"})
	put(store.NetworkKey("alice", "default"), &store.Network{Number: 1, Segmentation: store.SegmentationTunnel, Segment: 1, Flood: store.FloodAuto,
		Subnets: []store.Subnet{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")}}})
	for i, p := range []struct{ host, name, address string }{{"h1", "web-1", "10.0.0.2/24"}, {"h2", "web-2", "10.0.0.7/24"}} {
		put(store.PortKey(p.host, "alice", "default", p.name), &store.Port{Number: uint32(i + 1), MAC: store.MAC{2, 0, 0, 0, 0, byte(i + 1)},
			Interface: "sl-" + p.name, Addresses: []netip.Prefix{netip.MustParsePrefix(p.address)}})
	}
	return s
}

// traced is the API's answer to a query about tracedState. The tables of hosts that are away are not known.
func traced(t *testing.T, q client.TraceQuery, away ...string) client.Trace {
	t.Helper()
	s := tracedState()
	asked, err := trace.Ask(s, func(string) bool { return true }, api.Question(&q))
	if err != nil {
		t.Fatal(err)
	}
	answer := client.Trace{View: client.ViewInstalled}
	asked.Run(func(host string) (trace.Tables, error) {
		tables := client.TracedTables{Host: host, Read: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
		defer func() { answer.Tables = append(answer.Tables, tables) }()
		for _, h := range away {
			if h == host {
				tables.Problem = "its switch has no session with controller c1 since 2026-11-22T09:58:00Z, and controller c2 has claimed it: ask that one, with --api http://192.0.2.2:8080"
				return trace.Tables{}, errors.New(tables.Problem)
			}
		}
		ports := map[string]uint32{store.TunnelInterface: 1, store.GatewayInterface: 2, "sl-web-1": 3, "sl-web-2": 3}
		list, _ := flows.Desired(s, flows.Switch{Host: host, OFPort: ports})
		tables.Flows = len(list)
		if delete(ports, "sl-web-2"); host == "h2" {
			delete(ports, "sl-web-1")
			ports["sl-web-2"] = 3
		}
		return trace.Tables{Flows: list, Ports: ports}, nil
	})
	answer.Answer = asked.Answer(s)
	return answer
}

// What traces show; docs/operations.md shows the same.
func TestTraceAsShown(t *testing.T) {
	operations, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, shown := range map[string]struct {
		trace client.Trace
		flags traceFlags
		docs  bool
	}{
		"trace":         {traced(t, client.TraceQuery{From: "alice/web-1", To: "10.0.0.7", Proto: "tcp"}), traceFlags{}, true},
		"trace-dropped": {traced(t, client.TraceQuery{From: "alice/web-2", To: "172.30.0.1", Proto: "tcp", DstPort: 22}), traceFlags{}, true},
		"trace-flows":   {traced(t, client.TraceQuery{From: "outside", To: "alice/web-2", State: "reply"}), traceFlags{flows: true}, false},
		"trace-unknown": {traced(t, client.TraceQuery{From: "alice/web-1", To: "10.0.0.7"}, "h2"), traceFlags{}, false},
		"trace-nobody":  {traced(t, client.TraceQuery{From: "alice/web-1", To: "10.0.0.99"}), traceFlags{}, false},
	} {
		var b bytes.Buffer
		shown.flags.write(&b, shown.trace)
		checkGolden(t, filepath.Join("testdata", name+".txt"), b.Bytes())
		if shown.docs && !strings.Contains(string(operations), "\n"+b.String()+"```\n") {
			t.Errorf("docs/operations.md does not show what stands in testdata/%s.txt", name)
		}
	}
	var b bytes.Buffer
	f := formatJSON
	if err := f.print(&b, traced(t, client.TraceQuery{From: "alice/web-1", To: "10.0.0.7", Proto: "arp"}), nil); err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "testdata/trace.json", b.Bytes())
}
