package openflow_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/datapath/openflow"
)

// TestErrorNames gives each type and code a session may see, by the constants that tell them
// apart.
func TestErrorNames(t *testing.T) {
	for _, c := range []struct {
		err  openflow.Error
		want string
	}{
		{openflow.Error{Type: 0, Code: 0}, "hello failed, incompatible"},
		{openflow.Error{Type: 0, Code: 1}, "hello failed, not permitted"},
		{openflow.Error{Type: 0, Code: 2}, "hello failed, code 2"},
		{openflow.Error{Type: openflow.ErrorBadRequest, Code: 13}, "bad request, multipart buffer overflow"},
		{openflow.Error{Type: openflow.ErrorBadRequest, Code: 14}, "bad request, code 14"},
		{openflow.Error{Type: openflow.ErrorBadRequest, Code: openflow.ErrorBadRequestNotMaster}, "bad request, not the master"},
		{openflow.Error{Type: openflow.ErrorBadAction, Code: 15}, "bad action, bad set_field argument"},
		{openflow.Error{Type: openflow.ErrorInstruction, Code: 9}, "bad instruction, duplicate"},
		{openflow.Error{Type: openflow.ErrorBadMatch, Code: 11}, "bad match, not permitted"},
		{openflow.Error{Type: openflow.ErrorFlowMod, Code: 7}, "flow mod failed, bad flags"},
		{openflow.Error{Type: 6, Code: 0}, "group mod failed, code 0"},
		{openflow.Error{Type: 7, Code: 0}, "port mod failed, code 0"},
		{openflow.Error{Type: 8, Code: 0}, "table mod failed, code 0"},
		{openflow.Error{Type: 9, Code: 0}, "queue operation failed, code 0"},
		{openflow.Error{Type: 10, Code: 0}, "switch config failed, code 0"},
		{openflow.Error{Type: openflow.ErrorRole, Code: openflow.ErrorRoleStale}, "role request failed, stale generation"},
		{openflow.Error{Type: openflow.ErrorRole, Code: 2}, "role request failed, bad role"},
		{openflow.Error{Type: openflow.ErrorMeterMod, Code: openflow.ErrorMeterExists}, "meter mod failed, the meter exists"},
		{openflow.Error{Type: openflow.ErrorMeterMod, Code: 11}, "meter mod failed, out of bands"},
		{openflow.Error{Type: 13, Code: 5}, "table features failed, code 5"},
		{openflow.Error{Type: 14, Code: 5}, "error 14, code 5"},
		{openflow.Error{Type: openflow.ErrorExtension, Code: 7, Experimenter: 0x2320}, "experimenter 0x2320, error 7"},
		{bundleError(2299), "experimenter 0x4f4e4600, error 2299"},
		{bundleError(2300), "bundle failed, unknown"},
		{bundleError(2301), "bundle failed, not permitted"},
		{bundleError(2302), "bundle failed, bad id"},
		{bundleError(2303), "bundle failed, exists"},
		{bundleError(2304), "bundle failed, closed"},
		{bundleError(2305), "bundle failed, out of bundles"},
		{bundleError(2306), "bundle failed, bad type"},
		{bundleError(2307), "bundle failed, bad flags"},
		{bundleError(2308), "bundle failed, bad length"},
		{bundleError(2309), "bundle failed, bad xid"},
		{bundleError(2310), "bundle failed, unsupported message"},
		{bundleError(2311), "bundle failed, conflicting messages"},
		{bundleError(2312), "bundle failed, too many messages"},
		{bundleError(2313), "bundle failed, a message failed"},
		{bundleError(2314), "bundle failed, timed out"},
		{bundleError(2315), "bundle failed, in progress"},
		{bundleError(2316), "experimenter 0x4f4e4600, error 2316"},
	} {
		if got := c.err.Error(); got != "switch refused: "+c.want {
			t.Errorf("type %d, code %d is %q, want switch refused: %s", c.err.Type, c.err.Code, got, c.want)
		}
	}
}

func bundleError(code uint16) openflow.Error {
	return openflow.Error{Type: openflow.ErrorExtension, Code: code, Experimenter: 0x4f4e4600}
}

// TestErrorsThatEndMastership separates the errors after which a session is no master.
func TestErrorsThatEndMastership(t *testing.T) {
	for _, c := range []struct {
		err            openflow.Error
		demoted, stale bool
	}{
		{openflow.Error{Type: 1, Code: 10}, true, false},
		{openflow.Error{Type: 1, Code: 9}, false, false},
		{openflow.Error{Type: 2, Code: 10}, false, false},
		{openflow.Error{Type: 11, Code: 0}, false, true},
		{openflow.Error{Type: 11, Code: 1}, false, false},
		{openflow.Error{Type: 1, Code: 0}, false, false},
	} {
		if c.err.DemotedError() != c.demoted || c.err.StaleError() != c.stale {
			t.Errorf("%v: demoted %t, stale %t; want %t, %t", &c.err, c.err.DemotedError(), c.err.StaleError(), c.demoted, c.stale)
		}
	}
}

