package openflow_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/datapath/openflow"
)

// message is one message of the protocol, and how it reads.
type message struct {
	name  string
	bytes []byte
	read  func([]byte) (string, error)
}

// reads makes a reader's answer text.
func reads[T any](decode func([]byte) (T, error)) func([]byte) (string, error) {
	return func(b []byte) (string, error) {
		v, err := decode(b)
		return fmt.Sprintf("%+v", v), err
	}
}

// readsNumber is reads for a number, which is 0 where the message is refused.
func readsNumber(decode func([]byte) (uint32, error)) func([]byte) (string, error) {
	return func(b []byte) (string, error) {
		n, err := decode(b)
		if err != nil && n != 0 {
			err = fmt.Errorf("%w, and yet it reads as %d", err, n)
		}
		return fmt.Sprint(n), err
	}
}

// readsPart is reads for a message that may come in parts.
func readsPart[T any](decode func([]byte) (T, bool, error)) func([]byte) (string, error) {
	return func(b []byte) (string, error) {
		v, more, err := decode(b)
		return fmt.Sprintf("%+v, more %t", v, more), err
	}
}

func readFlowMod(b []byte) (string, error) {
	m, err := openflow.DecodeFlowMod(b)
	return fmt.Sprintf("%s, cookie mask %#x: %s", m.Command, m.CookieMask, &m.Flow), err
}

func readFlowStats(b []byte) (string, error) {
	var list []string
	more, err := openflow.DecodeFlowStats(b, func(f *openflow.FlowStats) bool {
		list = append(list, fmt.Sprintf("%d packets, %d bytes, %d seconds: %s", f.Packets, f.Bytes, f.Seconds, f))
		return true
	})
	return fmt.Sprintf("%s, more %t", strings.Join(list, "; "), more), err
}

func readFlowRemoved(b []byte) (string, error) {
	r, err := openflow.DecodeFlowRemoved(b)
	return fmt.Sprintf("reason %d, %d packets, %d bytes, %d seconds: %s", r.Reason, r.Packets, r.Bytes, r.Seconds, &r.Flow), err
}

func readRole(b []byte) (string, error) {
	role, generation, err := openflow.DecodeRole(b)
	return fmt.Sprintf("role %d of generation %d", role, generation), err
}

func readFlowUpdates(b []byte) (string, error) {
	var list []string
	err := openflow.DecodeFlowUpdates(b, func(u openflow.FlowUpdate) bool {
		list = append(list, fmt.Sprintf("%+v", u))
		return true
	})
	return strings.Join(list, "; "), err
}

func readError(b []byte) (string, error) {
	e, err := openflow.DecodeError(b)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%v (%+v, %d bytes of the request)", e, e.Request, len(e.Data)), nil
}

