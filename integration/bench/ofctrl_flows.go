package bench

import (
	"fmt"
	"net/netip"

	"sluice/datapath/openflow"
	"sluice/store"
)

// commonFlow is a flow that both we and ofctrl can say; the helper reads it as JSON under the
// same names. Zero stands for none.
type commonFlow struct {
	Table    uint8
	Priority uint16
	Cookie   uint64
	InPort   uint32
	EthSrc   store.MAC
	EthDst   store.MAC
	IPSrc    netip.Prefix
	IPDst    netip.Prefix
	Goto     uint8
	Output   uint32
}

// Tables of the common flows.
const (
	commonClassify = iota
	commonRoute
	commonForward
	commonTables
)

// commonFlows makes a small pipeline with this many flows: a port and its MAC are known, its
// address may reach a subnet, a MAC is forwarded to its port.
func commonFlows(n int) []commonFlow {
	const priority = 100
	list := make([]commonFlow, n)
	for i := range list {
		port := uint32(i/commonTables + 1)
		mac := store.MAC{2, 0, byte(port >> 24), byte(port >> 16), byte(port >> 8), byte(port)}
		f := commonFlow{Table: uint8(i % commonTables), Priority: priority, Cookie: uint64(i + 1)}
		switch f.Table {
		case commonClassify:
			f.InPort, f.EthSrc, f.Goto = port, mac, commonRoute
		case commonRoute:
			from := netip.AddrFrom4([4]byte{10, byte(port >> 16), byte(port >> 8), byte(port)})
			f.IPSrc, f.IPDst = netip.PrefixFrom(from, 32), netip.MustParsePrefix(fmt.Sprintf("172.16.%d.0/24", byte(port)))
			f.Goto = commonForward
		case commonForward:
			f.EthDst, f.Output = mac, port
		}
		list[i] = f
	}
	return list
}

// flow is the flow as our session takes it.
func (c commonFlow) flow() openflow.Flow {
	var match []openflow.MatchField
	if c.InPort != 0 {
		match = append(match, openflow.Is(openflow.FieldInPort, uint64(c.InPort)))
	}
	if !c.EthSrc.IsZero() {
		match = append(match, openflow.Is(openflow.FieldEthSrc, c.EthSrc.Uint64()))
	}
	if !c.EthDst.IsZero() {
		match = append(match, openflow.Is(openflow.FieldEthDst, c.EthDst.Uint64()))
	}
	if c.IPSrc.IsValid() && c.IPDst.IsValid() {
		const ipv4 = 0x0800
		match = append(match, openflow.Is(openflow.FieldEthType, ipv4),
			openflow.In(openflow.FieldIPSrc, c.IPSrc), openflow.In(openflow.FieldIPDst, c.IPDst))
	}
	f := openflow.Flow{Table: c.Table, Priority: c.Priority, Cookie: c.Cookie, Match: openflow.NewMatch(match...)}
	if c.Output != 0 {
		f.Actions = append(f.Actions, openflow.Output{Port: c.Output})
	}
	if c.Goto != 0 {
		f.Actions = append(f.Actions, openflow.GotoTable{Table: c.Goto})
	}
	return f
}