// TestCommands gives the numbers of the wire their names.
func TestCommands(t *testing.T) {
	for i, want := range []string{"add", "modify", "modify_strict", "delete", "delete_strict", "invalid"} {
		if got := openflow.Command(i).String(); got != want {
			t.Errorf("command %d is %s, want %s", i, got, want)
		}
	}
}

// TestReservedPorts gives the reserved ports their names.
func TestReservedPorts(t *testing.T) {
	for port, want := range map[uint32]string{
		openflow.PortUnset: "UNSET", openflow.PortInPort: "IN_PORT", openflow.PortTable: "TABLE", openflow.PortNormal: "NORMAL",
		openflow.PortFlood: "FLOOD", openflow.PortAll: "ALL", openflow.PortLocal: "LOCAL", openflow.PortAny: "ANY",
		openflow.PortUnset - 1: "output:4294967286",
	} {
		if got := string(openflow.AppendActionsText(nil, []openflow.Action{openflow.Output{Port: port}})); got != want {
			t.Errorf("port %#x is %s, want %s", port, got, want)
		}
	}
	if got := string(openflow.AppendActionsText(nil, []openflow.Action{nil})); got != "invalid" {
		t.Errorf("no action is written %s", got)
	}
}

// TestFlags gives each flag of a flow its word.
func TestFlags(t *testing.T) {
	for flag, want := range map[openflow.Flags]string{
		openflow.SendFlowRemoved: "send_flow_rem", openflow.CheckOverlap: "check_overlap", openflow.ResetCounts: "reset_counts",
		openflow.NoPacketCounts: "no_packet_counts", openflow.NoByteCounts: "no_byte_counts",
	} {
		f := openflow.Flow{Flags: flag, Priority: 32768}
		if got := f.String(); got != want+" actions=drop" {
			t.Errorf("flag %#x is written %s", uint16(flag), got)
		}
	}
}

// TestFieldsGolden gives each field's name, its width in a match, and what is said of a bit
// beyond its width in an action. Some fields are no part of any action.
func TestFieldsGolden(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Every field: its name, the bits of a match, and what is said of the bit 999 in an action.\n\n")
	for f := openflow.FieldInvalid; f <= openflow.FieldDPHash+1; f++ {
		_, err := openflow.ParseFlow("actions=push:" + f.String() + "[999]")
		_, says, _ := strings.Cut(err.Error(), "action push: ")
		fmt.Fprintf(&b, "%-16s %3d   %s\n", f, f.Bits(), says)
	}
	checkGolden(t, "testdata/fields.golden", b.String())
	if f := openflow.Field(255); f.String() != "invalid" || f.Bits() != 0 {
		t.Errorf("field 255 is %s of %d bits", f, f.Bits())
	}
}

// TestHelloSpeaks reports what a peer's hello lets us use: a version of its list, or without a
// list any that is not newer than its own.
func TestHelloSpeaks(t *testing.T) {
	for _, c := range []struct {
		hello openflow.Hello
		want  bool
	}{
		{openflow.Hello{Version: 4}, true},
		{openflow.Hello{Version: 6}, true},
		{openflow.Hello{Version: 3}, false},
		{openflow.Hello{Version: 6, Versions: 1 << 4}, true},
		{openflow.Hello{Version: 6, Versions: 1<<5 | 1<<6}, false},
		{openflow.Hello{Version: 4, Versions: 1 << 1}, false},
	} {
		if got := c.hello.Speaks(openflow.Version); got != c.want {
			t.Errorf("%+v speaks version 4: %t, want %t", c.hello, got, c.want)
		}
	}
	if (openflow.Hello{Versions: 1 << 31}).Speaks(32) || !(openflow.Hello{Versions: 1 << 31}).Speaks(31) {
		t.Error("a list has versions 0 to 31")
	}
}

// TestOnes holds masks around the border of the two halves.
func TestOnes(t *testing.T) {
	for bits, want := range map[int]openflow.Value{
		0: {}, 1: {Lo: 1}, 63: {Lo: 1<<63 - 1}, 64: {Lo: 1<<64 - 1}, 65: {Hi: 1, Lo: 1<<64 - 1},
		127: {Hi: 1<<63 - 1, Lo: 1<<64 - 1}, 128: {Hi: 1<<64 - 1, Lo: 1<<64 - 1},
	} {
		if got := openflow.Ones(bits); got != want {
			t.Errorf("%d bits are %+v, want %+v", bits, got, want)
		}
	}
}