// messages has every message that this package writes. Each field has a value of its own, and
// where a number has a greatest legal value, that one.
func messages(t testing.TB) []message {
	flow := mustParse(t, "cookie=0x1112131415161718, table=33, idle_timeout=4660, hard_timeout=9029, "+
		"check_overlap priority=17767,tcp,tp_dst=80 actions=output:1,goto_table:34")
	stats := openflow.FlowStats{Flow: flow, Packets: 0x2122232425262728, Bytes: 0x3132333435363738, Seconds: 0x41424344}
	bare := stats
	bare.Flags, bare.Actions = 0, nil
	port := openflow.Port{Number: 0x51525354, Name: "sixteen-letters!", MAC: [6]byte{2, 1, 3, 5, 7, 9}, Config: 0x61626364, State: 0x71727374}
	short := openflow.Port{Number: openflow.PortLocal, Name: "br-int"}
	_, wire := flow.AppendWire(nil)
	mod := openflow.FlowMod{Command: openflow.DeleteStrict, CookieMask: 0x8182838485868788, Flow: flow}
	const atomic, ordered = openflow.BundleAtomic, openflow.BundleOrdered
	query := openflow.FlowQuery{Table: 33, Cookie: 0x1112131415161718, CookieMask: 0x8182838485868788, Match: flow.Match}
	request := openflow.AppendFlowMod(nil, 7, openflow.Add, &flow)
	flowReply := openflow.AppendFlowStats(openflow.AppendFlowStatsReply(nil, 7, true), &stats)
	flowReply = openflow.EndMessage(openflow.AppendFlowStats(flowReply, &openflow.FlowStats{}), 0)
	return []message{
		{"hello", openflow.AppendHello(nil, 7), reads(openflow.DecodeHello)},
		{"error", openflow.AppendError(nil, &openflow.Error{Type: openflow.ErrorBadMatch, Code: 9}, request), readError},
		{"error of an experimenter", openflow.AppendError(nil, &openflow.Error{Type: openflow.ErrorExtension, Code: 2313, Experimenter: 0x4f4e4600}, openflow.AppendBarrierRequest(nil, 7)), readError},
		{"error about nothing", openflow.AppendError(nil, &openflow.Error{Type: 11, Code: 0}, nil), readError},
		{"echo request", openflow.AppendEchoRequest(nil, 7, []byte("abc")), nil},
		{"echo reply", openflow.AppendEchoReply(nil, 7, []byte("abcde")), nil},
		{"features request", openflow.AppendFeaturesRequest(nil, 7), nil},
		{"features reply", openflow.AppendFeaturesReply(nil, 7, openflow.Features{DatapathID: 0x1112131415161718, Buffers: 0x21222324, Tables: 254, Auxiliary: 5, Capabilities: 0x31323334}), reads(openflow.DecodeFeatures)},
		{"barrier request", openflow.AppendBarrierRequest(nil, 7), nil},
		{"barrier reply", openflow.AppendBarrierReply(nil, 7), nil},
		{"role request", openflow.AppendRoleRequest(nil, 7, openflow.RoleSlave, 0x1112131415161718), readRole},
		{"role reply", openflow.AppendRoleReply(nil, 7, openflow.RoleMaster, 0x1112131415161718), readRole},
		{"port descriptions request", openflow.AppendPortDescRequest(nil, 7), reads(openflow.DecodeMultipart)},
		{"port descriptions", openflow.AppendPortDescReply(nil, 7, []openflow.Port{port, short}, true), readsPart(openflow.DecodePortDesc)},
		{"port status", openflow.AppendPortStatus(nil, 7, openflow.PortStatus{Reason: openflow.PortModified, Port: port}), reads(openflow.DecodePortStatus)},
		{"flow mod that adds", request, readFlowMod},
		{"flow mod that removes", openflow.AppendFlowModCookie(nil, 7, mod.Command, &flow, mod.CookieMask), readFlowMod},
		{"flows request", openflow.AppendFlowStatsRequest(nil, 7, query), reads(openflow.DecodeFlowStatsRequest)},
		{"flows", flowReply, readFlowStats},
		{"number of flows request", openflow.AppendAggregateRequest(nil, 7, query), reads(openflow.DecodeFlowStatsRequest)},
		{"number of flows", openflow.AppendAggregateReply(nil, 7, 0x11121314), reads(openflow.DecodeAggregate)},
		{"flow removed", openflow.AppendFlowRemoved(nil, 7, &openflow.FlowRemoved{FlowStats: bare, Reason: openflow.RemovedGroup}), readFlowRemoved},
		{"flow monitor request", openflow.AppendFlowMonitorRequest(nil, 7, 0x11121314), readsNumber(openflow.DecodeFlowMonitorRequest)},
		{"flow updates", openflow.AppendFlowUpdates(nil, 7,
			openflow.FlowUpdate{Event: openflow.FlowDeleted, Table: 33, Priority: 17767, Cookie: 0x1112131415161718, Match: wire.Match},
			openflow.FlowUpdate{Event: openflow.FlowAbbreviated}), readFlowUpdates},
		{"what to tell unasked", openflow.AppendAsyncConfig(nil, 7, openflow.AsyncConfig{PacketIn: 1, PortStatus: 2, FlowRemoved: 4, RoleStatus: 8}), reads(openflow.DecodeExperimenter)},
		{"bundle control", openflow.AppendBundleControl(nil, 7, openflow.BundleControl{Bundle: 0x11121314, Step: openflow.BundleDiscarded, Flags: atomic | ordered}), reads(openflow.DecodeBundleControl)},
		{"bundled flow mod", openflow.AppendBundleFlowMod(nil, 7, 0x11121314, ordered, &mod), reads(openflow.DecodeBundleAdd)},
		{"role status", openflow.AppendRoleStatus(nil, 7, openflow.RoleStatus{Role: openflow.RoleSlave, Reason: 5, Generation: 0x1112131415161718}), reads(openflow.DecodeRoleStatus)},
	}
}

