package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/contiv/libOpenflow/common"
	"github.com/contiv/libOpenflow/openflow13"
	"github.com/contiv/libOpenflow/util"
	"github.com/contiv/ofnet/ofctrl"
)

const connectTime = 20 * time.Second

// silent hears of nothing: what ofctrl reports is not measured.
type silent struct{}

func (silent) SwitchConnected(*ofctrl.OFSwitch)                            {}
func (silent) SwitchDisconnected(*ofctrl.OFSwitch)                         {}
func (silent) PacketRcvd(*ofctrl.OFSwitch, *ofctrl.PacketIn)               {}
func (silent) MultipartReply(*ofctrl.OFSwitch, *openflow13.MultipartReply) {}

// connect dials a switch and shakes hands. ofctrl's own Listen waits to be dialled, and its
// Connect knows no TCP; from the handshake on the session is ofctrl's.
func connect(address string) (*ofctrl.OFSwitch, error) {
	conn, err := net.DialTimeout("tcp", address, connectTime)
	if err != nil {
		return nil, err
	}
	stream := util.NewMessageStream(conn, ofctrl.NewController(silent{}))
	hello, err := common.NewHello(openflow13.VERSION)
	if err != nil {
		return nil, err
	}
	stream.Outbound <- hello
	for late := time.After(connectTime); ; {
		select {
		case m := <-stream.Inbound:
			switch m := m.(type) {
			case *common.Hello:
				stream.Version = m.Version
				stream.Outbound <- openflow13.NewFeaturesRequest()
			case *openflow13.SwitchFeatures:
				return ofctrl.NewSwitch(stream, m.DPID, silent{}, nil, 1), nil
			case *openflow13.ErrorMsg:
				return nil, fmt.Errorf("it answered with error %d/%d", m.Type, m.Code)
			}
		case err := <-stream.Error:
			return nil, err
		case <-late:
			return nil, errors.New("it does not shake hands")
		}
	}
}
