// Ofctrl programs a switch with the ofctrl package of contiv/ofnet, as a peer in the benchmark
// `program`:
//
//	ofctrl HOST:PORT FILE
//
// The switch listens at HOST:PORT; FILE holds the flows, one JSON object a line. It connects,
// builds ofctrl's flows, prints "ready", waits for a line on standard input, sends all flows
// in one bundle, and, when the switch has answered the commit, prints "done" and the seconds of
// processor time that sending took.
//
// It is a process of its own because ofctrl ends its process on some errors, keeps goroutines
// of each connection for good, and deletes all groups of a switch that it connects to.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/contiv/libOpenflow/openflow13"
	"github.com/contiv/ofnet/ofctrl"
	"github.com/sirupsen/logrus"
)

func main() {
	logrus.SetLevel(logrus.WarnLevel)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ofctrl:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: ofctrl HOST:PORT FILE")
	}
	sw, err := connect(args[0])
	if err != nil {
		return fmt.Errorf("switch %s: %w", args[0], err)
	}
	list, err := load(args[1], sw)
	if err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	runtime.GC()
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	before, err := processor()
	if err != nil {
		return err
	}
	if err := send(sw, list); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	after, err := processor()
	if err != nil {
		return err
	}
	fmt.Println("done", (after - before).Seconds())
	return nil
}

// processor is the processor time that this process has used.
func processor() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}

// send puts all flows into one bundle and commits it.
func send(sw *ofctrl.OFSwitch, list []*ofctrl.Flow) error {
	tx := sw.NewTransaction(ofctrl.Atomic | ofctrl.Ordered)
	if err := tx.Begin(); err != nil {
		return err
	}
	for _, f := range list {
		m, err := f.GetBundleMessage(openflow13.FC_ADD)
		if err != nil {
			return err
		}
		if err := tx.AddMessage(m); err != nil {
			return err
		}
	}
	taken, err := tx.Complete()
	if err != nil {
		return err
	}
	if taken != len(list) {
		return fmt.Errorf("the switch took %d flows of %d", taken, len(list))
	}
	return tx.Commit()
}

// line is a flow as the benchmark writes it (commonFlow). Zero stands for none.
type line struct {
	Table          uint8
	Priority       uint16
	Cookie         uint64
	InPort         uint32
	EthSrc, EthDst string
	IPSrc, IPDst   netip.Prefix
	Goto           uint8
	Output         uint32
}

// load reads the flows of a file and builds them as ofctrl's.
func load(file string, sw *ofctrl.OFSwitch) ([]*ofctrl.Flow, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var list []*ofctrl.Flow
	for d := json.NewDecoder(bufio.NewReader(in)); ; {
		var l line
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		f, err := l.flow(sw)
		if err != nil {
			return nil, fmt.Errorf("flow %d: %w", len(list)+1, err)
		}
		list = append(list, f)
	}
}

func (l line) flow(sw *ofctrl.OFSwitch) (*ofctrl.Flow, error) {
	match := ofctrl.FlowMatch{Priority: l.Priority, InputPort: l.InPort}
	var err error
	if match.MacSa, err = mac(l.EthSrc); err != nil {
		return nil, err
	}
	if match.MacDa, err = mac(l.EthDst); err != nil {
		return nil, err
	}
	if l.IPSrc.IsValid() && l.IPDst.IsValid() {
		const ipv4 = 0x0800
		match.Ethertype = ipv4
		match.IpSa, match.IpSaMask = prefix(l.IPSrc)
		match.IpDa, match.IpDaMask = prefix(l.IPDst)
	}
	table, err := tableOf(sw, l.Table)
	if err != nil {
		return nil, err
	}
	f, err := table.NewFlow(match)
	if err != nil {
		return nil, err
	}
	f.CookieID = l.Cookie
	if l.Output != 0 {
		f.ApplyAction(ofctrl.NewOutputPort(l.Output))
	}
	if l.Goto != 0 {
		f.Goto(l.Goto)
	}
	return f, nil
}

func tableOf(sw *ofctrl.OFSwitch, id uint8) (*ofctrl.Table, error) {
	if t := sw.GetTable(id); t != nil {
		return t, nil
	}
	return sw.NewTable(id)
}

func mac(text string) (*net.HardwareAddr, error) {
	const none = "00:00:00:00:00:00"
	if text == none {
		return nil, nil
	}
	a, err := net.ParseMAC(text)
	return &a, err
}

// prefix is an address and its mask; a single address has no mask.
func prefix(p netip.Prefix) (address, mask *net.IP) {
	if !p.IsValid() {
		return nil, nil
	}
	a := net.IP(p.Addr().AsSlice())
	if p.IsSingleIP() {
		return &a, nil
	}
	m := net.IP(net.CIDRMask(p.Bits(), p.Addr().BitLen()))
	return &a, &m
}