// TestMessagesGolden holds of each message its bytes, how it reads, and which shortened or
// changed ones are refused, with what words.
func TestMessagesGolden(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Every message, how it reads, and what is refused: each beginning of it under a header that says its\n" +
		"# length, and each byte made one more (8+), one less (8-) or either (8). What is not listed is read.\n")
	for _, m := range messages(t) {
		fmt.Fprintf(&b, "\n%s\n    %s\n", m.name, inWords(m.bytes))
		if m.read == nil {
			continue
		}
		text, err := m.read(m.bytes)
		if err != nil {
			t.Errorf("%s does not read back: %v", m.name, err)
		}
		fmt.Fprintf(&b, "    reads %s\n", text)
		m.writeCuts(t, &b)
		m.writeChanges(t, &b)
	}
	checkGolden(t, "testdata/messages.golden", b.String())
}

var number = regexp.MustCompile(`\b(0x[0-9a-f]+|[0-9]+)\b`)

// refusal is why the message is not read, with N for each number; "" where it is.
func (m message) refusal(t *testing.T, b []byte) string {
	_, err := m.read(b)
	if err == nil {
		return ""
	}
	if !errors.Is(err, openflow.ErrMalformed) {
		t.Errorf("%s: error %v is no ErrMalformed", m.name, err)
	}
	return number.ReplaceAllString(strings.TrimPrefix(err.Error(), "malformed OpenFlow: "), "N")
}

// writeCuts lists the lengths at which the message is refused, in runs of one reason.
func (m message) writeCuts(t *testing.T, b *strings.Builder) {
	first, reason := 0, ""
	for n := range len(m.bytes) + 1 {
		cut := bytes.Clone(m.bytes[:n])
		if n >= openflow.HeaderLength {
			cut = openflow.EndMessage(cut, 0)
		}
		now := m.refusal(t, cut)
		if now == reason {
			continue
		}
		if reason != "" {
			fmt.Fprintf(b, "    %d..%d bytes: %s\n", first, n-1, reason)
		}
		first, reason = n, now
	}
}

// writeChanges lists the bytes that cannot be one more, one less, or either.
func (m message) writeChanges(t *testing.T, b *strings.Builder) {
	var reasons []string
	places := map[string][]string{}
	for at := range m.bytes {
		more, less := m.refusal(t, m.changed(at, 1)), m.refusal(t, m.changed(at, -1))
		found := map[string]string{more: "+", less: "-"}
		if more == less {
			found = map[string]string{more: ""}
		}
		for _, reason := range slices.Sorted(maps.Keys(found)) {
			if reason != "" && places[reason] == nil {
				reasons = append(reasons, reason)
			}
			places[reason] = append(places[reason], strconv.Itoa(at)+found[reason])
		}
	}
	for _, r := range reasons {
		fmt.Fprintf(b, "    byte %s: %s\n", strings.Join(places[r], " "), r)
	}
}

func (m message) changed(at, by int) []byte {
	b := bytes.Clone(m.bytes)
	b[at] += byte(by)
	return b
}

