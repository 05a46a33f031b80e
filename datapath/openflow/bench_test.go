package openflow_test

import (
	"testing"

	"sluice/datapath/openflow"
)

// benchFlows are the worked flows; every figure is one of them.
func benchFlows(b *testing.B) []openflow.Flow {
	var flows []openflow.Flow
	for _, line := range workedFlows(b) {
		flows = append(flows, mustParse(b, line))
	}
	return flows
}

// BenchmarkAppendFlowMod encodes a flow mod, of one worked flow after the other.
func BenchmarkAppendFlowMod(b *testing.B) {
	flows := benchFlows(b)
	buf := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	i, bytes := 0, 0
	for b.Loop() {
		buf = openflow.AppendFlowMod(buf[:0], 1, openflow.Add, &flows[i%len(flows)])
		bytes += len(buf)
		i++
	}
	b.SetBytes(int64(bytes / i))
}

// BenchmarkAppendBundleFlowMod encodes the same as messages of a bundle.
func BenchmarkAppendBundleFlowMod(b *testing.B) {
	var mods []openflow.FlowMod
	for _, f := range benchFlows(b) {
		mods = append(mods, openflow.FlowMod{Flow: f})
	}
	buf := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		buf = openflow.AppendBundleFlowMod(buf[:0], 1, 2, openflow.BundleAtomic, &mods[i%len(mods)])
		i++
	}
}

// benchReply is a switch's answer that holds all worked flows.
func benchReply(b *testing.B) []byte {
	reply := openflow.AppendFlowStatsReply(nil, 1, false)
	for _, f := range benchFlows(b) {
		reply = openflow.AppendFlowStats(reply, &openflow.FlowStats{Flow: f})
	}
	return openflow.EndMessage(reply, 0)
}

// BenchmarkDecodeFlowStats decodes replies of all worked flows.
func BenchmarkDecodeFlowStats(b *testing.B) {
	reply := benchReply(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := openflow.DecodeFlowStats(reply, func(*openflow.FlowStats) bool { n++; return true }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/flow")
}

// BenchmarkDecodeWireFlows reads the same replies no further than to tell flows apart.
func BenchmarkDecodeWireFlows(b *testing.B) {
	reply := benchReply(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := openflow.DecodeWireFlows(reply, func(*openflow.WireFlow) bool { n++; return true }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/flow")
}

func BenchmarkEqual(b *testing.B) {
	flows, again := benchFlows(b), benchFlows(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if k := i % len(flows); !flows[k].Equal(&again[k]) {
			b.Fatal("not equal")
		}
		i++
	}
}

func BenchmarkAppendText(b *testing.B) {
	flows := benchFlows(b)
	var buf []byte
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		buf = flows[i%len(flows)].AppendText(buf[:0])
		i++
	}
}

func BenchmarkParseFlow(b *testing.B) {
	lines := workedFlows(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := openflow.ParseFlow(lines[i%len(lines)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