// TestMatchFields builds the fields of a match.
func TestMatchFields(t *testing.T) {
	ones := ^uint64(0)
	for _, c := range []struct{ got, want openflow.MatchField }{
		{openflow.Is(openflow.FieldReg0, 5), field(openflow.FieldReg0, 0, 5, 0, 0xffffffff)},
		{openflow.Is(openflow.FieldMetadata, 5), field(openflow.FieldMetadata, 0, 5, 0, ones)},
		{openflow.IsValue(openflow.FieldCTLabel, openflow.Value{Hi: 1, Lo: 2}), field(openflow.FieldCTLabel, 1, 2, ones, ones)},
		{openflow.Masked(openflow.FieldReg0, openflow.U64(0x1234), openflow.U64(0xff)), field(openflow.FieldReg0, 0, 0x34, 0, 0xff)},
		{openflow.In(openflow.FieldIPSrc, netip.MustParsePrefix("10.1.2.3/16")), field(openflow.FieldIPSrc, 0, 0x0a010000, 0, 0xffff0000)},
		{openflow.In(openflow.FieldIPSrc, netip.MustParsePrefix("10.1.2.3/32")), field(openflow.FieldIPSrc, 0, 0x0a010203, 0, 0xffffffff)},
		{openflow.In(openflow.FieldIPv6Src, netip.MustParsePrefix("fd00::/8")), field(openflow.FieldIPv6Src, 0xfd<<56, 0, 0xff<<56, 0)},
		{openflow.In(openflow.FieldIPv6Src, netip.MustParsePrefix("fd00::1/64")), field(openflow.FieldIPv6Src, 0xfd<<56, 0, ones, 0)},
		{openflow.In(openflow.FieldIPv6Src, netip.MustParsePrefix("fd00::ff/124")), field(openflow.FieldIPv6Src, 0xfd<<56, 0xf0, ones, ones-15)},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.want.Field, diff)
		}
	}
}

func field(f openflow.Field, hi, lo, maskHi, maskLo uint64) openflow.MatchField {
	return openflow.MatchField{Field: f, Value: openflow.Value{Hi: hi, Lo: lo}, Mask: openflow.Value{Hi: maskHi, Lo: maskLo}}
}

// TestMatchGet finds the fields that are there.
func TestMatchGet(t *testing.T) {
	m := openflow.NewMatch(openflow.Is(openflow.FieldReg3, 3), openflow.Is(openflow.FieldInPort, 1))
	for f, want := range map[openflow.Field]bool{openflow.FieldInPort: true, openflow.FieldReg3: true, openflow.FieldReg2: false, openflow.FieldReg4: false} {
		if got, ok := m.Get(f); ok != want || ok && got.Field != f || !ok && got != (openflow.MatchField{}) {
			t.Errorf("%s is %+v, there %t; want %t", f, got, ok, want)
		}
	}
}

// TestNumbersOfOthers gives the numbers that switches send and this package never writes.
func TestNumbersOfOthers(t *testing.T) {
	if openflow.TypePacketIn != 10 {
		t.Errorf("a packet-in has type %d, want 10", openflow.TypePacketIn)
	}
	const onf = 0x4f4e4600
	for got, want := range map[openflow.ExperimenterType]uint32{
		openflow.ExperimenterMonitorPaused:  1871,
		openflow.ExperimenterMonitorResumed: 1872,
		openflow.ExperimenterRoleStatus:     1911,
	} {
		if got != (openflow.ExperimenterType{Experimenter: onf, Subtype: want}) {
			t.Errorf("%+v, want %d of the ONF", got, want)
		}
	}
	for i, reason := range []openflow.RemovedReason{openflow.RemovedIdle, openflow.RemovedHard, openflow.RemovedDelete, openflow.RemovedGroup} {
		if int(reason) != i {
			t.Errorf("reason %d of a removed flow is %d", i, reason)
		}
	}
	for i, reason := range []openflow.PortReason{openflow.PortAdded, openflow.PortDeleted, openflow.PortModified} {
		if int(reason) != i {
			t.Errorf("reason %d of a port's status is %d", i, reason)
		}
	}
	for i, kind := range map[uint16]uint16{1: openflow.MultipartFlow, 2: openflow.MultipartAggregate, 13: openflow.MultipartPortDesc, 0xffff: openflow.MultipartExperimenter} {
		if kind != i {
			t.Errorf("kind %d of a multipart message is %d", i, kind)
		}
	}
	for i, step := range []openflow.BundleStep{openflow.BundleOpen, openflow.BundleOpened, openflow.BundleClose, openflow.BundleClosed,
		openflow.BundleCommit, openflow.BundleCommitted, openflow.BundleDiscard, openflow.BundleDiscarded} {
		if int(step) != i {
			t.Errorf("step %d of a bundle is %d", i, step)
		}
	}
	if openflow.PortConfigDown != 1 || openflow.PortStateLinkDown != 1 {
		t.Errorf("a port that is down has bits %d, %d, want the lowest", openflow.PortConfigDown, openflow.PortStateLinkDown)
	}
}