// TestRefusalsByTheNumbers holds whole texts, whose numbers the golden file leaves out, and what
// a change of one byte does not reach.
func TestRefusalsByTheNumbers(t *testing.T) {
	flow := mustParse(t, "cookie=1,actions=drop")
	bundled := openflow.AppendBundleFlowMod(nil, 7, 1, openflow.BundleAtomic, &openflow.FlowMod{Flow: flow})
	stats := openflow.AppendFlowStatsReply(nil, 7, false)
	removed := openflow.AppendFlowRemoved(nil, 7, &openflow.FlowRemoved{})
	asked := openflow.AppendFlowStatsRequest(nil, 7, openflow.FlowQuery{})
	for _, c := range []struct {
		name  string
		read  func([]byte) (string, error)
		bytes []byte
		want  string
	}{
		{"another xid inside", reads(openflow.DecodeBundleAdd), put(bundled, 4, 0x12, 0x34, 0x56, 0x78), "bundled message says 56 bytes and xid 0x7, has 56 and 0x12345678"},
		{"too long inside", reads(openflow.DecodeBundleAdd), put(bundled, 26, 1, 0), "bundled message says 256 bytes and xid 0x7, has 56 and 0x7"},
		{"too short inside", reads(openflow.DecodeBundleAdd), put(bundled, 26, 0, 7), "message of type 14 says 7 bytes"},
		{"statistics without a match", readFlowStats, openflow.EndMessage(append(stats, put(make([]byte, 48), 0, 0, 48)...), 0), "a match needs 4 bytes, 0 are left"},
		{"statistics too short", readFlowStats, openflow.EndMessage(append(stats, put(make([]byte, 48), 0, 0, 47)...), 0), "a flow's statistics say 47 bytes, 48 are left"},
		{"statistics too long", readFlowStats, openflow.EndMessage(append(stats, put(make([]byte, 48), 0, 0, 49)...), 0), "a flow's statistics say 49 bytes, 48 are left"},
		{"no statistics", readFlowStats, openflow.EndMessage(append(stats, make([]byte, 47)...), 0), "a flow's statistics need 48 bytes, 47 are left"},
		{"more after a removed flow", readFlowRemoved, openflow.EndMessage(append(removed, make([]byte, 8)...), 0), "flow removed with 8 bytes after its match"},
		{"more after a request", reads(openflow.DecodeFlowStatsRequest), openflow.EndMessage(append(asked, make([]byte, 8)...), 0), "flow request with 8 bytes after its match"},
		{"an unknown field in a request", reads(openflow.DecodeFlowStatsRequest), openflow.EndMessage(append(asked[:48:48], unhex(t, "00010008 8000fe00")...), 0), "flow request with unknown OXM field 127 of class 0x8000"},
		{"an unknown vendor in a request", reads(openflow.DecodeFlowStatsRequest), openflow.EndMessage(append(asked[:48:48], unhex(t, "0001000c ffff5404 00002320 00000000")...), 0), "flow request with unknown OXM field 42 of experimenter 0x2320"},
		{"a monitor of something else", readsNumber(openflow.DecodeFlowMonitorRequest), put(openflow.AppendFlowMonitorRequest(nil, 7, 1), 28, 0x12, 0x34), "flow monitor with flags 0x1234"},
		{"a message of another experimenter", reads(openflow.DecodeRoleStatus), put(openflow.AppendRoleStatus(nil, 7, openflow.RoleStatus{}), 8, 0, 0, 0x23, 0x20, 0, 0, 0, 27), "experimenter message 0x2320/27, want 0x4f4e4600/1911"},
		{"a monitor of another experimenter", readsNumber(openflow.DecodeFlowMonitorRequest), put(openflow.AppendFlowMonitorRequest(nil, 7, 1), 16, 0, 0, 0x23, 0x20, 0, 0, 0, 2), "experimenter multipart message 0x2320/2"},
		{"a header of nothing", reads(openflow.ParseHeader), []byte{4, 0, 0, 8, 0, 0, 0}, "a message header needs 8 bytes, there are 7"},
		{"a length below the header's", reads(openflow.ParseHeader), []byte{4, 5, 0, 7, 0, 0, 0, 0}, "message of type 5 says 7 bytes"},
		{"a port description", readsPart(openflow.DecodePortDesc), openflow.EndMessage(append(openflow.AppendPortDescReply(nil, 7, nil, false), make([]byte, 65)...), 0), "port description of 65 bytes, must be a multiple of 64"},
	} {
		_, err := c.read(c.bytes)
		if err == nil || err.Error() != "malformed OpenFlow: "+c.want {
			t.Errorf("%s: error %v, want %s", c.name, err, c.want)
		}
	}
}

// Where an error says that nothing was read, there is nothing else either.
func TestNothingBesidesAnError(t *testing.T) {
	if role, generation, err := openflow.DecodeRole(nil); role != 0 || generation != 0 || err == nil {
		t.Errorf("role %d of generation %d, error %v", role, generation, err)
	}
	if ports, more, err := openflow.DecodePortDesc(nil); ports != nil || more || err == nil {
		t.Errorf("ports %v, more %t, error %v", ports, more, err)
	}
	if flows, err := openflow.DecodeAggregate(nil); flows != 0 || err == nil {
		t.Errorf("%d flows, error %v", flows, err)
	}
	if id, err := openflow.DecodeFlowMonitorRequest(nil); id != 0 || err == nil {
		t.Errorf("monitor %d, error %v", id, err)
	}
	yield := func(*openflow.FlowStats) bool { t.Error("a flow out of nothing"); return true }
	if more, err := openflow.DecodeFlowStats(nil, yield); more || err == nil {
		t.Errorf("flows: more %t, error %v", more, err)
	}
}

// put is b with other bytes from a place on.
func put(b []byte, at int, change ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], change)
	return b
}
